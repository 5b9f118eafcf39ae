// Networks of hardware: a physical function (SR-IOV) lends its virtual ones, to guests themselves or as links of the host.
#include "drivers/network/network_driver.hpp"
#include <cstdio>
#include <filesystem>

namespace fs = std::filesystem;

namespace lodge::drivers {

namespace {

std::vector<fs::path> functions_of(const fs::path& device) {
    std::vector<fs::path> found;
    std::error_code error;
    for (unsigned number = 0;; ++number) {
        const auto path = fs::canonical(device / fmt::format("virtfn{}", number), error);
        if (error) return found;
        found.push_back(path);
    }
}

std::string link_of(const fs::path& function) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(function / "net", error)) return entry.path().filename();
    return ""; // it belongs to no driver of the host's, or to a guest
}

std::optional<xml::ForwardPciAddress> address_of(const fs::path& function) {
    xml::ForwardPciAddress address;
    unsigned domain = 0, bus = 0, slot = 0, number = 0;
    if (std::sscanf(function.filename().c_str(), "%x:%x:%x.%x", &domain, &bus, &slot, &number) != 4) return std::nullopt;
    address.type = "pci";
    address.domain.value = domain;
    address.bus.value = bus;
    address.slot.value = slot;
    address.function.value = number;
    return address;
}

} // namespace

void find_virtual_functions(xml::Network& network, const std::string& sysfs) {
    if (!network.forward || network.forward->pfs.empty()) return;
    auto& forward = *network.forward;
    if (!forward.interfaces.empty() || !forward.addresses.empty()) return;
    const std::string& physical = forward.pfs.front().dev;
    for (const auto& function : functions_of(fs::path(sysfs) / "class/net" / physical / "device")) {
        if (forward.mode == xml::ForwardMode::hostdev) {
            if (const auto address = address_of(function)) forward.addresses.push_back(*address);
        } else if (const auto link = link_of(function); !link.empty()) {
            forward.interfaces.emplace_back().dev = link;
        }
    }
    if (forward.interfaces.empty() && forward.addresses.empty())
        rpc::fail(rpc::From::network, Code::internal_error, "No usable Vf's present on SRIOV PF {}", physical);
}

} // namespace lodge::drivers
