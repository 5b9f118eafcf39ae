#include "drivers/qemu/complete/steps.hpp"

namespace lodge::drivers::qemu {

using xml::Input;
using xml::InputBus;
using xml::InputType;

namespace {

InputBus default_bus(InputType type) {
    switch (type) {
    case InputType::passthrough: return InputBus::virtio;
    case InputType::mouse:
    case InputType::keyboard: return InputBus::ps2;
    default: return InputBus::usb;
    }
}

// Every PC has both on its keyboard controller.
void ensure_ps2(std::vector<Input>& inputs, InputType type) {
    for (const auto& input : inputs)
        if (input.type == type && input.bus == InputBus::ps2) return;
    auto& input = inputs.emplace_back();
    input.type = type;
    input.bus = InputBus::ps2;
}

} // namespace

void complete_inputs(xml::Domain& domain) {
    auto& inputs = domain.devices.inputs;
    for (auto& input : inputs)
        if (!input.bus && input.type != InputType::evdev) input.bus = default_bus(input.type);
    ensure_ps2(inputs, InputType::mouse);
    ensure_ps2(inputs, InputType::keyboard);
}

} // namespace lodge::drivers::qemu
