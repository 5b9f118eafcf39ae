// -cpu and -smp.
#include "drivers/host/cpu_model.hpp"
#include "drivers/qemu/command_line/builder.hpp"
#include "drivers/qemu/cpu_names.hpp"
#include <algorithm>
#include <array>

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

// What depends on the host (policy='optional', mode='host-model') has been settled before.
void add_features(std::string& words, const Cpu& cpu) {
    for (const auto& feature : cpu.features) {
        if (is_hosts_own_feature(feature.name)) continue;
        const FeaturePolicy policy = feature.policy.value_or(FeaturePolicy::require);
        const bool on = policy == FeaturePolicy::require || policy == FeaturePolicy::force;
        words += fmt::format(",{}={}", feature_to_qemu(feature.name), on_off(on));
    }
}

std::string model_words(const Builder& builder, const Cpu& cpu) {
    switch (cpu.mode.value_or(CpuMode::custom)) {
    case CpuMode::host_passthrough: {
        std::string words = "host";
        if (cpu.migratable && builder.ctx.emulator.cpu_migratable)
            words += fmt::format(",migratable={}", on_off(*cpu.migratable));
        return words;
    }
    case CpuMode::maximum: {
        std::string words = "max";
        if (cpu.migratable) words += fmt::format(",migratable={}", on_off(*cpu.migratable));
        return words;
    }
    case CpuMode::host_model:
        if (!cpu.model || cpu.model->name.empty()) return "host"; // a host whose CPU nobody can name
        break;
    case CpuMode::custom: break;
    }
    if (!cpu.model) return "qemu64";
    std::string words = cpu.model->name;
    if (!cpu.model->vendor_id.empty()) words += ",vendor=" + cpu.model->vendor_id;
    return words;
}

// Without a state a feature is on.
bool switched_on(const std::optional<OnOff>& state) { return !state || *state; }

bool timer_present(const Timer& timer) { return !timer.present || *timer.present; }

void add_timers(std::string& words, const Domain& domain) {
    if (!domain.clock) return;
    for (const auto& timer : domain.clock->timers) {
        if (timer.name == TimerName::kvmclock && timer.present) words += fmt::format(",kvmclock={}", on_off(*timer.present));
        if (timer.name == TimerName::hypervclock && timer_present(timer)) words += ",hv-time=on";
        if (timer.name == TimerName::tsc && timer.frequency) words += fmt::format(",tsc-frequency={}", *timer.frequency);
    }
}

void add_hyperv(std::string& words, const Hyperv& hyperv) {
    if (hyperv.mode == HypervMode::passthrough) {
        words += ",hv-passthrough=on";
        return;
    }
    const auto flag = [&](std::string_view name, const auto& feature) {
        if (feature && switched_on(feature->state)) words += fmt::format(",hv-{}=on", name);
    };
    flag("relaxed", hyperv.relaxed);
    flag("vapic", hyperv.vapic);
    if (hyperv.spinlocks && switched_on(hyperv.spinlocks->state))
        words += fmt::format(",hv-spinlocks=0x{:x}", hyperv.spinlocks->retries.value_or(0));
    flag("vpindex", hyperv.vpindex);
    flag("runtime", hyperv.runtime);
    flag("synic", hyperv.synic);
    flag("stimer", hyperv.stimer);
    if (hyperv.stimer && hyperv.stimer->direct && switched_on(hyperv.stimer->direct->state)) words += ",hv-stimer-direct=on";
    flag("reset", hyperv.reset);
    if (hyperv.vendor_id && switched_on(hyperv.vendor_id->state)) words += ",hv-vendor-id=" + escape(hyperv.vendor_id->value);
    flag("frequencies", hyperv.frequencies);
    flag("reenlightenment", hyperv.reenlightenment);
    flag("tlbflush", hyperv.tlbflush);
    flag("ipi", hyperv.ipi);
    flag("evmcs", hyperv.evmcs);
    flag("avic", hyperv.avic);
}

void add_kvm(std::string& words, const KvmFeatures& kvm) {
    if (is_on(kvm.hidden)) words += ",kvm=off";
    if (is_on(kvm.hint_dedicated)) words += ",kvm-hint-dedicated=on";
    if (is_on(kvm.poll_control)) words += ",kvm-poll-control=on";
    if (kvm.pv_ipi && !is_on(kvm.pv_ipi)) words += ",kvm-pv-ipi=off";
}

// Only models of the host's own have its caches to hide.
void add_cache(std::string& words, const Cpu& cpu) {
    const auto mode = cpu.cache->mode;
    if (mode == CacheMode::emulate) words += ",l3-cache=on";
    if (mode == CacheMode::passthrough)
        words += ",host-cache-info=on";
    else if (cpu.mode == CpuMode::host_passthrough || cpu.mode == CpuMode::maximum)
        words += ",host-cache-info=off";
    if (mode != CacheMode::emulate) words += ",l3-cache=off";
}

void add_paravirtual(std::string& words, const Features& features) {
    if (features.apic && features.apic->eoi) words += fmt::format(",kvm-pv-eoi={}", on_off(*features.apic->eoi));
    if (features.pvspinlock) words += fmt::format(",kvm-pv-unhalt={}", on_off(is_on(features.pvspinlock)));
}

bool has_hyperv_panic(const Domain& domain) {
    for (const auto& panic : domain.devices.panics)
        if (panic.model == PanicModel::hyperv) return true;
    return false;
}

} // namespace

void add_cpu(Builder& builder) {
    const Domain& domain = builder.domain;
    static const Cpu none;
    const Cpu& cpu = domain.cpu ? *domain.cpu : none;
    std::string words = model_words(builder, cpu);
    add_features(words, cpu);
    add_timers(words, domain);
    const Features& features = features_of(domain);
    add_paravirtual(words, features);
    if (features.hyperv) add_hyperv(words, *features.hyperv);
    if (has_hyperv_panic(domain)) words += ",hv-crash";
    if (features.kvm) add_kvm(words, *features.kvm);
    if (features.pmu) words += fmt::format(",pmu={}", on_off(is_on(features.pmu)));
    if (cpu.cache) add_cache(words, cpu);
    if (cpu.max_phys_addr) {
        if (cpu.max_phys_addr->mode == MaxPhysAddrMode::passthrough)
            words += ",host-phys-bits=on";
        else if (cpu.max_phys_addr->bits)
            words += fmt::format(",phys-bits={}", *cpu.max_phys_addr->bits);
    }
    builder.option("-cpu", words);
}

void add_smp(Builder& builder) {
    const Domain& domain = builder.domain;
    const unsigned maximum = domain.max_vcpus();
    // vCPUs that can be unplugged are plugged after start; the others are there from the beginning.
    unsigned online = domain.online_vcpus();
    if (!domain.vcpus.empty()) {
        online = 0;
        for (const auto& vcpu : domain.vcpus) online += vcpu.enabled && !(vcpu.hotpluggable && *vcpu.hotpluggable);
        if (online == 0) online = domain.online_vcpus();
    }
    std::string words = std::to_string(online);
    if (online != maximum) words += fmt::format(",maxcpus={}", maximum);
    if (domain.cpu && domain.cpu->topology) {
        const CpuTopology& t = *domain.cpu->topology;
        words += fmt::format(",sockets={}", t.sockets);
        words += fmt::format(",dies={}", t.dies.value_or(1));
        words += fmt::format(",cores={},threads={}", t.cores, t.threads);
    } else {
        words += fmt::format(",sockets={},cores=1,threads=1", maximum);
    }
    builder.option("-smp", words);
}

} // namespace lodge::drivers::qemu
