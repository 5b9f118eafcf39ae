// From typed text to a row and its arguments. Pure: no libvirt, no output; the rules are virsh's.
#pragma once
#include "cli/command.hpp"
#include "cli/failure.hpp"

#include <concepts>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lodge::cli {

using Words = std::vector<std::string>;

// Splits a line as a shell would: blanks, quotes, backslash, '#' comments; ';' and newlines end a command.
std::vector<Words> split_line(std::string_view line);

enum class Format { text, json };
Format format_named(std::string_view name);

// 2048, 4M, 1GiB … in bytes; a bare number counts in 'scale' bytes. Throws the reason alone, which may be empty.
unsigned long long scaled_number(const std::string& text, unsigned long long scale);

class Arguments {
  public:
    bool flag(std::string_view name) const { return values_.contains(name); }
    bool has(std::string_view name) const { return values_.contains(name); }
    std::optional<std::string> text(std::string_view name) const;
    std::string text(std::string_view name, std::string_view otherwise) const;
    const std::string& required(std::string_view name) const;
    std::span<const std::string> rest(std::string_view name) const;

    // Throws virsh's words for a value that is no such number.
    template<std::integral T> std::optional<T> number(std::string_view name) const {
        auto value = integer(name);
        if (!value) return {};
        if (*value < static_cast<__int128>(std::numeric_limits<T>::min()) ||
            *value > static_cast<__int128>(std::numeric_limits<T>::max()))
            malformed(name);
        return static_cast<T>(*value);
    }
    std::optional<unsigned long long> scaled(std::string_view name, unsigned long long scale) const;

    [[noreturn]] void malformed(std::string_view name) const;
    // "Options --a and --b are mutually exclusive"
    void exclusive(std::string_view one, std::string_view other) const;
    void requires_option(std::string_view one, std::string_view other) const;

    bool wants_help = false;
    std::optional<Format> format;

  private:
    friend Arguments parse(const Command&, std::span<const std::string>);
    std::optional<__int128> integer(std::string_view name) const;
    std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

// The words after the command's name; throws Failure with the reason.
Arguments parse(const Command& command, std::span<const std::string> words);

} // namespace lodge::cli
