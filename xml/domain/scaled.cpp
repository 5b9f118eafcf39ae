#include "xml/domain/scaled.hpp"
#include <algorithm>

namespace lodge::xml {

namespace {

constexpr std::string_view letters = "kmgtpe";

std::uint64_t power(std::uint64_t base, std::size_t exponent) {
    std::uint64_t result = 1;
    while (exponent-- > 0) result *= base;
    return result;
}

std::uint64_t size_of(SizeUnit unit) { return power(1024, static_cast<std::size_t>(unit)); }

const char* name_of(SizeUnit unit) {
    static constexpr const char* names[] = {"bytes", "KiB", "M"};
    return names[static_cast<std::size_t>(unit)];
}

bool is_word(std::string_view text, std::string_view word) {
    return std::ranges::equal(text, word, [](char a, char b) { return std::tolower(a) == std::tolower(b); });
}

template<SizeUnit written, SizeUnit assumed> void describe_scaled(Doc& doc, Scaled<written, assumed>& size) {
    std::string unit = name_of(written);
    if (doc.reading()) unit.clear();
    doc.attribute("unit", unit);
    doc.text(size.value);
    if (!doc.reading()) return;
    const auto scale = unit_bytes(unit, size_of(assumed));
    const auto into = size_of(written);
    constexpr auto most = written == SizeUnit::kib ? std::numeric_limits<std::int64_t>::max() // libvirt's bound for memory
                                                   : std::numeric_limits<std::uint64_t>::max();
    if (size.value > static_cast<std::uint64_t>(most) / scale)
        rpc::fail(Code::overflow, "value too large: {}{}", size.value, unit);
    const auto bytes = size.value * scale;
    size.value = bytes / into + (bytes % into != 0);
}

} // namespace

std::uint64_t unit_bytes(std::string_view unit, std::uint64_t fallback) {
    if (unit.empty()) return fallback;
    if (is_word(unit, "b") || is_word(unit, "byte") || is_word(unit, "bytes")) return 1;
    const auto place = letters.find(static_cast<char>(std::tolower(unit[0])));
    if (place != std::string_view::npos) {
        const auto rest = unit.substr(1);
        if (rest.empty() || is_word(rest, "iB")) return power(1024, place + 1);
        if (is_word(rest, "b")) return power(1000, place + 1);
    }
    rpc::fail(Code::invalid_arg, "unknown suffix '{}'", unit);
}

void describe(Doc& doc, Kibibytes& size) { describe_scaled(doc, size); }
void describe(Doc& doc, Bytes& size) { describe_scaled(doc, size); }
void describe(Doc& doc, Mebibytes& size) { describe_scaled(doc, size); }

} // namespace lodge::xml
