#include "xml/domain/check.hpp"

namespace lodge::xml {

namespace {

void check_names(const Domain& d) {
    if (d.name.find('/') != std::string::npos) broken("name {} cannot contain '/'", d.name);
    if (d.name.find('\n') != std::string::npos) rpc::fail(From::xml, Code::xml_detail, "invalid char in name: \n");
    // They would name a folder of their own in every place where libvirt keeps files of a guest.
    if (d.name == "." || d.name == "..") broken("name {} is not allowed", d.name);
    if (d.title.find('\n') != std::string::npos) broken("Domain title can't contain newlines");
}

void check_memory(const Domain& d) {
    std::uint64_t total = d.total_memory_kib(), cells = 0, devices = 0;
    if (d.cpu)
        for (const auto& cell : d.cpu->cells) cells += cell.memory_kib;
    for (const auto& memory : d.devices.memories) devices += memory.target.size;
    // Where there are cells the total is theirs and the devices' together, whatever was said.
    if (!cells && devices > total) broken("Total size of memory devices exceeds the total memory size");
    if (!cells && devices == total) broken("Memory size must be specified via <memory> or in the <numa> configuration");
    if (!d.max_memory) return;
    if (!d.max_memory->slots && d.max_memory->size) broken("both maximum memory size and memory slot count must be specified");
    if (d.max_memory->size < d.total_memory_kib())
        broken("maximum memory size must be equal or greater than the actual memory size");
}

void check_vcpus(const Domain& d) {
    if (d.vcpu && d.vcpu->maximum == 0) broken("invalid maximum number of vCPUs '0'");
    if (d.vcpu && d.vcpu->current && *d.vcpu->current > d.vcpu->maximum)
        unsupported("maximum vCPU count must not be less than current vCPU count");
    if (d.vcpu && !d.vcpu->cpuset.empty()) numbers_of(d.vcpu->cpuset, "cpuset");
    std::set<unsigned> orders;
    for (const auto& vcpu : d.vcpus) {
        if (vcpu.id >= d.max_vcpus()) broken("vcpu id '{}' is out of range of maximum vcpu count", vcpu.id);
        if (vcpu.order && !orders.insert(*vcpu.order).second) broken("duplicate vcpu order '{}'", *vcpu.order);
    }
}

void check_iothreads(const Domain& d) {
    std::set<unsigned> ids;
    for (const auto& thread : d.iothread_ids)
        if (!ids.insert(thread.id).second) broken("duplicate iothread id '{}' found", thread.id);
}

void check_security(const Domain& d) {
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
    if (d.launch_security && d.launch_security->type == LaunchSecurityType::sev && !d.launch_security->policy)
        broken("failed to get launch security policy");
}

} // namespace

NumberSet numbers_of(const std::string& text, const char* what) {
    auto set = parse_number_set(text);
    if (!set) rpc::fail(Code::invalid_arg, "Failed to parse bitmap '{}'", text);
    if (what && set->empty()) unsupported("Invalid value of '{}': {}", what, text);
    return std::move(*set);
}

void check_domain(const Domain& domain) {
    check_names(domain);
    check_memory(domain);
    check_vcpus(domain);
    check_iothreads(domain);
    check_tuning(domain);
    check_os(domain);
    check_disks(domain);
    check_devices(domain);
    check_security(domain);
}

} // namespace lodge::xml
