#include "drivers/qemu/complete/steps.hpp"
#include "xml/domain/nic_models.hpp"
#include <algorithm>

namespace lodge::drivers::qemu {

using xml::Nic;
using xml::NicType;

namespace {

bool same_word(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) { return std::tolower(x) == std::tolower(y); });
}

void complete_model(Nic& nic) {
    if (nic.model.empty() && nic.type != NicType::hostdev) nic.model = nic.type == NicType::vdpa ? "virtio" : "rtl8139";
    for (const auto model : xml::known_nic_models()) // however its name is spelled
        if (same_word(nic.model, model)) nic.model = model;
}

void complete_family(xml::NicIp& ip) {
    if (ip.family.empty() && ip.address.valid()) ip.family = ip.address.is_v6() ? "ipv6" : "ipv4";
}

void complete_nic(Nic& nic) {
    for (auto& ip : nic.ips) complete_family(ip);
    for (auto& ip : nic.source.ips) complete_family(ip);
    if (!nic.mac.address) nic.mac.address = xml::MacAddress::random();
    complete_model(nic);
    if (nic.type == NicType::direct && !nic.source.mode) nic.source.mode = xml::MacvtapMode::vepa;
    if (!nic.is_virtio()) nic.backend.vhost.clear();
    if (nic.type == NicType::hostdev && nic.source.hostdev_type == xml::HostdevType::usb) nic.driver = {};
    if (nic.coalesce_rx_max == 0u) nic.coalesce_rx_max.reset();
    const bool filtered = nic.type == NicType::network || nic.type == NicType::bridge || nic.type == NicType::ethernet;
    if (!filtered) nic.filterref.reset();
    if (nic.filterref) xml::normalize_filter_ref(*nic.filterref);
}

} // namespace

void complete_nics(xml::Domain& domain) {
    for (auto& nic : domain.devices.interfaces) complete_nic(nic);
}

} // namespace lodge::drivers::qemu
