#include "cli/moments.hpp"

#include <algorithm>
#include <ctime>
#include <strings.h>

namespace lodge::cli {

namespace {

std::string time_words(long long seconds) {
    auto time = static_cast<std::time_t>(seconds);
    std::tm local{};
    char text[64];
    localtime_r(&time, &local);
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z", &local)};
}

// One moment and what grew out of it, in virsh's drawing.
void draw(Session& session, const std::vector<MomentRow>& rows, const MomentRow& row, bool root, bool last, std::string indent) {
    session.print("{}{}{}\n", indent, root ? "" : "+- ", row.name);
    if (!root) indent += last ? "  " : "| ";
    std::vector<const MomentRow*> children;
    for (const auto& other : rows)
        if (other.parent == row.name) children.push_back(&other);
    if (!children.empty()) session.print("{}  |\n", indent);
    for (const auto* child : children) draw(session, rows, *child, false, child == children.back(), indent + "  ");
    if (!root && last && children.empty()) session.print("{}\n", indent);
}

void draw_tree(Session& session, const std::vector<MomentRow>& rows) {
    const auto is_listed = [&](const std::string& name) { return std::ranges::find(rows, name, &MomentRow::name) != rows.end(); };
    for (const auto& row : rows) {
        if (is_listed(row.parent)) continue;
        draw(session, rows, row, true, true, "");
        session.print("\n");
    }
}

} // namespace

void sort_by_name(std::vector<MomentRow>& rows) {
    std::ranges::sort(rows, [](const auto& a, const auto& b) { return strcasecmp(a.name.c_str(), b.name.c_str()) < 0; });
}

void show_moments(Session& session, const Arguments& arguments, const std::vector<MomentRow>& rows, MomentColumns columns) {
    if (!session.json() && arguments.has("tree")) return draw_tree(session, rows);
    if (!session.json() && arguments.has("name")) {
        for (const auto& row : rows) session.print("{}\n", row.name);
        return;
    }
    std::vector<Column> heads = {{"name", "Name"}, {"created", "Creation Time"}};
    if (columns.state) heads.push_back({"state", "State"});
    if (columns.parent) heads.push_back({"parent", "Parent"});
    Table table(heads);
    for (const auto& row : rows) {
        std::vector<Cell> cells = {Cell(row.name, row.name), Cell(time_words(row.created), row.created)};
        if (columns.state) cells.emplace_back(row.state);
        if (columns.parent) cells.emplace_back(row.parent, row.parent);
        table.add(std::move(cells));
    }
    session.show(table);
}

std::string Spec::value(std::string_view key) const {
    auto it = std::ranges::find(values, key, [](const auto& entry) { return std::string_view(entry.first); });
    return it == values.end() ? "" : it->second;
}

namespace {

std::vector<std::string> comma_parts(const std::string& text) {
    std::vector<std::string> parts(1);
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != ',') {
            parts.back() += text[i];
        } else if (i + 1 < text.size() && text[i + 1] == ',') {
            parts.back() += ',';
            i++;
        } else {
            parts.emplace_back();
        }
    }
    return parts;
}

} // namespace

std::optional<Spec> parse_spec(const std::string& text, std::span<const std::string_view> keys) {
    auto parts = comma_parts(text);
    Spec spec{parts.front(), {}};
    for (size_t i = 1; i < parts.size(); i++) {
        auto equals = parts[i].find('=');
        auto key = parts[i].substr(0, equals);
        if (equals == std::string::npos || std::ranges::find(keys, key) == keys.end()) return {};
        spec.values.emplace_back(key, parts[i].substr(equals + 1));
    }
    return spec;
}

} // namespace lodge::cli
