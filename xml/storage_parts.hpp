// What documents of storage share: who owns a file and may use it, world wide names, and paths in their normal form.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

struct PermissionBits { // 0644: written in octal
    unsigned bits = 0;
    bool operator==(const PermissionBits&) const = default;
};
struct OwnerId { // of a user or group; -1 stands for "not given"
    static constexpr std::uint32_t none = ~0u;
    std::uint32_t id = none;
    OwnerId() = default;
    OwnerId(std::uint32_t value)
        : id(value) {}
    bool given() const { return id != none; }
    bool operator==(const OwnerId&) const = default;
};
struct Permissions {
    std::optional<PermissionBits> mode;
    OwnerId owner, group;
    std::string label;
};
void describe(Doc& doc, Permissions& permissions);

// Repeated slashes and those at the end are dropped; two at the start stay, as POSIX gives them a meaning. URIs stay as they are.
std::string clean_path(const std::string& path);

template<> struct Traits<PermissionBits> {
    static bool present(PermissionBits) { return true; }
    static bool parse(PermissionBits& mode, std::string_view text);
    static void format(PermissionBits mode, std::string& out) { out += fmt::format("0{:o}", mode.bits); }
    static void random(PermissionBits& mode, Random& random) { mode.bits = random() & 0777; }
};
template<> struct Traits<OwnerId> {
    static bool present(OwnerId owner) { return owner.given(); }
    static bool parse(OwnerId& owner, std::string_view text);
    static void format(OwnerId owner, std::string& out) { out += std::to_string(owner.id); }
    static void random(OwnerId& owner, Random& random) { owner.id = random() % 70000; }
};

// A world wide name has 16 hexadecimal digits, with or without 0x before them.
void check_wwn(const std::string& wwn);

} // namespace lodge::xml
