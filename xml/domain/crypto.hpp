// <crypto>
#pragma once
#include "xml/domain/address.hpp"

namespace lodge::xml {

enum class CryptoModel { virtio };
inline std::span<const std::string_view> enum_words(CryptoModel) {
    static constexpr std::string_view w[] = {"virtio"};
    return w;
}
enum class CryptoType { qemu };
inline std::span<const std::string_view> enum_words(CryptoType) {
    static constexpr std::string_view w[] = {"qemu"};
    return w;
}
enum class CryptoBackend { builtin, lkcf };
inline std::span<const std::string_view> enum_words(CryptoBackend) {
    static constexpr std::string_view w[] = {"builtin", "lkcf"};
    return w;
}

struct Crypto {
    CryptoModel model = CryptoModel::virtio;
    CryptoType type = CryptoType::qemu;
    CryptoBackend backend = CryptoBackend::builtin;
    std::optional<std::uint32_t> queues;
    VirtioOptions virtio;
    DeviceInfo info;
};
void describe(Doc&, Crypto&);

} // namespace lodge::xml
