// How a command fails: one line for the user, with the cause. Handlers throw, the session prints.
#pragma once
#include <fmt/format.h>
#include <stdexcept>
#include <string>

namespace lodge::cli {

struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// There is no daemon to ask; virsh prints no empty line after this one.
struct NoConnection : Failure {
    using Failure::Failure;
};

// From here on libvirt's errors are kept for us instead of being printed by it.
void listen_to_libvirt();
// What libvirt complained of last in this thread, without a trailing newline; empty when it did not.
std::string cause();
int cause_code();
void forget_cause();

[[noreturn]] void throw_failure(std::string text);
// "text: cause", or either alone when the other is missing.
[[noreturn]] void throw_with_cause(std::string text);

template<class... Args> [[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
    throw_failure(fmt::format(text, std::forward<Args>(args)...));
}
template<class... Args> [[noreturn]] void fail_with_cause(fmt::format_string<Args...> text, Args&&... args) {
    throw_with_cause(fmt::format(text, std::forward<Args>(args)...));
}
[[noreturn]] inline void fail_with_cause() { throw_with_cause({}); }

// Every libvirt call that answers -1 for failure goes through here.
template<class... Args> int check(int answer, fmt::format_string<Args...> text, Args&&... args) {
    if (answer < 0) fail_with_cause(text, std::forward<Args>(args)...);
    return answer;
}
inline int check(int answer) {
    if (answer < 0) fail_with_cause();
    return answer;
}

} // namespace lodge::cli
