#include "cli/table.hpp"

#include <algorithm>
#include <cwchar>
#include <fmt/format.h>

namespace lodge::cli {

namespace {

bool plain(std::string_view text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
}

// Calls on(bytes, wide character or -1 for what is no character here) for each character.
template<class On> void each_character(std::string_view text, On on) {
    std::mbstate_t state{};
    while (!text.empty()) {
        wchar_t wide = 0;
        auto length = std::mbrtowc(&wide, text.data(), text.size(), &state);
        if (length == 0 || length > text.size()) {
            state = {};
            on(text.substr(0, 1), static_cast<wint_t>(-1));
            text.remove_prefix(1);
        } else {
            on(text.substr(0, length), static_cast<wint_t>(wide));
            text.remove_prefix(length);
        }
    }
}

} // namespace

size_t display_width(std::string_view text) {
    if (plain(text)) return text.size();
    size_t width = 0;
    each_character(text, [&](std::string_view, wint_t wide) {
        int columns = wide == static_cast<wint_t>(-1) ? 1 : wcwidth(static_cast<wchar_t>(wide));
        width += columns > 0 ? static_cast<size_t>(columns) : 0;
    });
    return width;
}

std::string printable(std::string_view text) {
    if (plain(text)) return std::string(text);
    std::string out;
    each_character(text, [&](std::string_view bytes, wint_t wide) {
        if (wide != static_cast<wint_t>(-1) && wcwidth(static_cast<wchar_t>(wide)) >= 0) {
            out += bytes;
            return;
        }
        for (unsigned char byte : bytes) out += fmt::format("\\x{:02x}", byte);
    });
    return out;
}

Cell size_cell(unsigned long long bytes) {
    constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = static_cast<double>(bytes);
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < std::size(units); unit++) value /= 1024;
    return {fmt::format("{:.2f} {}", value, units[unit]), bytes};
}

std::string Table::text(bool quiet) const {
    std::vector<std::vector<std::string>> lines;
    std::vector<size_t> widths(columns_.size());
    auto add_line = [&](auto&& cell_text) {
        std::vector<std::string> line;
        for (size_t i = 0; i < columns_.size(); i++) {
            line.push_back(columns_[i].title.empty() ? std::string() : printable(cell_text(i)));
            widths[i] = std::max(widths[i], display_width(line.back()));
        }
        lines.push_back(std::move(line));
    };
    if (!quiet) add_line([&](size_t i) { return columns_[i].title; });
    for (const auto& row : rows_) add_line([&](size_t i) { return std::string_view(row[i].text); });

    size_t last = columns_.size();
    while (last > 0 && columns_[last - 1].title.empty()) last--;
    std::string out;
    for (size_t number = 0; number < lines.size(); number++) {
        for (size_t i = 0; i < last; i++) {
            if (columns_[i].title.empty()) continue;
            const auto& cell = lines[number][i];
            out += ' ' + cell;
            if (i + 1 < last) out.append(widths[i] - display_width(cell) + 2, ' ');
        }
        out += '\n';
        if (number > 0 || quiet) continue;
        for (size_t i = 0; i < last; i++) out.append(columns_[i].title.empty() ? 0 : widths[i] + 3, '-');
        out += '\n';
    }
    return out;
}

Json Table::json() const {
    auto out = Json::array();
    for (const auto& row : rows_) {
        auto object = Json::object();
        for (size_t i = 0; i < columns_.size(); i++) object[std::string(columns_[i].key)] = row[i].value;
        out.push_back(std::move(object));
    }
    return out;
}

std::string Pairs::text() const {
    std::string out;
    for (const auto& row : rows_)
        if (!row.label.empty()) out += fmt::format("{:<{}} {}\n", row.label, width_, row.cell.text);
    return out;
}

Json Pairs::json() const {
    auto out = Json::object();
    for (const auto& row : rows_) out[std::string(row.key)] = row.cell.value;
    return out;
}

} // namespace lodge::cli
