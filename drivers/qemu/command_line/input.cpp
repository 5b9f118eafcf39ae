// Mice, keyboards, tablets, and USB hubs.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

std::string usb_driver(InputType type) {
    switch (type) {
    case InputType::mouse: return "usb-mouse";
    case InputType::tablet: return "usb-tablet";
    case InputType::keyboard: return "usb-kbd";
    default: rpc::fail(Code::config_unsupported, "input type '{}' is not supported on bus 'usb'", word(type));
    }
}

std::string virtio_base(InputType type) {
    switch (type) {
    case InputType::mouse: return "virtio-mouse";
    case InputType::tablet: return "virtio-tablet";
    case InputType::keyboard: return "virtio-keyboard";
    case InputType::passthrough: return "virtio-input-host";
    default: rpc::fail(Code::config_unsupported, "input type '{}' is not supported on bus 'virtio'", word(type));
    }
}

Json evdev_json(const Input& input) {
    Json json{{"qom-type", "input-linux"}, {"id", input.info.alias}, {"evdev", input.source.evdev}};
    put(json, "repeat", input.source.repeat);
    if (input.source.grab == InputGrab::all) json["grab_all"] = true;
    if (input.source.grab_toggle && *input.source.grab_toggle != InputGrabToggle::default_)
        json["grab-toggle"] = word(*input.source.grab_toggle);
    return json;
}

} // namespace

Json device_json(const Domain& domain, const Input& input, const BuildContext&) {
    Json json;
    if (input.bus == InputBus::virtio) {
        json["driver"] = virtio_driver(virtio_base(input.type), input.info, input.model);
        put_virtio(json, input.virtio);
    } else {
        json["driver"] = usb_driver(input.type);
    }
    json["id"] = input.info.alias;
    if (input.type == InputType::passthrough) json["evdev"] = input.source.evdev;
    put_address(json, domain, input.info);
    return json;
}

void add_inputs(Builder& builder) {
    for (const auto& input : builder.domain.devices.inputs) {
        if (input.type == InputType::evdev)
            builder.object(evdev_json(input));
        else if (input.bus == InputBus::usb || input.bus == InputBus::virtio)
            builder.device(device_json(builder.domain, input, builder.ctx));
        // PS/2 ones are part of the machine.
    }
}

void add_hubs(Builder& builder) {
    for (const auto& hub : builder.domain.devices.hubs) {
        Json json{{"driver", "usb-hub"}, {"id", hub.info.alias}};
        put_address(json, builder.domain, hub.info);
        builder.device(json);
    }
}

} // namespace lodge::drivers::qemu
