// The names of Linux' key codes, for send-key.
#pragma once
#include <optional>
#include <string_view>

namespace lodge::cli {

std::optional<unsigned> linux_key(std::string_view name);

} // namespace lodge::cli
