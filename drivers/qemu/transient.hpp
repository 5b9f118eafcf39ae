// Disks whose changes end with the guest (<transient/>): it writes into an overlay, which is removed afterwards.
#pragma once
#include "drivers/qemu/runtime.hpp"
#include "rpc/task.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::drivers::qemu {

// Makes the overlays, puts them on top of the disks' chains in `domain`, and notes them in `runtime`. Before aliases and block
// nodes are numbered; `domain` and `runtime` outlive it.
rpc::Task<> make_overlays(xml::Domain& domain, Runtime& runtime);

} // namespace lodge::drivers::qemu
