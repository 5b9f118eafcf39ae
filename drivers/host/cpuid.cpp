// this_cpu(): the host's own CPU, by CPUID and the one register that tells of vulnerabilities.
#include "drivers/host/cpu_map.hpp"
#include "rpc/task.hpp"
#include <cpuid.h>
#include <cstring>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace lodge::drivers {

namespace {

constexpr unsigned arch_capabilities = 0x10a;

// The processor's own register where the msr device tells it, else KVM's word, which also knows those that a guest may see.
std::optional<std::uint64_t> read_msr(unsigned index) {
    std::uint64_t value = 0;
    if (const rpc::Fd device(::open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC)); device)
        if (::pread(device.get(), &value, sizeof value, index) == sizeof value) return value;
    const rpc::Fd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (!kvm) return std::nullopt;
    // The kernel's header lays its flexible array out differently in C++, and the number of the call depends on it.
    struct Request {
        std::uint32_t count = 1, pad = 0;
        kvm_msr_entry entry{};
    } request;
    request.entry.index = index;
    if (::ioctl(kvm.get(), _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x88, 8), &request) != 1) return std::nullopt;
    return request.entry.data;
}

CpuFacts read_cpu(const CpuModels& map) {
    CpuFacts cpu;
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    __cpuid(0, eax, ebx, ecx, edx);
    char vendor[13] = {};
    std::memcpy(vendor, &ebx, 4);
    std::memcpy(vendor + 4, &edx, 4);
    std::memcpy(vendor + 8, &ecx, 4);
    cpu.vendor = map.vendor_of(vendor);
    __cpuid(1, eax, ebx, ecx, edx);
    cpu.family = (eax >> 8 & 0xf) + (eax >> 20 & 0xff);
    cpu.model = (eax >> 4 & 0xf) | (eax >> 12 & 0xf0);
    cpu.stepping = eax & 0xf;
    std::map<unsigned, unsigned> highest;
    for (const auto& at : map.registers) {
        if (at.is_msr) continue;
        const unsigned range = at.leaf & 0x80000000;
        auto top = highest.find(range);
        if (top == highest.end()) top = highest.emplace(range, __get_cpuid_max(range, nullptr)).first;
        if (at.leaf > top->second) continue;
        __cpuid_count(at.leaf, at.subleaf, eax, ebx, ecx, edx);
        map.take(cpu.bits, at, 0, eax);
        map.take(cpu.bits, at, 1, ebx);
        map.take(cpu.bits, at, 2, ecx);
        map.take(cpu.bits, at, 3, edx);
    }
    const auto* tells = map.feature("arch-capabilities");
    if (!tells || (cpu.bits & tells->bits) != tells->bits) return cpu;
    for (const auto& at : map.registers)
        if (at.is_msr && at.leaf == arch_capabilities)
            if (const auto value = read_msr(arch_capabilities)) {
                map.take(cpu.bits, at, 0, static_cast<std::uint32_t>(*value));
                map.take(cpu.bits, at, 3, static_cast<std::uint32_t>(*value >> 32));
            }
    return cpu;
}

} // namespace

const CpuFacts& this_cpu() {
    static const CpuFacts cpu = read_cpu(cpu_map());
    return cpu;
}

} // namespace lodge::drivers
