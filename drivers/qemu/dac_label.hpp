// <seclabel model='dac'>: as whom a guest's QEMU runs, and who owns its images meanwhile.
#pragma once
#include "drivers/process/command.hpp"
#include "xml/domain/domain.hpp"
#include <optional>

namespace lodge::drivers::qemu {

// As whom this guest's QEMU runs: the label that its document fixes, else `usual`. Writes into the document what a running guest
// shows of it. Nothing where the daemon itself is nobody special. Throws Code::invalid_arg for a label that is no USER:GROUP,
// Code::system_error for one that names nobody.
std::optional<Identity> settle_dac_label(xml::Domain& domain, const std::optional<Identity>& usual);
// Whether the document lets its images be given to QEMU's user.
bool lends_images(const xml::Domain& domain);
// What the <seclabel> of one source says: false where it stays as it is; `owner` where it goes to somebody else.
bool lends_source(const std::vector<xml::SourceLabel>& labels, std::optional<Identity>& owner);

} // namespace lodge::drivers::qemu
