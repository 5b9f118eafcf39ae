// libvirt's numbers as the words virsh prints.
#pragma once
#include <string_view>

namespace lodge::cli {

std::string_view domain_state(int state);
std::string_view domain_state_reason(int state, int reason);
std::string_view control_state(unsigned state);

std::string_view lifecycle_event(int event);
std::string_view lifecycle_detail(int event, int detail);

inline std::string_view yes_no(bool value) { return value ? "yes" : "no"; }

// The word at 'index' of a list, or 'otherwise' beyond its end.
template<unsigned long N>
constexpr std::string_view word_at(const std::string_view (&words)[N], int index, std::string_view otherwise = "unknown") {
    return index >= 0 && static_cast<unsigned long>(index) < N ? words[index] : otherwise;
}

} // namespace lodge::cli
