#include "rpc/error.hpp"
#include <cstring>

namespace lodge::rpc {

static std::string compose(Code code, const std::string& detail) {
    // libvirt's checks of arguments say only what is wrong with them.
    const bool of_argument = detail.starts_with("unsupported flags (0x") || detail == "unsupported state value" ||
                             (detail.find(" in vir") != std::string::npos && detail.find(" must ") != std::string::npos);
    if (code == Code::invalid_arg && of_argument) return detail;
    const ErrorText text = error_text(code);
    if (detail.empty() && text.plain) return text.plain;
    if (!text.with_detail) return text.plain ? text.plain : detail;
    std::string message = text.with_detail;
    if (auto at = message.find("%s"); at != std::string::npos) message.replace(at, 2, detail);
    return message;
}

Error::Error(Code code, std::string detail, From from)
    : code_(code)
    , from_(from)
    , detail_(std::move(detail))
    , message_(compose(code, detail_)) {}

std::string errno_text(int error) {
    char buffer[256];
    return strerror_r(error, buffer, sizeof buffer); // the GNU form: returns the text
}

void fail_errno(int error, const std::string& what) { throw Error(Code::system_error, what + ": " + errno_text(error)); }

} // namespace lodge::rpc
