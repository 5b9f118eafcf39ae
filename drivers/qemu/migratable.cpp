#include "drivers/qemu/migratable.hpp"
#include "xml/domain/domain.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

namespace {

bool has_own_alias(const xml::DeviceInfo& info) { return info.alias.starts_with("ua-"); }

// The only one of its kind, as every guest of that machine gets it.
void drop_default_controller(xml::Domain& domain, xml::ControllerType type, std::initializer_list<xml::ControllerModel> models) {
    auto& all = domain.devices.controllers;
    if (std::ranges::count_if(all, [&](const auto& c) { return c.is(type); }) != 1) return;
    std::erase_if(all, [&](const auto& c) {
        const bool plain = !c.model || std::ranges::find(models, *c.model) != models.end();
        return c.is(type) && c.index.value_or(0) == 0 && plain && !c.pcihole64 && !has_own_alias(c.info);
    });
}

// The backend that guests without one are given.
bool is_default(const xml::Audio& audio, const std::vector<xml::Graphics>& displays) {
    xml::Audio plain;
    plain.id = 1;
    const bool spice = std::ranges::any_of(displays, [](const auto& display) { return display.is(xml::GraphicsType::spice); });
    if (spice) plain.type = xml::AudioType::spice;
    return xml::compare(audio, plain, "audio").empty();
}

// What this host chose for a display, others choose for themselves.
void drop_chosen(xml::Graphics& display) {
    if (display.autoport && *display.autoport) {
        display.port.reset();
        if (display.is(xml::GraphicsType::vnc)) display.port = -1;
        display.tls_port.reset();
    }
    if (display.websocket_generated && *display.websocket_generated) display.websocket = -1;
    for (auto& listen : display.listens)
        if (listen.from_config == 1) {
            if (display.listen == listen.address) display.listen.clear();
            listen.address.clear();
        }
}

} // namespace

void make_migratable(xml::Domain& domain, const std::string& lib) {
    const auto& machine = domain.os.type.machine;
    if (machine == "pc" || machine.starts_with("pc-i440fx"))
        drop_default_controller(domain, xml::ControllerType::usb, {xml::ControllerModel::piix3_uhci});
    drop_default_controller(domain, xml::ControllerType::pci, {xml::ControllerModel::pci_root});
    std::erase_if(domain.devices.inputs, [](const xml::Input& input) {
        return input.type == xml::InputType::keyboard && input.bus == xml::InputBus::ps2;
    });
    if (auto& audios = domain.devices.audios; audios.size() == 1 && is_default(audios.front(), domain.devices.graphics))
        audios.clear();
    for (auto& display : domain.devices.graphics) drop_chosen(display);
    for (auto& disk : domain.devices.disks)
        if (disk.source.empty() && !disk.driver.type) disk.driver.type = xml::StorageFormat::raw; // as every drive is defined
    std::erase_if(domain.seclabels, [](const xml::SecLabel& label) {                              // each host has its own
        return label.model == "dac" && label.type == xml::SecLabelType::dynamic && label.base_label.empty();
    });
    // Sockets whose place the host chose are chosen anew.
    for (auto& channel : domain.devices.channels)
        if (channel.source.type == xml::CharType::unix_ && channel.source.first().path.starts_with(lib + "/qemu/channel/"))
            channel.source.sources.clear();
}

} // namespace lodge::drivers::qemu
