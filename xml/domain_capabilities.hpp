// What one emulator and machine offer to guests: the document of virConnectGetDomainCapabilities.
#pragma once
#include "xml/domain/cpu.hpp"

namespace lodge::xml {

struct CapabilityEnum { // <enum name='bus'><value>ide</value>…
    std::string name;
    std::vector<std::string> values;
};
struct CapabilityGroup { // <disk supported='yes'> with enums
    YesNo supported;
    std::vector<CapabilityEnum> enums;
};
struct LoaderCapabilities {
    YesNo supported;
    std::vector<std::string> values; // files of firmware
    std::vector<CapabilityEnum> enums;
};
struct OsCapabilities {
    YesNo supported;
    std::vector<CapabilityEnum> enums;
    std::optional<LoaderCapabilities> loader;
};
struct CpuModelOffer { // <model usable='no' vendor='Intel' deprecated='yes'>Broadwell</model>; of host-model: fallback
    std::optional<CpuFallback> fallback;
    std::string usable; // yes, no, unknown
    std::string vendor;
    std::optional<YesNo> deprecated;
    std::string name;
};
struct CpuModeOffer {
    std::string name;
    YesNo supported;
    std::vector<CapabilityEnum> enums;
    std::vector<CpuModelOffer> models;
    std::string vendor;
    std::optional<MaxPhysAddr> max_phys_addr;
    std::vector<CpuFeature> features;
};
struct SevCapabilities {
    YesNo supported;
    std::optional<unsigned> cbitpos, reduced_phys_bits, max_guests, max_es_guests;
};
struct SgxSection {
    unsigned node = 0;
    std::uint64_t size_kib = 0;
};
struct SgxCapabilities {
    YesNo supported;
    std::optional<YesNo> flc, sgx1, sgx2;
    std::optional<std::uint64_t> section_size_kib;
    std::vector<SgxSection> sections;
};
struct DeviceCapabilities {
    std::optional<CapabilityGroup> disk, graphics, video, hostdev, rng, filesystem, tpm, redirdev, channel;
};
struct FeatureCapabilities {
    std::optional<CapabilityGroup> gic, vmcoreinfo, genid, backing_store_input, backup;
    std::optional<SevCapabilities> sev;
    std::optional<SgxCapabilities> sgx;
    std::optional<CapabilityGroup> hyperv;
};

struct DomainCapabilities {
    std::string path, domain, machine, arch;
    std::optional<unsigned> max_vcpus;
    std::optional<CapabilityGroup> iothreads;
    std::optional<OsCapabilities> os;
    std::vector<CpuModeOffer> cpu_modes;
    std::optional<CapabilityGroup> memory_backing;
    DeviceCapabilities devices;
    FeatureCapabilities features;
};
void describe(Doc&, DomainCapabilities&);

DomainCapabilities parse_domain_capabilities(std::string_view text, const ReadOptions& options);
std::string format_domain_capabilities(const DomainCapabilities& capabilities);

} // namespace lodge::xml
