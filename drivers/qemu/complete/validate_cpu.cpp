#include "drivers/qemu/complete/validate.hpp"

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::CpuMode;

namespace {

bool passes_through(const xml::Cpu& cpu) { return cpu.mode == CpuMode::host_passthrough || cpu.mode == CpuMode::maximum; }

void check_cache(const xml::Cpu& cpu) {
    if (!cpu.cache) return;
    const auto mode = cpu.cache->mode;
    const auto refuse_level = [&] { unsupported(From::qemu, "unsupported CPU cache level for mode '{}'", xml::word(mode)); };
    switch (mode) {
    case xml::CacheMode::emulate:
        if (cpu.cache->level != 3u)
            unsupported(From::qemu, "CPU cache mode '{}' can only be used with level='3'", xml::word(mode));
        break;
    case xml::CacheMode::passthrough:
        if (!passes_through(cpu))
            unsupported(From::qemu, "CPU cache mode '{}' can only be used with '{}' / '{}' CPUs", xml::word(mode),
                        xml::word(CpuMode::host_passthrough), xml::word(CpuMode::maximum));
        if (cpu.cache->level) refuse_level();
        break;
    case xml::CacheMode::disable:
        if (cpu.cache->level) refuse_level();
        break;
    }
}

void check_address_bits(const xml::Cpu& cpu) {
    if (!cpu.max_phys_addr) return;
    const auto& bits = *cpu.max_phys_addr;
    if (bits.mode == xml::MaxPhysAddrMode::emulate && !bits.bits)
        unsupported(From::qemu, "if using CPU maximum physical address mode='{}', bits= must be specified too",
                    xml::word(bits.mode));
    if (bits.mode == xml::MaxPhysAddrMode::passthrough && !passes_through(cpu))
        unsupported(From::qemu, "CPU maximum physical address bits mode '{}' can only be used with '{}' / '{}' CPUs",
                    xml::word(bits.mode), xml::word(CpuMode::host_passthrough), xml::word(CpuMode::maximum));
    if (bits.mode == xml::MaxPhysAddrMode::passthrough && bits.bits)
        unsupported(From::qemu, "CPU maximum physical address bits number specification cannot be used with mode='{}'",
                    xml::word(bits.mode));
}

} // namespace

void validate_cpu(const xml::Domain& domain) {
    if (!domain.cpu) return;
    const auto& cpu = *domain.cpu;
    check_cache(cpu);
    check_address_bits(cpu);
}

void validate_topology(const xml::Domain& domain) {
    if (!domain.cpu || !domain.cpu->topology) return;
    const auto& topology = *domain.cpu->topology;
    const auto count = topology.sockets * topology.dies.value_or(1) * topology.cores * topology.threads;
    if (count != domain.max_vcpus()) unsupported(From::qemu, "CPU topology doesn't match maximum vcpu count");
}

} // namespace lodge::drivers::qemu
