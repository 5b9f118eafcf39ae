// Sets of host CPUs as they go over the wire: bit n of byte n / 8 is CPU n.
#pragma once
#include "rpc/codec.hpp"
#include "xml/number_set.hpp"

namespace lodge::daemon {

// Refuses a set without any; `what` names the list in that refusal.
xml::NumberSet read_cpu_map(const rpc::Opaque& map, const char* what);
// Into the `length` bytes of `out` from `at`; CPUs beyond them are left out.
void write_cpu_map(rpc::Opaque& out, std::size_t at, std::size_t length, const xml::NumberSet& cpus);
// As short as it can be.
rpc::Opaque cpu_map_of(const xml::NumberSet& cpus);

} // namespace lodge::daemon
