#include "xml/storage_parts.hpp"
#include <algorithm>

namespace lodge::xml {

bool Traits<PermissionBits>::parse(PermissionBits& mode, std::string_view text) {
    text = trim(text);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode.bits, 8);
    return error == std::errc() && end == text.data() + text.size() && mode.bits <= 0777;
}

// Decimal even with leading zeros, unlike other numbers of documents.
bool Traits<OwnerId>::parse(OwnerId& owner, std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    if (text.starts_with('+')) text.remove_prefix(1);
    std::int64_t wide = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), wide);
    if (error != std::errc() || end != text.data() + text.size()) return false;
    owner.id = static_cast<std::uint32_t>(wide);
    return wide == -1 || wide == static_cast<std::int64_t>(owner.id);
}

void check_wwn(const std::string& wwn) {
    const auto digits = std::string_view(wwn).substr(wwn.starts_with("0x") ? 2 : 0);
    if (digits.size() != 16 || !std::ranges::all_of(digits, [](unsigned char c) { return std::isxdigit(c) != 0; }))
        rpc::fail(rpc::from_nobody, Code::internal_error, "Malformed wwn: {}", wwn);
}

void describe(Doc& doc, Permissions& permissions) {
    doc.text_child("mode", permissions.mode);
    // An element without content is refused, one that is absent is not.
    doc.group("owner", [&] { doc.text(permissions.owner, Mark::required); });
    doc.group("group", [&] { doc.text(permissions.group, Mark::required); });
    doc.text_child("label", permissions.label);
}

std::string clean_path(const std::string& path) {
    if (const auto scheme = path.find("://"); scheme != std::string::npos && path.find('/') > scheme) return path;
    const bool two = path.starts_with("//") && !path.starts_with("///");
    std::string clean = two ? "//" : "";
    for (const char c : std::string_view(path).substr(two ? 2 : 0))
        if (c != '/' || clean.size() <= (two ? 1 : 0) || clean.back() != '/') clean += c;
    if (clean.size() > (two ? 2 : 1) && clean.back() == '/') clean.pop_back();
    return clean;
}

} // namespace lodge::xml
