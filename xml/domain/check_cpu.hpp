// <cpu> by itself: what must hold in it, and how it is read.
#pragma once
#include "xml/domain/cpu.hpp"

namespace lodge::xml {

// What must hold in it whoever runs the guest, in libvirt's words.
void check_cpu(const Cpu& cpu);
// A CPU by itself, as comparisons and baselines take it. A host's names its <arch>, a guest's does not.
enum class CpuKind { any, host };
Cpu parse_cpu(std::string_view text, CpuKind kind);

} // namespace lodge::xml
