// Bytes as base64 text: values of secrets in files and in what QEMU is told.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace lodge::rpc {

std::string to_base64(std::string_view bytes);
// Nothing when the text is no base64. Line ends are taken, as others break lines.
std::optional<std::string> from_base64(std::string_view text);

} // namespace lodge::rpc
