// The project's one error type. A failed call throws Error; the dispatcher turns it into the wire's error struct, so
// code, domain, level and texts are those that libvirt's clients match on. Codes and texts come from protocol/errors.json.
#pragma once
#include "rpc/generated/errors.hpp"
#include <exception>
#include <fmt/format.h>
#include <optional>
#include <string>

namespace lodge::rpc {

// Templates of a code: alone, and with a detail in place of %s. Null when the code has no such form.
struct ErrorText {
    const char* plain;
    const char* with_detail;
};
ErrorText error_text(Code code);

// What libvirt's helpers refuse without naming a domain: 0 on the wire too, where none stands for "the driver's".
inline constexpr From from_nobody = static_cast<From>(-1);

class Error : public std::exception {
  public:
    // `from` none: the dispatcher puts in the domain of the driver that the procedure belongs to.
    Error(Code code, std::string detail, From from = From::none);

    const char* what() const noexcept override { return message_.c_str(); }
    Code code() const { return code_; }
    From from() const { return from_; }
    // The whole text a user sees: the code's prefix and the detail.
    const std::string& message() const { return message_; }
    // The detail alone, without the code's prefix.
    const std::string& detail() const { return detail_; }
    void set_from(From from) { from_ = from; }

    static constexpr int level = 2; // VIR_ERR_ERROR

  private:
    Code code_;
    From from_;
    std::string detail_;
    std::string message_;
};

template<class... Args> [[noreturn]] void fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
    throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}
template<class... Args> [[noreturn]] void fail(From from, Code code, fmt::format_string<Args...> format, Args&&... args) {
    throw Error(code, fmt::format(format, std::forward<Args>(args)...), from);
}

// Runs `work`; what it refuses without naming a domain is said to come from nobody.
template<class F> void as_nobody(F work) {
    try {
        work();
    } catch (Error& error) {
        if (error.from() == From::none) error.set_from(from_nobody);
        throw;
    }
}

// errno as text, thread-safe: "No such file or directory".
std::string errno_text(int error);
// Code::system_error with "what: errno's text", as libvirt words it.
[[noreturn]] void fail_errno(int error, const std::string& what);

} // namespace lodge::rpc
