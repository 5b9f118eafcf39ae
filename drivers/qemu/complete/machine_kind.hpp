// What a machine type says about the guest's hardware.
#pragma once
#include <string_view>

namespace lodge::drivers::qemu {

inline bool is_q35(std::string_view machine) { return machine == "q35" || machine.starts_with("pc-q35-"); }
inline bool is_i440fx(std::string_view machine) {
    return machine == "pc" || machine.starts_with("pc-0.") || machine.starts_with("pc-1.") || machine.starts_with("pc-i440fx-") ||
           machine.starts_with("rhel");
}
inline bool is_microvm(std::string_view machine) { return machine == "microvm"; }
inline bool has_pci(std::string_view machine) { return is_q35(machine) || is_i440fx(machine); }

} // namespace lodge::drivers::qemu
