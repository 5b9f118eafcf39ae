// The network cards that libvirt knows by name; documents may name others.
#pragma once
#include <span>
#include <string_view>

namespace lodge::xml {

std::span<const std::string_view> known_nic_models();

} // namespace lodge::xml
