#include "rpc/base64.hpp"
#include <algorithm>
#include <openssl/evp.h>

namespace lodge::rpc {

static const unsigned char* raw(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

std::string to_base64(std::string_view bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0'); // OpenSSL ends it with a zero
    text.resize(static_cast<std::size_t>(
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), raw(bytes), static_cast<int>(bytes.size()))));
    return text;
}

std::optional<std::string> from_base64(std::string_view text) {
    std::string packed(text);
    std::erase_if(packed, [](char c) { return c == '\n' || c == '\r' || c == ' ' || c == '\t'; });
    if (packed.empty()) return std::string();
    std::string bytes(packed.size(), '\0');
    const int length =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), raw(packed), static_cast<int>(packed.size()));
    if (length < 0) return std::nullopt;
    const auto padding = static_cast<std::size_t>(std::ranges::count(packed, '=')); // decoded as zeros
    if (padding > 2) return std::nullopt;
    bytes.resize(static_cast<std::size_t>(length) - padding);
    return bytes;
}

} // namespace lodge::rpc
