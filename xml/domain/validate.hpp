// What must hold in a complete domain document, whatever runs the guest, in libvirt's words. Drivers ask after they have filled
// in defaults and addresses; what a document gets wrong by itself is refused earlier, when it is read (check.hpp).
#pragma once
#include "xml/domain/check.hpp"
#include <algorithm>

namespace lodge::xml {

// A device by itself and by what it needs of the rest: validate_devices.cpp, validate_disks.cpp.
void validate_device(const Disk& disk, const Domain& domain);
void validate_device(const Controller& controller, const Domain& domain);
void validate_device(const Filesystem& fs, const Domain& domain);
void validate_device(const Nic& nic, const Domain& domain);
void validate_device(const Smartcard& smartcard, const Domain& domain);
void validate_device(const Serial& serial, const Domain& domain);
void validate_device(const Parallel& parallel, const Domain& domain);
void validate_device(const Console& console, const Domain& domain);
void validate_device(const Channel& channel, const Domain& domain);
void validate_device(const Input& input, const Domain& domain);
void validate_device(const Tpm& tpm, const Domain& domain);
void validate_device(const Graphics& graphics, const Domain& domain);
void validate_device(const Sound& sound, const Domain& domain);
void validate_device(const Audio& audio, const Domain& domain);
void validate_device(const Video& video, const Domain& domain);
void validate_device(const Hostdev& hostdev, const Domain& domain);
void validate_device(const Redirdev& redirdev, const Domain& domain);
void validate_device(const Rng& rng, const Domain& domain);
void validate_device(const Shmem& shmem, const Domain& domain);
void validate_device(const MemoryDevice& memory, const Domain& domain);
void validate_device(const Iommu& iommu, const Domain& domain);
void validate_device(const Vsock& vsock, const Domain& domain);
template<class T> void validate_device(const T&, const Domain&) {} // kinds without rules
// Where any device may not stand but one of the host's.
void validate_place(const DeviceInfo& info);
// Devices and settings that meet, once each device is sound: validate_together.cpp.
void validate_together(const Domain& domain);

// One thing that a document may not have, and what it is told then.
struct Rule {
    bool broken;
    std::string_view text;
};
// Refuses by the first rule that is broken.
inline void apply(std::initializer_list<Rule> rules, Code code = Code::config_unsupported, From from = From::domain) {
    for (const auto& rule : rules)
        if (rule.broken) rpc::fail(from, code, "{}", rule.text);
}

inline bool is_on(const std::optional<OnOff>& value) { return value && *value; }
inline bool is_yes(const std::optional<YesNo>& value) { return value && *value; }
inline bool is_no(const std::optional<YesNo>& value) { return value && !*value; }

void refuse_virtio_options(const VirtioOptions& options);
// A source may have a label of its own only where the guest as a whole is labelled.
void validate_labels(const std::vector<SourceLabel>& labels, const Domain& domain);

} // namespace lodge::xml
