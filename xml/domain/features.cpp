#include "xml/domain/features.hpp"
#include <map>

namespace lodge::xml {

std::span<const std::string_view> enum_words(ProcessCapability) {
    static constexpr std::string_view w[] = {
        "audit_control",   "audit_write", "block_suspend", "chown",      "dac_override",   "dac_read_search",
        "fowner",          "fsetid",      "ipc_lock",      "ipc_owner",  "kill",           "lease",
        "linux_immutable", "mac_admin",   "mac_override",  "mknod",      "net_admin",      "net_bind_service",
        "net_broadcast",   "net_raw",     "setgid",        "setfcap",    "setpcap",        "setuid",
        "sys_admin",       "sys_boot",    "sys_chroot",    "sys_module", "sys_nice",       "sys_pacct",
        "sys_ptrace",      "sys_rawio",   "sys_resource",  "sys_time",   "sys_tty_config", "syslog",
        "wake_alarm"};
    return w;
}

void describe(Doc& doc, Switch& s) { doc.attribute("state", s.state); }
void describe(Doc& doc, StatedSwitch& s) { doc.required("state", s.state); }
static void describe(Doc& doc, Apic& a) { doc.attribute("eoi", a.eoi); }
static bool is_on(const std::optional<OnOff>& state) { return state && *state; }
static void describe(Doc& doc, HypervSpinlocks& s) {
    doc.required("state", s.state);
    if (doc.when(is_on(s.state))) doc.required("retries", s.retries, Mark::any_base);
}
static void describe(Doc& doc, HypervTimer& t) {
    doc.required("state", t.state);
    if (!doc.when(is_on(t.state))) return;
    doc.only(Code::config_unsupported, "unsupported Hyper-V stimer feature: {}", [&] { doc.child("direct", t.direct); });
    if (doc.reading() && t.direct && !is_on(t.direct->state)) t.direct.reset();
}
static void describe(Doc& doc, HypervVendorId& v) {
    doc.required("state", v.state);
    if (doc.when(is_on(v.state))) doc.attribute("value", v.value);
}
static void describe_enlightenments(Doc& doc, Hyperv& h) {
    doc.child("relaxed", h.relaxed);
    doc.child("vapic", h.vapic);
    doc.child("spinlocks", h.spinlocks);
    doc.child("vpindex", h.vpindex);
    doc.child("runtime", h.runtime);
    doc.child("synic", h.synic);
    doc.child("stimer", h.stimer);
    doc.child("reset", h.reset);
    doc.child("vendor_id", h.vendor_id);
    doc.child("frequencies", h.frequencies);
    doc.child("reenlightenment", h.reenlightenment);
    doc.child("tlbflush", h.tlbflush);
    doc.child("ipi", h.ipi);
    doc.child("evmcs", h.evmcs);
    doc.child("avic", h.avic);
}
static void describe(Doc& doc, Hyperv& h) {
    doc.attribute("mode", h.mode);
    doc.has_end_tag();
    doc.only(Code::config_unsupported, "unsupported HyperV Enlightenment feature: {}", [&] { describe_enlightenments(doc, h); });
}
static void describe(Doc& doc, DirtyRing& d) {
    doc.required("state", d.state);
    if (doc.when(is_on(d.state))) doc.required("size", d.size, Mark::any_base);
}
static void describe(Doc& doc, KvmFeatures& k) {
    doc.only(Code::config_unsupported, "unsupported KVM feature: {}", [&] {
        doc.child("hidden", k.hidden);
        doc.child("hint-dedicated", k.hint_dedicated);
        doc.child("poll-control", k.poll_control);
        doc.child("pv-ipi", k.pv_ipi);
        doc.child("dirty-ring", k.dirty_ring);
    });
}
void describe(Doc& doc, CapabilitySwitch& c) {
    doc.attribute("state", c.state);
    if (doc.reading() && !c.state) c.state = true;
}
static void describe(Doc& doc, ProcessCapabilities& c) {
    doc.attribute("policy", c.policy, Mark::guest);
    doc.only(Code::config_unsupported, "unexpected capability feature '{}'", [&] { doc.choices(c.switches); });
    if (!doc.reading()) return;
    // Shown in the order of their names, with a policy; the last of a name counts.
    std::map<ProcessCapability, CapabilitySwitch> sorted;
    for (const auto& one : c.switches) sorted[one.kind] = one;
    c.switches.clear();
    for (const auto& [kind, one] : sorted) c.switches.push_back(one);
    if (!c.switches.empty() && !c.policy) c.policy = CapabilityPolicy::default_;
    if (c.switches.empty() && c.policy == CapabilityPolicy::default_) c.policy.reset();
}
static void describe(Doc& doc, XenPassthrough& p) {
    doc.required("state", p.state);
    if (doc.when(is_on(p.state))) doc.attribute("mode", p.mode, Mark::positive);
}
static void describe(Doc& doc, XenFeatures& x) {
    doc.only(Code::config_unsupported, "unsupported Xen feature: {}", [&] {
        doc.child("e820_host", x.e820_host);
        doc.child("passthrough", x.passthrough);
    });
}

// Read in any unit, written in the largest that loses nothing, as libvirt does.
static void describe(Doc& doc, Tseg& t) {
    if (!doc.reading()) {
        static constexpr std::pair<std::uint64_t, const char*> units[] = {
            {1ull << 30, "GiB"}, {1ull << 20, "MiB"}, {1ull << 10, "KiB"}, {1, "B"}};
        for (const auto& [bytes, unit] : units)
            if (t.bytes % bytes == 0 && (t.bytes != 0 || bytes == 1)) {
                std::uint64_t amount = t.bytes / bytes;
                std::string word = unit;
                doc.attribute("unit", word);
                return doc.text(amount);
            }
    }
    std::string unit;
    doc.attribute("unit", unit);
    doc.text(t.bytes);
    t.bytes *= unit_bytes(unit, 1ull << 20);
}
static void describe(Doc& doc, Smm& s) {
    doc.attribute("state", s.state);
    if (doc.when(!s.state || *s.state)) doc.child("tseg", s.tseg);
}
static void describe(Doc& doc, Gic& g) { doc.attribute("version", g.version); }
static void describe(Doc& doc, Ioapic& i) { doc.attribute("driver", i.driver); }
static void describe(Doc& doc, Hpt& h) {
    doc.attribute("resizing", h.resizing);
    doc.child("maxpagesize", h.max_page_size);
}
static void describe(Doc& doc, TcgFeatures& t) { doc.child("tb-cache", t.tb_cache); }

static void describe(Doc& doc, Msrs& m) { doc.required("unknown", m.unknown); }

static void describe_features(Doc& doc, Features& f) {
    doc.flag("acpi", f.acpi, Mark::guest);
    doc.child("apic", f.apic, Mark::guest);
    doc.flag("pae", f.pae, Mark::guest);
    doc.child("hap", f.hap, Mark::guest);
    doc.flag("viridian", f.viridian, Mark::guest);
    doc.flag("privnet", f.privnet, Mark::guest);
    doc.child("hyperv", f.hyperv, Mark::guest);
    doc.child("kvm", f.kvm, Mark::guest);
    doc.child("pvspinlock", f.pvspinlock, Mark::guest);
    doc.child("capabilities", f.capabilities);
    doc.child("pmu", f.pmu, Mark::guest);
    doc.child("vmport", f.vmport, Mark::guest);
    doc.child("gic", f.gic, Mark::guest);
    doc.child("smm", f.smm, Mark::guest);
    doc.child("ioapic", f.ioapic, Mark::guest);
    doc.child("hpt", f.hpt, Mark::guest);
    doc.child("vmcoreinfo", f.vmcoreinfo, Mark::guest);
    doc.child("htm", f.htm, Mark::guest);
    doc.child("nested-hv", f.nested_hv, Mark::guest);
    doc.child("msrs", f.msrs);
    doc.child("ccf-assist", f.ccf_assist, Mark::guest);
    doc.child("xen", f.xen, Mark::guest);
    doc.group("cfpc", [&] { doc.attribute("value", f.cfpc, Mark::guest); });
    doc.group("sbbc", [&] { doc.attribute("value", f.sbbc, Mark::guest); });
    doc.group("ibs", [&] { doc.attribute("value", f.ibs, Mark::guest); });
    doc.child("tcg", f.tcg);
}

void describe(Doc& doc, Features& f) {
    doc.only(Code::config_unsupported, "unexpected feature '{}'", [&] { describe_features(doc, f); });
    if (doc.reading() && f.tcg && f.tcg->tb_cache.value_or(Kibibytes{}) == 0) f.tcg.reset();
}

} // namespace lodge::xml
