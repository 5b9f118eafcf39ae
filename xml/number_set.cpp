#include "xml/number_set.hpp"
#include <charconv>
#include <fmt/format.h>

namespace lodge::xml {

namespace {

constexpr unsigned largest = 16383; // "0-4000000000" shall not fill the memory

struct Cursor {
    std::string_view text;

    bool take(char c) {
        while (text.starts_with(' ')) text.remove_prefix(1);
        if (!text.starts_with(c)) return false;
        text.remove_prefix(1);
        return true;
    }
    std::optional<unsigned> number() {
        while (text.starts_with(' ')) text.remove_prefix(1);
        unsigned value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || value > largest) return std::nullopt;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        return value;
    }
};

} // namespace

std::optional<NumberSet> parse_number_set(std::string_view text) {
    NumberSet set;
    Cursor cursor{text};
    do {
        const bool excluded = cursor.take('^');
        const auto first = cursor.number();
        if (!first) return std::nullopt;
        auto last = first;
        if (!excluded && cursor.take('-')) last = cursor.number();
        if (!last || *last < *first) return std::nullopt;
        for (auto number = *first; number <= *last; ++number) {
            if (excluded)
                set.erase(number);
            else
                set.insert(number);
        }
    } while (cursor.take(','));
    while (cursor.text.starts_with(' ')) cursor.text.remove_prefix(1);
    if (!cursor.text.empty()) return std::nullopt;
    return set;
}

std::string format_number_set(const NumberSet& set) {
    std::string text;
    for (auto item = set.begin(); item != set.end();) {
        const auto first = *item;
        auto last = first;
        while (++item != set.end() && *item == last + 1) last = *item;
        text += fmt::format("{}{}", text.empty() ? "" : ",", first);
        if (last != first) text += fmt::format("-{}", last);
    }
    return text;
}

} // namespace lodge::xml
