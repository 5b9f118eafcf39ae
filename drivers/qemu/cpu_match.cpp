#include "drivers/qemu/cpu_match.hpp"
#include "drivers/host/node.hpp"
#include "drivers/qemu/capabilities.hpp"
#include "drivers/qemu/cpu_names.hpp"
#include "rpc/error.hpp"

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::CpuMode;
using xml::FeaturePolicy;

namespace {

// What QEMU says its "host" (TCG: "max") CPU has, in the map's bits.
CpuFacts facts_of(const EmulatorInfo& emulator, const CpuModels& map, bool only_migratable) {
    CpuFacts facts;
    facts.vendor = map.vendor_of(emulator.cpu_vendor);
    facts.family = emulator.cpu_family;
    facts.model = emulator.cpu_model;
    facts.stepping = emulator.cpu_stepping;
    for (const auto& [name, property] : emulator.cpu_properties)
        if (property.on && (property.migratable || !only_migratable))
            if (const auto* feature = map.feature(feature_from_qemu(name))) facts.bits |= feature->bits;
    return facts;
}

xml::Cpu as_guest(xml::Cpu cpu) {
    cpu.mode = CpuMode::custom;
    cpu.match = xml::CpuMatch::exact;
    cpu.model->fallback = xml::CpuFallback::forbid;
    return cpu;
}

// All that the host's own CPU has, and what KVM adds to it.
xml::Cpu full_cpu(const CpuModels& map, const xml::Cpu& reported) {
    xml::Cpu full = as_guest(describe_cpu(map, this_cpu(), {}));
    xml::Cpu expanded = reported;
    expand_features(map, expanded);
    for (const auto& feature : expanded.features)
        if (feature.policy == FeaturePolicy::require) set_feature(full, feature.name, FeaturePolicy::require);
    return full;
}

} // namespace

HypervisorCpu hypervisor_cpu(const EmulatorInfo& emulator) {
    HypervisorCpu hypervisor;
    hypervisor.arch = architecture_name(emulator.arch);
    hypervisor.emulator = emulator.path;
    hypervisor.virt_type = emulator.kvm ? "kvm" : "qemu";
    for (const auto& cpu : emulator.cpus) {
        CpuOffer offer{cpu.name, {}, cpu.deprecated};
        for (const auto& name : cpu.unavailable) offer.blockers.push_back(feature_from_qemu(name));
        hypervisor.models.push_back(std::move(offer));
    }
    const bool x86 = hypervisor.arch == "x86_64" || hypervisor.arch == "i686";
    if (!x86 || emulator.cpu_properties.empty() || cpu_map().models.empty()) return hypervisor;
    for (const auto& [name, property] : emulator.cpu_properties) {
        const std::string known = feature_from_qemu(name);
        hypervisor.features.insert(known);
        if (property.migratable) hypervisor.migratable_features.insert(known);
    }
    const auto& map = cpu_map();
    const DescribeOptions options{.among = &hypervisor.models};
    hypervisor.reported = as_guest(describe_cpu(map, facts_of(emulator, map, false), options));
    hypervisor.migratable = as_guest(describe_cpu(map, facts_of(emulator, map, true), options));
    hypervisor.full = emulator.kvm ? full_cpu(map, *hypervisor.reported) : *hypervisor.reported;
    return hypervisor;
}

std::shared_ptr<const HypervisorCpu> HypervisorCpus::of(std::shared_ptr<const EmulatorInfo> emulator) {
    auto& known = known_[emulator];
    if (!known) {
        known = std::make_shared<const HypervisorCpu>(hypervisor_cpu(*emulator));
        // Those of binaries that have changed meanwhile are held by nobody else.
        std::erase_if(known_, [&](const auto& entry) { return entry.first != emulator && entry.first.use_count() == 1; });
    }
    return known_[emulator];
}

namespace {

void check_mode(const xml::Domain& domain, const HypervisorCpu& hypervisor) {
    const auto mode = domain.cpu->mode.value_or(CpuMode::custom);
    const bool kvm = domain.type == xml::VirtType::kvm;
    if ((mode != CpuMode::host_passthrough || kvm) && (mode != CpuMode::host_model || hypervisor.reported)) return;
    rpc::fail(From::qemu, Code::config_unsupported, "CPU mode '{}' for {} {} domain on {} host is not supported by hypervisor",
              xml::word(mode), domain.os.type.arch, xml::word(domain.type), host_architecture());
}

void check_forbidden(const xml::Cpu& cpu, const xml::Cpu& host) {
    for (const auto& feature : cpu.features) {
        if (feature.policy != FeaturePolicy::forbid) continue;
        for (const auto& has : host.features)
            if (has.name == feature.name && has.policy != FeaturePolicy::disable)
                rpc::fail(From::cpu, Code::cpu_incompatible, "Host CPU provides forbidden feature '{}'", feature.name);
    }
}

} // namespace

