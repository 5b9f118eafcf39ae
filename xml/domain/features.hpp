// <features>: what the virtual machine offers beside its CPU.
#pragma once
#include "xml/domain/scaled.hpp"

namespace lodge::xml {

enum class HypervMode { custom, passthrough };
inline std::span<const std::string_view> enum_words(HypervMode) {
    static constexpr std::string_view w[] = {"custom", "passthrough"};
    return w;
}
enum class IoapicDriver { qemu, kvm };
inline std::span<const std::string_view> enum_words(IoapicDriver) {
    static constexpr std::string_view w[] = {"qemu", "kvm"};
    return w;
}

struct Switch { // <smm state='on'/>: without a state, on
    std::optional<OnOff> state;
};
void describe(Doc&, Switch&);
struct StatedSwitch : Switch {}; // must say its state
void describe(Doc&, StatedSwitch&);
struct Apic {
    std::optional<OnOff> eoi;
};
struct HypervSpinlocks {
    std::optional<OnOff> state;
    std::optional<unsigned> retries;
};
struct HypervTimer {
    std::optional<OnOff> state;
    std::optional<StatedSwitch> direct;
};
struct HypervVendorId {
    std::optional<OnOff> state;
    std::string value;
};
struct Hyperv {
    std::optional<HypervMode> mode;
    std::optional<StatedSwitch> relaxed, vapic;
    std::optional<HypervSpinlocks> spinlocks;
    std::optional<StatedSwitch> vpindex, runtime, synic;
    std::optional<HypervTimer> stimer;
    std::optional<StatedSwitch> reset;
    std::optional<HypervVendorId> vendor_id;
    std::optional<StatedSwitch> frequencies, reenlightenment, tlbflush, ipi, evmcs, avic;
};
struct DirtyRing {
    std::optional<OnOff> state;
    std::optional<unsigned> size;
};
struct KvmFeatures {
    std::optional<StatedSwitch> hidden, hint_dedicated, poll_control, pv_ipi;
    std::optional<DirtyRing> dirty_ring;
};
// What only containers and Xen heed; kept and shown.
enum class ProcessCapability {
    audit_control,
    audit_write,
    block_suspend,
    chown,
    dac_override,
    dac_read_search,
    fowner,
    fsetid,
    ipc_lock,
    ipc_owner,
    kill,
    lease,
    linux_immutable,
    mac_admin,
    mac_override,
    mknod,
    net_admin,
    net_bind_service,
    net_broadcast,
    net_raw,
    setgid,
    setfcap,
    setpcap,
    setuid,
    sys_admin,
    sys_boot,
    sys_chroot,
    sys_module,
    sys_nice,
    sys_pacct,
    sys_ptrace,
    sys_rawio,
    sys_resource,
    sys_time,
    sys_tty_config,
    syslog,
    wake_alarm,
};
std::span<const std::string_view> enum_words(ProcessCapability);
enum class CapabilityPolicy { default_, allow, deny };
inline std::span<const std::string_view> enum_words(CapabilityPolicy) {
    static constexpr std::string_view w[] = {"default", "allow", "deny"};
    return w;
}
struct CapabilitySwitch { // <mknod state='on'/>
    ProcessCapability kind = ProcessCapability::audit_control;
    std::optional<OnOff> state;
};
void describe(Doc&, CapabilitySwitch&);
struct ProcessCapabilities {
    std::optional<CapabilityPolicy> policy;
    std::vector<CapabilitySwitch> switches;
};
enum class XenPassthroughMode { default_, sync_pt, share_pt };
inline std::span<const std::string_view> enum_words(XenPassthroughMode) {
    static constexpr std::string_view w[] = {"default", "sync_pt", "share_pt"};
    return w;
}
struct XenPassthrough {
    std::optional<OnOff> state;
    std::optional<XenPassthroughMode> mode;
};
struct XenFeatures {
    std::optional<StatedSwitch> e820_host;
    std::optional<XenPassthrough> passthrough;
};
struct Tseg {
    std::string unit;
    std::uint64_t bytes = 0;
};
struct Smm {
    std::optional<OnOff> state;
    std::optional<Tseg> tseg;
};
struct Gic {
    std::string version;
};
struct Ioapic {
    std::optional<IoapicDriver> driver;
};
struct Hpt {
    std::string resizing;
    std::optional<Kibibytes> max_page_size;
};
struct TcgFeatures {
    std::optional<Kibibytes> tb_cache;
};

enum class UnknownMsrs { ignore, fault };
inline std::span<const std::string_view> enum_words(UnknownMsrs) {
    static constexpr std::string_view w[] = {"ignore", "fault"};
    return w;
}
struct Msrs {
    UnknownMsrs unknown = UnknownMsrs::ignore;
};

struct Features {
    bool acpi = false;
    std::optional<Apic> apic;
    bool pae = false;
    std::optional<Switch> hap;
    bool viridian = false;
    std::optional<Switch> pvspinlock;
    std::optional<Hyperv> hyperv;
    std::optional<KvmFeatures> kvm;
    bool privnet = false;
    std::optional<ProcessCapabilities> capabilities;
    std::optional<Switch> pmu, vmport;
    std::optional<Gic> gic;
    std::optional<Smm> smm;
    std::optional<Ioapic> ioapic;
    std::optional<Hpt> hpt;
    std::optional<Switch> vmcoreinfo;
    std::optional<StatedSwitch> htm, nested_hv, ccf_assist;
    std::optional<XenFeatures> xen;
    std::optional<Msrs> msrs;
    std::string cfpc, sbbc, ibs;
    std::optional<TcgFeatures> tcg;
};
void describe(Doc&, Features&);

} // namespace lodge::xml
