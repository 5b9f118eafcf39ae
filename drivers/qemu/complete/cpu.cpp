#include "drivers/qemu/complete/steps.hpp"

namespace lodge::drivers::qemu {

using xml::CpuCheck;
using xml::CpuMode;

namespace {

// Whether the model must be one that the host can offer: only where the host's CPU runs the guest.
CpuCheck default_check(const xml::Cpu& cpu, bool kvm) {
    if (cpu.mode == CpuMode::host_passthrough || cpu.mode == CpuMode::maximum) return CpuCheck::none;
    if (cpu.mode == CpuMode::host_model) return CpuCheck::partial;
    return kvm ? CpuCheck::partial : CpuCheck::none;
}

void use_default_model(xml::Cpu& cpu, const std::string& model) {
    cpu.mode = CpuMode::custom;
    cpu.match = xml::CpuMatch::exact;
    cpu.check = CpuCheck::none;
    cpu.model.emplace().name = model;
    cpu.model->fallback = xml::CpuFallback::forbid;
}

} // namespace

void complete_cpu(xml::Domain& domain, const CompleteContext& ctx) {
    if (!domain.cpu) domain.cpu.emplace();
    auto& cpu = *domain.cpu;
    if (cpu.topology && !cpu.topology->dies) cpu.topology->dies = 1;
    const auto& emulator = emulator_of(domain, ctx);
    const bool named = cpu.model && !cpu.model->name.empty();
    if (!cpu.mode && named) cpu.mode = CpuMode::custom;
    if (!cpu.mode || (cpu.mode == CpuMode::custom && !named)) {
        const auto* machine = emulator.machine(domain.os.type.machine);
        return use_default_model(cpu, machine ? machine->default_cpu : "qemu64");
    }
    if (cpu.mode == CpuMode::custom) {
        if (!cpu.match) cpu.match = xml::CpuMatch::exact;
        if (!cpu.model->fallback) cpu.model->fallback = xml::CpuFallback::allow;
    } else {
        cpu.match.reset();
    }
    if (!cpu.check) cpu.check = default_check(cpu, domain.type == xml::VirtType::kvm);
    if (cpu.mode == CpuMode::host_passthrough && !cpu.migratable) cpu.migratable = emulator.migratable_cpu;
    for (auto& feature : cpu.features)
        if (!feature.policy) feature.policy = xml::FeaturePolicy::require;
}

} // namespace lodge::drivers::qemu
