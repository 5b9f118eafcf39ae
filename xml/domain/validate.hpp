// What must hold in a complete domain document, whatever runs the guest, in libvirt's words. Drivers ask after they have filled
// in defaults and addresses; what a document gets wrong by itself is refused earlier, when it is read (check.hpp).
#pragma once
#include "xml/domain/check.hpp"
#include <algorithm>

namespace lodge::xml {

void validate_domain(const Domain& domain);
// Parts of it.
void validate_disk(const Disk& disk, const Domain& domain); // validate_disks.cpp
void validate_devices(const Domain& domain);                // validate_devices.cpp: each device by itself
void validate_together(const Domain& domain);               // validate_together.cpp: devices and settings that meet

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
