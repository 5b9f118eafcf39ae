// Comparing CPUs: with this host's, with what a hypervisor makes of it, and several with one another.
#include "daemon/domain.hpp"
#include "daemon/method.hpp"
#include "daemon/schema.hpp"
#include "drivers/host/cpu_model.hpp"
#include "xml/domain/check_cpu.hpp"

namespace lodge::daemon {

namespace {

using drivers::HypervisorCpu;

bool is_x86(const std::string& arch) { return arch == "x86_64" || arch == "i686"; }

// ---- comparing ----

std::int32_t compare(const xml::Cpu& host, const std::string& text, unsigned flags) {
    const xml::Cpu cpu = xml::parse_cpu(text, xml::CpuKind::any);
    const auto verdict = drivers::compare_cpus(drivers::cpu_map(), host, cpu);
    if (verdict.result == drivers::CpuComparison::incompatible && (flags & api::connect_compare_cpu_fail_incompatible))
        rpc::fail(From::cpu, Code::cpu_incompatible, "{}", verdict.why);
    return static_cast<std::int32_t>(verdict.result);
}

Task<remote::ConnectCompareCpuRet> compare_cpu(ClientPtr, remote::ConnectCompareCpuArgs args) {
    co_await validate_if(args.flags & api::connect_compare_cpu_validate_xml, args.xml, "cpu.rng");
    co_return remote::ConnectCompareCpuRet{compare(drivers::host_cpu(), args.xml, args.flags)};
}

template<class Args> Task<std::shared_ptr<const HypervisorCpu>> hypervisor_of(ClientPtr client, Args args) {
    co_return co_await client->hypervisor().driver().hypervisor_cpu(args.emulator.value_or(""), args.arch.value_or(""),
                                                                    args.machine.value_or(""), args.virttype.value_or(""));
}

Task<remote::ConnectCompareHypervisorCpuRet> compare_hypervisor_cpu(ClientPtr client,
                                                                    remote::ConnectCompareHypervisorCpuArgs args) {
    co_await validate_if(args.flags & api::connect_compare_cpu_validate_xml, args.xmlCPU, "cpu.rng");
    const auto hypervisor = co_await hypervisor_of(client, args);
    const From from = client->hypervisor().driver().error_domain();
    if (!hypervisor->reported)
        rpc::fail(from, Code::operation_unsupported, "QEMU '{}' does not support reporting CPU model for virttype '{}'",
                  hypervisor->emulator, hypervisor->virt_type);
    if (!is_x86(hypervisor->arch))
        rpc::fail(from, Code::operation_unsupported, "comparing with the hypervisor CPU is not supported for arch {}",
                  hypervisor->arch);
    co_return remote::ConnectCompareHypervisorCpuRet{compare(*hypervisor->reported, args.xmlCPU, args.flags)};
}

// ---- what several have in common ----

std::vector<xml::Cpu> parse_all(const std::vector<std::string>& texts, xml::CpuKind kind) {
    if (texts.empty()) rpc::fail(From::cpu, Code::invalid_arg, "no CPUs given");
    std::vector<xml::Cpu> cpus;
    for (const auto& text : texts) cpus.push_back(xml::parse_cpu(text, kind));
    return cpus;
}

void check_baseline_arch(const std::string& arch) {
    if (is_x86(arch)) return;
    rpc::fail(From::cpu, Code::no_support, "cannot compute baseline CPU of {} architecture", arch);
}

std::string finished(xml::Cpu cpu, unsigned flags) {
    if (flags & api::connect_baseline_cpu_expand_features) drivers::expand_features(drivers::cpu_map(), cpu);
    return xml::format(cpu, "cpu");
}

remote::ConnectBaselineCpuRet baseline_cpu(Client&, const remote::ConnectBaselineCpuArgs& args) {
    const auto cpus = parse_all(args.xmlCPUs, xml::CpuKind::host);
    check_baseline_arch(cpus.front().arch);
    const bool migratable = args.flags & api::connect_baseline_cpu_migratable;
    xml::Cpu cpu = drivers::baseline_cpu(drivers::cpu_map(), cpus, {.migratable = migratable});
    drivers::drop_hosts_own_features(cpu);
    return {finished(std::move(cpu), args.flags)};
}

Task<remote::ConnectBaselineHypervisorCpuRet> baseline_hypervisor_cpu(ClientPtr client,
                                                                      remote::ConnectBaselineHypervisorCpuArgs args) {
    const auto cpus = parse_all(args.xmlCPUs, xml::CpuKind::any);
    const auto hypervisor = co_await hypervisor_of(client, args);
    const From from = client->hypervisor().driver().error_domain();
    if (hypervisor->models.empty())
        rpc::fail(from, Code::operation_unsupported, "QEMU '{}' does not support any CPU models for virttype '{}'",
                  hypervisor->emulator, hypervisor->virt_type);
    if (!is_x86(hypervisor->arch))
        rpc::fail(from, Code::operation_unsupported, "computing baseline hypervisor CPU is not supported for arch {}",
                  hypervisor->arch);
    const bool migratable = args.flags & api::connect_baseline_cpu_migratable;
    const auto& features = migratable ? hypervisor->migratable_features : hypervisor->features;
    drivers::BaselineOptions options{.among = &hypervisor->models, .migratable = migratable && features.empty()};
    if (!features.empty()) options.features = &features;
    xml::Cpu cpu = drivers::baseline_cpu(drivers::cpu_map(), cpus, options);
    cpu.model->fallback = xml::CpuFallback::forbid;
    co_return remote::ConnectBaselineHypervisorCpuRet{finished(std::move(cpu), args.flags)};
}

constexpr Method table[] = {
    on<remote::ConnectCompareCpuCall, compare_cpu>(),
    on<remote::ConnectCompareHypervisorCpuCall, compare_hypervisor_cpu>(),
    on<remote::ConnectBaselineCpuCall, baseline_cpu>(),
    on<remote::ConnectBaselineHypervisorCpuCall, baseline_hypervisor_cpu>(),
};

} // namespace

const MethodTable methods::cpu = table;

} // namespace lodge::daemon
