#include "drivers/qemu/complete/validate.hpp"
#include <bit>

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::Nic;
using xml::NicType;

namespace {

// User networking gives the guest addresses of our choice, within limits.
void check_user_addresses(const Nic& nic) {
    apply({{!nic.routes.empty(), "Invalid attempt to set network interface guest-side IP route, not supported by QEMU"}});
    bool v4 = false, v6 = false;
    for (const auto& ip : nic.ips) {
        const auto prefix = ip.prefix.value_or(0);
        apply({{ip.peer.valid(), "Invalid attempt to set peer IP for guest"}});
        if (!ip.address.is_v6()) {
            apply({{v4, "Only one IPv4 address per interface is allowed"}});
            v4 = true;
            apply({{prefix > 0 && (prefix < 4 || prefix > 27), "invalid prefix, must be in range of 4-27"}}, Code::xml_error);
        } else {
            apply({{v6, "Only one IPv6 address per interface is allowed"}});
            v6 = true;
            if (prefix && prefix != 64) unsupported(From::qemu, "unsupported IPv6 address prefix='{}' - must be 64", prefix);
        }
    }
}

void check_addresses(const Nic& nic) {
    if (nic.type == NicType::user) return check_user_addresses(nic);
    if (nic.type == NicType::vdpa) {
        if (nic.model != "virtio")
            unsupported(From::qemu, "invalid model for interface of type '{}': '{}'", xml::word(nic.type), nic.model);
        return;
    }
    apply({{!nic.ips.empty() || !nic.routes.empty(),
            "Invalid attempt to set network interface guest-side IP route and/or address info, not supported by QEMU"}});
}

void check_queues(const Nic& nic) {
    if (!nic.is_virtio()) return;
    const auto odd = [](const std::optional<std::uint32_t>& size) { return size.value_or(0) && !std::has_single_bit(*size); };
    apply({{odd(nic.driver.rx_queue_size), "rx_queue_size has to be a power of two"},
           {odd(nic.driver.tx_queue_size), "tx_queue_size has to be a power of two"}});
}

void check_plug(const Nic& nic) {
    using enum NicType;
    const auto type = nic.type;
    const bool sets_mtu = type == network || type == bridge || type == ethernet || type == vhostuser;
    if (nic.mtu.value_or(0) && !sets_mtu)
        unsupported(From::qemu, "setting MTU on interface type {} is not supported yet", xml::word(type));
    if (nic.teaming && nic.teaming->type == "persistent" && !nic.is_virtio())
        unsupported(From::qemu, "virtio-net teaming persistent interface must be <model type='virtio'/>, not '{}'", nic.model);
    if (nic.teaming && nic.teaming->type == "transient" && type != hostdev && type != network)
        unsupported(From::qemu, "virtio-net teaming transient interface must be type='hostdev', not '{}'", xml::word(type));
    if (nic.coalesce_rx_max && type != network && type != bridge)
        unsupported(From::qemu, "coalesce settings on interface type {} are not supported", xml::word(type));
}

} // namespace

void validate_device(const Nic& nic, const Guest&) {
    check_addresses(nic);
    check_queues(nic);
    check_plug(nic);
}

} // namespace lodge::drivers::qemu
