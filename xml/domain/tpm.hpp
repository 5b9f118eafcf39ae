// <tpm>
#pragma once
#include "xml/domain/chardev.hpp"

namespace lodge::xml {

enum class TpmModel { default_, tpm_tis, tpm_crb, tpm_spapr, spapr_tpm_proxy };
inline std::span<const std::string_view> enum_words(TpmModel) {
    static constexpr std::string_view w[] = {"default", "tpm-tis", "tpm-crb", "tpm-spapr", "spapr-tpm-proxy"};
    return w;
}
enum class TpmBackendType { passthrough, emulator, external };
inline std::span<const std::string_view> enum_words(TpmBackendType) {
    static constexpr std::string_view w[] = {"passthrough", "emulator", "external"};
    return w;
}
enum class TpmVersion { default_, v1_2, v2_0 };
inline std::span<const std::string_view> enum_words(TpmVersion) {
    static constexpr std::string_view w[] = {"default", "1.2", "2.0"};
    return w;
}

struct Tpm {
    std::optional<TpmModel> model;
    std::optional<TpmBackendType> backend;
    std::optional<TpmVersion> version;     // emulator
    std::optional<YesNo> persistent_state; // emulator
    rpc::Uuid encryption_secret;           // emulator
    bool has_active_pcr_banks = false;
    bool sha1 = false, sha256 = false, sha384 = false, sha512 = false;
    std::string device; // passthrough
    CharSource source;  // external
    DeviceInfo info;
};
void describe(Doc&, Tpm&);

} // namespace lodge::xml
