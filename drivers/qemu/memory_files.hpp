// Guest memory that is files: mounts of huge pages, and folders that QEMU makes its files in.
#pragma once
#include "drivers/qemu/command_line/command_line.hpp"
#include "drivers/qemu/runtime.hpp"
#include "drivers/qemu/settings.hpp"

namespace lodge::drivers::qemu {

// The hugetlbfs mounts that guests may use, that of the default size first. Reads /proc.
std::vector<Hugepages> find_hugepages(const Settings& settings);
// Makes the folders that this command line refers to, and notes them in `runtime`. On the worker pool.
void make_memory_dirs(const xml::Domain& domain, const BuildContext& context, const CommandLine& line, Runtime& runtime);

} // namespace lodge::drivers::qemu
