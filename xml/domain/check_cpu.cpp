// What must hold in a <cpu>, be it a guest's or one that is only compared.
#include "xml/domain/check_cpu.hpp"
#include <set>

namespace lodge::xml {

namespace {

[[noreturn]] void refuse(std::string_view text) { rpc::fail(From::cpu, Code::xml_error, "{}", text); }

bool has_model(const Cpu& cpu) { return cpu.model && !cpu.model->name.empty(); }

void check_kind(const Cpu& cpu, CpuKind kind) {
    const bool host = kind == CpuKind::host || !cpu.arch.empty();
    if (!host) return;
    if (kind == CpuKind::any && cpu.match) refuse("'arch' element cannot be used inside 'cpu' element with 'match' attribute'");
    if (cpu.mode) rpc::fail(From::cpu, Code::config_unsupported, "Attribute mode is only allowed for guest CPU");
    if (cpu.arch.empty()) refuse("Missing CPU architecture");
    if (!has_model(cpu)) refuse("Missing CPU model name");
}

} // namespace

void check_cpu(const Cpu& cpu) {
    const bool custom = !cpu.mode || cpu.mode == CpuMode::custom;
    if (cpu.migratable && cpu.mode != CpuMode::host_passthrough && cpu.mode != CpuMode::maximum)
        rpc::fail(From::cpu, Code::config_unsupported,
                  "Attribute migratable is only allowed for 'host-passthrough' / 'maximum' CPU mode");
    if (custom && !has_model(cpu) && !cpu.vendor.empty()) refuse("CPU vendor specified without CPU model");
    if (custom && !has_model(cpu) && !cpu.features.empty()) refuse("Non-empty feature list specified without CPU model");
    if (cpu.model && !cpu.model->vendor_id.empty()) {
        if (cpu.model->vendor_id.size() != 12) refuse("vendor_id must be exactly 12 characters long");
        if (cpu.model->vendor_id.find(',') != std::string::npos) refuse("vendor id is invalid");
    }
    if (cpu.cache && cpu.cache->level && (*cpu.cache->level < 1 || *cpu.cache->level > 3))
        refuse("invalid CPU cache level, must be in range [1,3]");
    std::set<std::string> names;
    for (const auto& feature : cpu.features)
        if (!names.insert(feature.name).second) refuse(fmt::format("CPU feature '{}' specified more than once", feature.name));
}

Cpu parse_cpu(std::string_view text, CpuKind kind) {
    Cpu cpu = parse<Cpu>(text, "cpu", {.from = From::cpu, .where = "(CPU_definition)"});
    check_kind(cpu, kind);
    const bool host = !cpu.arch.empty();
    check_cpu(cpu);
    for (auto& feature : cpu.features) {
        if (host) feature.policy.reset();
        if (!host && !feature.policy) feature.policy = FeaturePolicy::require;
    }
    if (!host && !cpu.mode) cpu.mode = CpuMode::custom;
    if (!host && cpu.mode == CpuMode::custom && !cpu.match && has_model(cpu)) cpu.match = CpuMatch::exact;
    return cpu;
}

} // namespace lodge::xml
