// CPU features as QEMU spells them, where that is not how the CPU map does.
#pragma once
#include <string>
#include <string_view>

namespace lodge::drivers::qemu {

std::string feature_to_qemu(std::string_view name);   // pclmuldq -> pclmulqdq
std::string feature_from_qemu(std::string_view name); // the other way

} // namespace lodge::drivers::qemu
