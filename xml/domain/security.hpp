// Who may touch the guest: <seclabel>, <launchSecurity>, <keywrap>, <idmap>.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

enum class SecLabelType { none, dynamic, static_ };
inline std::span<const std::string_view> enum_words(SecLabelType) {
    static constexpr std::string_view w[] = {"none", "dynamic", "static"};
    return w;
}
struct SecLabel {
    std::optional<SecLabelType> type;
    std::string model;
    std::optional<YesNo> relabel;
    std::string label, image_label, base_label;
};
void describe(Doc&, SecLabel&);

enum class LaunchSecurityType { sev, s390_pv };
inline std::span<const std::string_view> enum_words(LaunchSecurityType) {
    static constexpr std::string_view w[] = {"sev", "s390-pv"};
    return w;
}
struct LaunchSecurity {
    LaunchSecurityType type = LaunchSecurityType::sev;
    std::optional<YesNo> kernel_hashes;
    std::optional<unsigned> cbitpos, reduced_phys_bits;
    std::optional<Hex<4>> policy;
    std::string dh_cert, session;
};
void describe(Doc&, LaunchSecurity&);

struct KeyCipher {
    std::string name;
    OnOff state;
};
struct KeyWrap {
    std::vector<KeyCipher> ciphers;
};
void describe(Doc&, KeyWrap&);

struct IdRange {
    unsigned start = 0, target = 0, count = 0;
};
struct IdMap {
    std::vector<IdRange> uids, gids;
};
void describe(Doc&, IdMap&);

} // namespace lodge::xml
