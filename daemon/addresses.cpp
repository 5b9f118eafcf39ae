#include "daemon/addresses.hpp"
#include "daemon/networks.hpp"
#include "drivers/host/netlink.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

static remote::DomainInterface& entry(std::vector<remote::DomainInterface>& list, const xml::Nic& nic) {
    const std::string mac = nic.mac.address ? nic.mac.address->text() : "";
    for (auto& one : list)
        if (one.name == nic.target.dev && one.hwaddr == mac) return one;
    return list.emplace_back(remote::DomainInterface{nic.target.dev, mac, {}});
}

Task<std::vector<remote::DomainInterface>> leased_addresses(Host& host, std::shared_ptr<const xml::Domain> document) {
    std::vector<remote::DomainInterface> out;
    for (const auto& nic : document->devices.interfaces) {
        if (nic.type != xml::NicType::network || !nic.mac.address) continue;
        for (const auto& lease : co_await host.networks().leases(host.networks().find_name(nic.source.network), nic.mac.address))
            entry(out, nic).addrs.push_back({lease.ipv6 ? 1 : 0, lease.ip, lease.prefix});
    }
    co_return out;
}

Task<std::vector<remote::DomainInterface>> seen_addresses(std::shared_ptr<const xml::Domain> document) {
    const auto neighbours = co_await rpc::blocking_result([] { return drivers::Netlink().neighbours(); });
    std::vector<remote::DomainInterface> out;
    for (const auto& nic : document->devices.interfaces) {
        if (!nic.mac.address) continue;
        for (const auto& neighbour : neighbours)
            if (neighbour.mac == nic.mac.address->text())
                entry(out, nic).addrs.push_back({neighbour.address.is_v6() ? 1 : 0, neighbour.address.text(), 0});
    }
    co_return out;
}

Task<std::string> leased_hostname(Host& host, std::shared_ptr<const xml::Domain> document) {
    for (const auto& nic : document->devices.interfaces) {
        if (nic.type != xml::NicType::network || !nic.mac.address) continue;
        for (const auto& lease : co_await host.networks().leases(host.networks().find_name(nic.source.network), nic.mac.address))
            if (!lease.hostname.empty()) co_return lease.hostname;
    }
    co_return std::string();
}

} // namespace lodge::daemon
