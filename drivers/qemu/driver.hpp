// The QEMU driver: guests of type kvm and qemu.
#pragma once
#include "drivers/driver.hpp"

namespace lodge::drivers::qemu {

// Reads `settings_file` (qemu.conf); an absent one means the defaults. Asks no emulator anything yet. `secrets` outlives it.
std::unique_ptr<Driver> make_driver(Executor executor, Paths paths, const std::string& settings_file,
                                    const SecretValues& secrets);

} // namespace lodge::drivers::qemu
