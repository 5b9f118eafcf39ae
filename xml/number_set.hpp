// Sets of CPUs, nodes or threads as documents spell them: "0-3,^2,5".
#pragma once
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace lodge::xml {

using NumberSet = std::set<unsigned>;

std::optional<NumberSet> parse_number_set(std::string_view text); // none: malformed
std::string format_number_set(const NumberSet& set);              // "0-3,5"

} // namespace lodge::xml
