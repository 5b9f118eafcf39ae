#include "xml/describe.hpp"
#include <cstdlib>

namespace lodge::xml {

void Doc::refuse(Code code, const std::string& text) { rpc::fail(code, "{}", text); }

std::string_view trim(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

namespace {

struct Digits {
    std::uint64_t magnitude = 0;
    bool negative = false;
};

int base_of(Mark marks, std::string_view& digits) {
    const bool prefixed = digits.starts_with("0x") || digits.starts_with("0X");
    if (has(marks, Mark::any_base) || has(marks, Mark::hex)) {
        if (prefixed) return digits.remove_prefix(2), 16;
        if (has(marks, Mark::hex)) return 16;
        return digits.starts_with('0') ? 8 : 10;
    }
    return has(marks, Mark::octal) ? 8 : 10;
}

bool parse_digits(std::string_view text, Digits& found, Mark marks) {
    const auto first = text.find_first_not_of(" \t\n\v\f\r");
    if (first == std::string_view::npos) return false;
    text.remove_prefix(first);
    found.negative = text.starts_with('-');
    if (found.negative || text.starts_with('+')) text.remove_prefix(1);
    const int base = base_of(marks, text);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), found.magnitude, base);
    return error == std::errc() && end == text.data() + text.size();
}

} // namespace

bool parse_unsigned(std::string_view text, std::uint64_t& value, Mark marks) {
    Digits digits;
    if (!parse_digits(text, digits, marks) || (digits.negative && !has(marks, Mark::wraps))) return false;
    value = digits.negative ? 0 - digits.magnitude : digits.magnitude;
    return true;
}

bool parse_word(std::string_view text, std::uint32_t& value, Mark marks) {
    Digits digits;
    if (!parse_digits(text, digits, marks) || (digits.negative && !has(marks, Mark::wraps))) return false;
    const auto magnitude = static_cast<std::uint32_t>(digits.magnitude);
    value = digits.negative ? 0 - magnitude : magnitude;
    return digits.magnitude == magnitude;
}

bool parse_signed(std::string_view text, std::int64_t& value, Mark marks) {
    Digits digits;
    if (!parse_digits(text, digits, marks)) return false;
    const std::uint64_t limit = static_cast<std::uint64_t>(INT64_MAX) + (digits.negative ? 1 : 0);
    if (digits.magnitude > limit) return false;
    value = static_cast<std::int64_t>(digits.negative ? 0 - digits.magnitude : digits.magnitude);
    return true;
}

bool parse_double(std::string_view text, double& value) {
    text = trim(text);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

std::string random_text(Random& random) {
    static constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789-_./<>&'\" ";
    std::string text(1, letters[random() % 26]);
    for (std::size_t left = random() % 9; left > 0; --left) text += letters[random() % letters.size()];
    text += letters[random() % 26]; // no blank at either end: text content is compared after trimming
    return text;
}

} // namespace lodge::xml
