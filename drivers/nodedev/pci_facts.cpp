// PCI devices: identity, place, functions of its own or of others, IOMMU group, and the link that its configuration space tells
// of.
#include "drivers/host/sysfs.hpp"
#include "drivers/nodedev/device_facts.hpp"
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <pciaccess.h>

namespace lodge::drivers {

namespace fs = std::filesystem;

namespace {

// "0000:00:02.0"
std::optional<xml::NodePciAddress> pci_address(const std::string& name) {
    unsigned domain = 0, bus = 0, slot = 0, function = 0;
    int end = 0;
    if (std::sscanf(name.c_str(), "%x:%x:%x.%x%n", &domain, &bus, &slot, &function, &end) != 4) return std::nullopt;
    if (static_cast<std::size_t>(end) != name.size()) return std::nullopt;
    return xml::NodePciAddress{domain, bus, slot, function};
}

std::optional<xml::NodePciAddress> link_target(const fs::path& link) {
    std::error_code error;
    const auto target = fs::read_symlink(link, error);
    return error ? std::nullopt : pci_address(target.filename());
}

// Names from pci.ids. The library keeps one file open and is not made for threads.
void name_products(xml::NodeCapability& pci) {
    static std::mutex lock;
    const std::lock_guard guard(lock);
    static const bool usable = pci_system_init() == 0;
    if (!usable) return;
    pci_id_match match{};
    match.vendor_id = static_cast<std::uint32_t>(pci.vendor.id.value);
    match.device_id = static_cast<std::uint32_t>(pci.product.id.value);
    match.subvendor_id = match.subdevice_id = static_cast<std::uint32_t>(PCI_MATCH_ANY);
    const char *product = nullptr, *vendor = nullptr;
    pci_get_strings(&match, &product, &vendor, nullptr, nullptr);
    pci.product.name = product ? product : "";
    pci.vendor.name = vendor ? vendor : "";
}

void functions(const std::string& path, xml::NodeCapability& pci) {
    if (const auto physical = link_target(path + "/physfn")) {
        xml::NodeDetail detail;
        detail.type = "phys_function";
        detail.addresses.push_back(*physical);
        pci.details.push_back(std::move(detail));
    }
    const auto possible = read_number(path + "/sriov_totalvfs").value_or(0);
    xml::NodeDetail detail;
    detail.type = "virt_functions";
    for (unsigned i = 0; const auto address = link_target(fmt::format("{}/virtfn{}", path, i)); ++i)
        detail.addresses.push_back(*address);
    if (possible == 0 && detail.addresses.empty()) return;
    if (possible > 0) detail.max_count = static_cast<unsigned>(possible);
    pci.details.push_back(std::move(detail));
}

void iommu_group(const std::string& path, xml::NodeCapability& pci) {
    std::error_code error;
    const auto group = fs::canonical(path + "/iommu_group", error);
    if (error) return;
    xml::NodeIommuGroup found;
    found.number = static_cast<unsigned>(UdevDevice::parse(group.filename(), 10).value_or(0));
    std::map<std::string, xml::NodePciAddress> members;
    for (const auto& entry : fs::directory_iterator(group / "devices", error))
        if (const auto address = pci_address(entry.path().filename())) members.emplace(entry.path().filename(), *address);
    for (const auto& [name, address] : members) found.devices.push_back(address);
    if (!found.devices.empty()) pci.iommu_group = std::move(found);
}

// The configuration space, of which users other than root see the first 64 bytes only.
class ConfigSpace {
  public:
    explicit ConfigSpace(const std::string& path) {
        std::ifstream file(path + "/config", std::ios::binary);
        bytes_.resize(256);
        file.read(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
        bytes_.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
    }
    unsigned byte(std::size_t at) const { return at < bytes_.size() ? static_cast<unsigned char>(bytes_[at]) : 0U; }
    unsigned word(std::size_t at) const { return byte(at) | byte(at + 1) << 8; }
    unsigned long_word(std::size_t at) const { return word(at) | word(at + 2) << 16; }
    // Where a capability's structure begins; 0: there is none.
    std::size_t capability(unsigned id) const {
        constexpr std::size_t status = 0x06, first = 0x34;
        constexpr unsigned has_list = 0x10;
        if (!(byte(status) & has_list)) return 0;
        std::size_t at = byte(first) & ~3U;
        for (int left = 48; at >= 0x40 && left > 0; --left, at = byte(at + 1) & ~3U)
            if (byte(at) == id) return at;
        return 0;
    }

  private:
    std::string bytes_;
};

xml::NodePciLink link(const char* validity, unsigned speed, unsigned width) {
    static constexpr const char* speeds[] = {"", "2.5", "5", "8", "16", "32", "64"};
    xml::NodePciLink found;
    found.validity = validity;
    if (speed < std::size(speeds)) found.speed = speeds[speed];
    found.width = width;
    return found;
}

void config_facts(const std::string& path, xml::NodeCapability& pci) {
    const ConfigSpace config(path);
    const auto header = config.byte(0x0e) & 0x7f;
    if (header == 1 || header == 2) {
        xml::NodeDetail detail;
        detail.type = header == 1 ? "pci-bridge" : "cardbus-bridge";
        pci.details.push_back(std::move(detail));
    }
    constexpr unsigned express_id = 0x10;
    const auto express = config.capability(express_id);
    if (express == 0) {
        // Says nothing of a link; but only PCI Express devices have more than the 256 bytes of old.
        std::error_code error;
        if (const auto size = fs::file_size(path + "/config", error); !error && size != 256) pci.express.emplace();
        return;
    }
    pci.express.emplace();
    const auto kind = config.word(express + 2) >> 4 & 0xf;
    constexpr unsigned in_root_complex = 0x9, event_collector = 0xa; // these hang on no link
    if (kind == in_root_complex || kind == event_collector) return;
    const auto able = config.long_word(express + 0x0c), now = config.word(express + 0x12);
    pci.express->links.push_back(link("cap", able & 0xf, able >> 4 & 0x3f));
    pci.express->links.back().port = able >> 24;
    pci.express->links.push_back(link("sta", now & 0xf, now >> 4 & 0x3f));
}

} // namespace

bool pci_facts(const UdevDevice& device, xml::NodeCapability& pci) {
    const auto kind = device.number_property("PCI_CLASS", 16), vendor = device.number("vendor", 16),
               product = device.number("device", 16);
    const auto address = pci_address(device.name());
    if (!kind || !vendor || !product || !address) return false;
    const auto path = device.path();
    pci.pci_class = xml::Hex<6>(*kind);
    pci.domain = static_cast<unsigned>(address->domain);
    pci.bus = static_cast<unsigned>(address->bus);
    pci.slot = static_cast<unsigned>(address->slot);
    pci.function = static_cast<unsigned>(address->function);
    pci.vendor.id = *vendor;
    pci.product.id = *product;
    name_products(pci);
    functions(path, pci);
    if (geteuid() == 0) config_facts(path, pci);
    if (auto types = mdev_types_of(path)) pci.details.push_back(std::move(*types));
    iommu_group(path, pci);
    if (const auto node = device.attribute("numa_node"); !node.empty() && node[0] != '-')
        pci.numa = xml::NodeNuma{std::atoi(node.c_str())};
    return true;
}

} // namespace lodge::drivers