void settle_guest_cpu(xml::Domain& domain, const HypervisorCpu& hypervisor) {
    if (!domain.cpu || !hypervisor.reported) return;
    auto& cpu = *domain.cpu;
    const auto mode = cpu.mode.value_or(CpuMode::custom);
    if (mode == CpuMode::custom && (!cpu.model || cpu.model->name.empty())) return; // topology or NUMA only
    const auto& map = cpu_map();
    check_mode(domain, hypervisor);
    if (cpu.check != xml::CpuCheck::none) check_forbidden(cpu, *hypervisor.full);
    if (mode == CpuMode::custom || mode == CpuMode::host_model) {
        if (cpu.check == xml::CpuCheck::partial)
            if (const auto verdict = compare_cpus(map, *hypervisor.full, cpu); verdict.result == CpuComparison::incompatible)
                rpc::fail(From::cpu, Code::cpu_incompatible, "{}", verdict.why);
        settle_cpu(map, cpu, &*hypervisor.migratable);
        translate_cpu(map, cpu, hypervisor.models);
        cpu.model->fallback = xml::CpuFallback::forbid;
    }
    drop_hosts_own_features(cpu);
    // What QEMU does not know cannot be switched off, and need not be.
    std::erase_if(cpu.features, [&](const auto& feature) {
        const bool off = feature.policy == FeaturePolicy::disable || feature.policy == FeaturePolicy::forbid;
        return off && !hypervisor.features.contains(feature.name);
    });
}

namespace {

// The property "feature-words": what CPUID tells the guest, register by register.
CpuBits bits_in(const json& feature_words) {
    static constexpr std::string_view parts[] = {"EAX", "EBX", "ECX", "EDX"};
    const auto& map = cpu_map();
    CpuBits bits;
    for (const auto& word : feature_words) {
        const auto* at = map.cpuid(word.value("cpuid-input-eax", 0U), word.value("cpuid-input-ecx", 0U));
        const auto part = std::ranges::find(parts, word.value("cpuid-register", ""));
        if (at && part != std::end(parts))
            map.take(bits, *at, static_cast<std::size_t>(part - parts), word.value("features", std::uint32_t{0}));
    }
    return bits;
}

bool is_msr_feature(const CpuModels& map, const CpuFeature& feature) {
    for (const auto& at : map.registers)
        if (at.is_msr)
            for (const auto& part : at.numbers)
                for (const auto number : part)
                    if (number >= 0 && feature.bits.test(static_cast<std::size_t>(number))) return true;
    return false;
}

} // namespace

Task<> take_real_cpu(Qmp& qmp, std::string vcpu_path, xml::Domain& domain) {
    if (!domain.cpu || cpu_map().models.empty() || (domain.os.type.arch != "x86_64" && domain.os.type.arch != "i686")) co_return;
    if (domain.cpu->mode == xml::CpuMode::custom && (!domain.cpu->model || domain.cpu->model->name.empty())) co_return;
    const auto& map = cpu_map();
    const auto get = [&](const std::string& property) {
        return qmp.send("qom-get", {{"path", vcpu_path}, {"property", property}});
    };
    auto words = get("feature-words"), unavailable = get("unavailable-features");
    // Registers of the model's own are told feature by feature, and only KVM has any.
    std::vector<std::pair<const CpuFeature*, Qmp::Pending>> others;
    if (domain.type == xml::VirtType::kvm)
        for (const auto& feature : map.features)
            if (is_msr_feature(map, feature)) others.emplace_back(&feature, get(feature_to_qemu(feature.name)));
    const json has = co_await words.reply(), has_not = co_await unavailable.reply();
    if (!has.contains("return") || !has_not.contains("return")) co_return; // an emulator that does not tell
    CpuBits enabled = bits_in(has["return"]), refused;
    for (const auto& name : has_not["return"])
        if (const auto* feature = map.feature(feature_from_qemu(name.get<std::string>()))) refused |= feature->bits;
    for (auto& [feature, pending] : others)
        if (const json reply = co_await pending.reply(); reply.value("return", json()) == true) enabled |= feature->bits;
    take_real_features(map, *domain.cpu, enabled, refused);
}

} // namespace lodge::drivers::qemu
