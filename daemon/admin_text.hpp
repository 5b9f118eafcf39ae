// The words of virt-admin's log settings, checked as libvirt does: "3:stderr 1:file:/path" and "1:qemu 3:util".
#pragma once
#include <cstddef>
#include <string>

namespace lodge::daemon {

std::size_t count_words(const std::string& text);
// Throws Code::invalid_arg with libvirt's words.
void check_log_outputs(const std::string& outputs);

struct LogFilters {
    std::string text; // normal form: "1:*qemu* 3:*util* "
    int loudest = 4;  // the lowest level of all
};
// Throws Code::invalid_arg with libvirt's words.
LogFilters parse_log_filters(const std::string& filters);

} // namespace lodge::daemon
