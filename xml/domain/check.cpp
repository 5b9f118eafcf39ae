#include "xml/domain/check.hpp"
#include <algorithm>

namespace lodge::xml {

namespace {

// ---- while a document is read ----

void check_title(const Domain& d) {
    if (d.title.find('\n') != std::string::npos) broken("Domain title can't contain newlines");
}

void check_vcpus(const Domain& d) {
    if (d.vcpu && d.vcpu->current && *d.vcpu->current > d.vcpu->maximum)
        unsupported("maximum vCPU count must not be less than current vCPU count");
    if (d.vcpu && !d.vcpu->cpuset.empty()) numbers_of(d.vcpu->cpuset, "cpuset");
    std::set<unsigned> orders;
    for (const auto& vcpu : d.vcpus) {
        if (vcpu.id >= d.max_vcpus()) broken("vcpu id '{}' is out of range of maximum vcpu count", vcpu.id);
        if (vcpu.order && !orders.insert(*vcpu.order).second) broken("duplicate vcpu order '{}'", *vcpu.order);
    }
}

// libvirtd takes such a document, and dies of it later.
void check_some_vcpu(const Domain& d) {
    if (d.vcpu && d.vcpu->maximum == 0) broken("invalid maximum number of vCPUs '0'");
}

void check_iothreads(const Domain& d) {
    std::set<unsigned> ids;
    for (const auto& thread : d.iothread_ids)
        if (!ids.insert(thread.id).second) broken("duplicate iothread id '{}' found", thread.id);
}

void check_labels(const Domain& d) {
    std::set<std::string> models;
    for (const auto& label : d.seclabels) {
        const bool relabels = label.relabel && *label.relabel;
        if (label.type == SecLabelType::static_ && label.label.empty()) broken("security label is missing");
        if (label.type == SecLabelType::none && relabels)
            unsupported("resource relabeling is not compatible with 'none' label type");
        if (label.type == SecLabelType::dynamic && label.relabel && !relabels)
            unsupported("dynamic label type must use resource relabeling");
        if (!label.model.empty() && !models.insert(label.model).second)
            inconsistent("seclabel for model {} is already provided", label.model);
    }
}

void check_launch_security(const Domain& d) {
    if (d.launch_security && d.launch_security->type == LaunchSecurityType::sev && !d.launch_security->policy)
        broken("failed to get launch security policy");
}

void check_watchdogs(const Domain& d) {
    if (d.devices.watchdogs.size() > 1) malformed("only a single watchdog device is supported");
}

struct PartRow {
    const char* part; // where in the order of reading the check belongs
    void (*check)(const Domain&);
};
constexpr PartRow part_checks[] = {
    {"title", check_title},
    {"seclabel", check_labels},
    {"memoryBacking", check_huge_pages},
    {"blkiotune", check_blkio},
    {"vcpus", check_vcpus},
    {"iothreadids", check_iothreads},
    {"cputune", check_cpu_tune},
    {"cputune", check_resource_groups},
    {"cpu", check_guest_cpu},
    {"cpu", check_cells},
    {"numatune", check_numa_tune},
    {"features", check_features},
    {"perf", check_perf},
    {"clock", check_clock},
    {"os/type", check_architecture},
    {"os/firmware", check_firmware_features},
    {"os/acpi", check_acpi_tables},
    {"devices/controller", check_usb_controllers},
    {"devices/input", check_usb_inputs},
    {"devices/hostdev", check_usb_hostdevs},
    {"devices/watchdog", check_watchdogs},
    {"devices/hub", check_usb_hubs},
    {"launchSecurity", check_launch_security},
    {"sysinfo", check_sysinfo},
    {"keywrap", check_some_vcpu},
};

// ---- when devices have their defaults ----

void check_memory(const Domain& d) {
    std::uint64_t devices = 0, cells = 0;
    for (const auto& memory : d.devices.memories) devices += memory.target.size;
    if (d.cpu)
        for (const auto& cell : d.cpu->cells) cells += cell.memory_kib;
    const auto total = cells ? cells + devices : d.total_memory_kib();
    if (devices > total) broken("Total size of memory devices exceeds the total memory size");
    if (total == devices) broken("Memory size must be specified via <memory> or in the <numa> configuration");
    if (!d.max_memory) return;
    if (!d.max_memory->slots.value_or(0) != !d.max_memory->size)
        broken("both maximum memory size and memory slot count must be specified");
    if (d.max_memory->size && d.max_memory->size < total)
        broken("maximum memory size must be equal or greater than the actual memory size");
}

void check_enrolled_keys(const Os& os) {
    bool keys = false, refused = false;
    for (const auto& feature : os.firmware_features) {
        if (feature.name == "enrolled-keys") keys = feature.enabled;
        if (feature.name == "secure-boot") refused = !feature.enabled;
    }
    if (keys && refused)
        inconsistent("firmware feature 'enrolled-keys' cannot be enabled when firmware feature 'secure-boot' is disabled");
}

void check_indexes(const Devices& devices) {
    std::set<std::pair<ControllerType, unsigned>> seen;
    for (const auto& controller : devices.controllers)
        if (controller.type != ControllerType::usb && controller.index &&
            !seen.emplace(controller.type, *controller.index).second)
            broken("Multiple '{}' controllers with index '{}'", word(controller.type), *controller.index);
}

void check_panics(const Devices& devices) {
    std::set<PanicModel> seen;
    for (const auto& panic : devices.panics)
        if (panic.model && !seen.insert(*panic.model).second)
            broken("Multiple panic devices with model '{}'", word(*panic.model));
}

void check_boot_orders(const Domain& d) {
    std::set<unsigned> orders;
    const auto check = [&](const auto& devices) {
        for (const auto& device : devices)
            if (device.info.boot && !orders.insert(device.info.boot->order).second)
                unsupported("boot order '{}' used for more than one device", device.info.boot->order);
    };
    check(d.devices.disks);
    check(d.devices.interfaces);
    check(d.devices.hostdevs);
    check(d.devices.redirdevs);
    check(d.devices.filesystems);
    if (!orders.empty() && !d.os.boot.empty())
        unsupported("per-device boot elements cannot be used together with os/boot elements");
}

void check_consoles(const Devices& devices) {
    for (const auto& console : devices.consoles)
        if (console.target.type.value_or(ConsoleTargetType::serial) == ConsoleTargetType::serial &&
            &console != &devices.consoles.front())
            unsupported("Only the first console can be a serial port");
}

} // namespace

void check_enumerated(const char* attribute, const char* element, std::string_view value,
                      std::initializer_list<std::string_view> known) {
    if (std::ranges::find(known, value) == known.end())
        rpc::fail(From::xml, Code::xml_error, "Invalid value for attribute '{}' in element '{}': '{}'.", attribute, element,
                  value);
}

NumberSet numbers_of(const std::string& text, const char* what) {
    auto set = parse_number_set(text);
    if (!set) rpc::fail(Code::invalid_arg, "Failed to parse bitmap '{}'", text);
    if (what && set->empty()) unsupported("Invalid value of '{}': {}", what, text);
    return std::move(*set);
}

void check_parts(Doc& doc, const Domain& domain) {
    for (const auto& row : part_checks) doc.check(row.part, [&] { row.check(domain); });
}

void check_name(const Domain& d) {
    if (d.name.find('/') != std::string::npos) broken("name {} cannot contain '/'", d.name);
    if (d.name.find('\n') != std::string::npos) rpc::fail(From::xml, Code::xml_detail, "invalid char in name: \n");
    // They would name a folder of their own in every place where libvirt keeps files of a guest.
    if (d.name == "." || d.name == "..") broken("name {} is not allowed", d.name);
}

void check_domain(const Domain& domain) {
    if (domain.os.type.value == OsType::exe && domain.os.init.empty()) broken("init binary must be specified");
    check_memory(domain);
    check_enrolled_keys(domain.os);
    check_indexes(domain.devices);
    check_panics(domain.devices);
    if (domain.os.type.value == OsType::hvm) check_boot_orders(domain);
    check_consoles(domain.devices);
}

} // namespace lodge::xml
