// What the host is and which guests it can run: the document of virConnectGetCapabilities.
#pragma once
#include "xml/describe.hpp"
#include "xml/domain/cpu.hpp"

namespace lodge::xml {

struct CapabilityPages {    // <pages unit='KiB' size='4'>1661491</pages>
    std::uint64_t size = 0; // KiB
    std::optional<std::uint64_t> count;
};
struct HostCpuSignature {
    unsigned family = 0, model = 0, stepping = 0;
};
struct HostCpuCounter { // <counter name='tsc' frequency='2599998000' scaling='no'/>
    std::string name;
    std::uint64_t frequency = 0; // Hz
    std::optional<YesNo> scaling;
};
struct HostCpuTopology {
    unsigned sockets = 1, dies = 1, cores = 1, threads = 1;
};
struct HostCpuAddressing { // <maxphysaddr mode='emulate' bits='48'/>
    std::string mode;      // emulate, passthrough
    unsigned bits = 0;
};
struct HostCpuFeature {
    std::string name;
};
struct HostCpu {
    std::string arch, model, vendor;
    std::optional<std::uint64_t> microcode;
    std::optional<HostCpuSignature> signature;
    std::optional<HostCpuCounter> counter;
    std::optional<HostCpuTopology> topology;
    std::optional<HostCpuAddressing> addressing;
    std::vector<HostCpuFeature> features;
    std::vector<CapabilityPages> pages;
};
struct HostPower {
    bool suspend_mem = false, suspend_disk = false, suspend_hybrid = false;
};
struct HostCellCpu {
    unsigned id = 0;
    std::optional<unsigned> socket_id, die_id, core_id;
    std::string siblings; // "0-1"
};
struct HostCellDistance {
    unsigned id = 0, value = 10;
};
struct HostCell { // a NUMA node
    unsigned id = 0;
    std::uint64_t memory_kib = 0;
    std::vector<CapabilityPages> pages;
    std::vector<HostCellDistance> distances;
    std::vector<CellCache> caches; // beside its memory
    std::vector<HostCellCpu> cpus;
};
struct HostTopology {
    std::vector<HostCell> cells;
    std::vector<Interconnect> latencies, bandwidths;
};
struct ResourceMonitor { // what of a shared resource the processors can count for groups of tasks
    std::optional<unsigned> level, reuse_threshold;
    unsigned max_monitors = 0;
    std::vector<HostCpuFeature> features;
};
struct CacheControl { // a cache that can be divided
    std::uint64_t granularity = 0;
    std::optional<std::uint64_t> min;
    std::string unit, type; // both, code, data
    unsigned max_allocations = 0;
};
struct HostCacheBank {
    unsigned id = 0, level = 0;
    std::string type; // both, code, data
    std::uint64_t size = 0;
    std::string unit;
    std::string cpus;
    std::vector<CacheControl> controls;
};
struct BandwidthControl { // percent
    unsigned granularity = 0, min = 0;
    unsigned max_allocations = 0;
};
struct BandwidthNode {
    unsigned id = 0;
    std::string cpus;
    BandwidthControl control;
};
struct BaseLabel {
    std::string type, label;
};
struct SecurityModel {
    std::string model, doi;
    std::vector<BaseLabel> base_labels;
};
struct HostCapabilities {
    rpc::Uuid uuid;
    HostCpu cpu;
    std::optional<HostPower> power;
    std::optional<YesNo> iommu;
    bool migrates_live = false;
    std::vector<std::string> uri_transports;
    std::optional<HostTopology> topology;
    std::vector<HostCacheBank> cache_banks;
    std::optional<ResourceMonitor> cache_monitor;
    std::vector<BandwidthNode> bandwidth_nodes;
    std::optional<ResourceMonitor> bandwidth_monitor;
    std::vector<SecurityModel> security_models;
};

struct GuestMachine { // <machine canonical='pc-i440fx-7.2' maxCpus='255'>pc</machine>
    std::string canonical;
    std::optional<unsigned> max_cpus;
    std::optional<YesNo> deprecated;
    std::string name;
};
struct GuestDomain { // <domain type='kvm'/>, with what differs from the architecture's
    std::string type;
    std::string emulator;
    std::vector<GuestMachine> machines;
};
struct GuestArch {
    std::string name;
    unsigned wordsize = 64;
    std::string emulator;
    std::vector<GuestMachine> machines;
    std::vector<GuestDomain> domains;
};
struct GuestFeature {
    OnOff default_;
    YesNo toggle;
};
struct GuestFeatures {
    bool pae = false, nonpae = false;
    std::optional<GuestFeature> acpi, apic;
    bool cpuselection = false, deviceboot = false;
    std::optional<GuestFeature> disksnapshot;
};
struct GuestCapabilities {
    std::string os_type;
    GuestArch arch;
    GuestFeatures features;
};

struct Capabilities {
    HostCapabilities host;
    std::vector<GuestCapabilities> guests;
};
void describe(Doc&, HostCpu&);
void describe(Doc&, Capabilities&);

Capabilities parse_capabilities(std::string_view text, const ReadOptions& options);
// With the blank lines between its parts that libvirt puts there.
std::string format_capabilities(const Capabilities& capabilities);

} // namespace lodge::xml
