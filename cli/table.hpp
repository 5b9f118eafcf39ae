// What commands answer with: tables and "Key: value" lists, printed as virsh prints them or as JSON.
// The keys of JSON are part of the interface: scripts rely on them.
#pragma once
#include <concepts>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace lodge::cli {

using Json = nlohmann::ordered_json;

// The text a person reads and the value a program reads.
struct Cell {
    std::string text;
    Json value;

    Cell(std::string shown)
        : text(std::move(shown))
        , value(text == "-" ? Json() : Json(text)) {}
    Cell(const char* shown)
        : Cell(std::string(shown ? shown : "-")) {}
    Cell(std::string_view shown)
        : Cell(std::string(shown)) {}
    Cell(std::string shown, Json exact)
        : text(std::move(shown))
        , value(std::move(exact)) {}
    template<std::integral T> Cell(T number)
        : text(std::to_string(number))
        , value(number) {}
};

// A column without a title is for JSON only.
struct Column {
    std::string_view key;
    std::string_view title;
};

class Table {
  public:
    explicit Table(std::vector<Column> columns)
        : columns_(std::move(columns)) {}
    void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
    // Quiet leaves the headline out, as virsh -q does.
    std::string text(bool quiet) const;
    Json json() const;

  private:
    std::vector<Column> columns_;
    std::vector<std::vector<Cell>> rows_;
};

class Pairs {
  public:
    explicit Pairs(int width = 15)
        : width_(width) {}
    // The label ends in ':' as it is printed.
    void add(std::string_view key, std::string_view label, Cell cell) { rows_.push_back({key, label, std::move(cell)}); }
    // Not printed, only in JSON.
    void add_hidden(std::string_view key, Json value) { rows_.push_back({key, {}, {std::string(), std::move(value)}}); }
    std::string text() const;
    Json json() const;

  private:
    struct Row {
        std::string_view key;
        std::string_view label;
        Cell cell;
    };
    int width_;
    std::vector<Row> rows_;
};

// Bytes as virsh shows sizes in lists: "100.00 GiB".
Cell size_cell(unsigned long long bytes);

// Columns a terminal needs for this UTF-8 text, and the text with control characters made visible.
size_t display_width(std::string_view text);
std::string printable(std::string_view text);

} // namespace lodge::cli
