#include "cli/parser.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

namespace lodge::cli {

namespace {

class Splitter {
  public:
    explicit Splitter(std::string_view line)
        : line_(line) {}

    std::vector<Words> run() {
        while (at_ < line_.size()) step();
        end_command();
        return std::move(commands_);
    }

  private:
    void step() {
        char c = line_[at_++];
        if (c == ';' || c == '\n')
            end_command();
        else if (std::isspace(static_cast<unsigned char>(c)))
            end_word();
        else if (c == '#' && !in_word_)
            skip_comment();
        else if (c == '\'' || c == '"')
            quoted(c);
        else
            add(c == '\\' ? escaped() : c);
    }
    void quoted(char quote) {
        in_word_ = true;
        while (at_ < line_.size()) {
            char c = line_[at_++];
            if (c == quote) return;
            add(c == '\\' && quote == '"' ? escaped() : c);
        }
        fail("missing {}", quote);
    }
    char escaped() {
        if (at_ == line_.size()) fail("{}", "dangling \\");
        return line_[at_++];
    }
    void skip_comment() {
        while (at_ < line_.size() && line_[at_] != '\n') at_++;
    }
    void add(char c) {
        in_word_ = true;
        word_ += c;
    }
    void end_word() {
        if (in_word_) words_.push_back(std::exchange(word_, {}));
        in_word_ = false;
    }
    void end_command() {
        end_word();
        if (!words_.empty()) commands_.push_back(std::exchange(words_, {}));
    }

    std::string_view line_;
    size_t at_ = 0;
    bool in_word_ = false;
    std::string word_;
    Words words_;
    std::vector<Words> commands_;
};

const Option* find_option(const Command& command, std::string_view name) {
    auto it = std::ranges::find(command.options, name, &Option::name);
    return it == command.options.end() ? nullptr : &*it;
}

std::string_view type_word(const Option& option) { return option.kind == Kind::number ? "number" : "string"; }

} // namespace

std::vector<Words> split_line(std::string_view line) { return Splitter(line).run(); }

Format format_named(std::string_view name) {
    if (name == "json") return Format::json;
    if (name == "text") return Format::text;
    fail("unknown output format '{}', expecting 'text' or 'json'", name);
}

Arguments parse(const Command& command, std::span<const std::string> words) {
    Arguments out;
    bool data_only = false;
    size_t at = 0;

    auto value_after = [&](std::string_view name, std::string_view type) -> const std::string& {
        if (at == words.size()) fail("expected syntax: --{} <{}>", name, type);
        return words[at++];
    };
    auto store = [&](const Option& option, std::string value) {
        auto& values = out.values_[std::string(option.name)];
        if (option.kind != Kind::rest && !values.empty()) fail("option --{} already seen", option.name);
        values.push_back(std::move(value));
    };
    auto named = [&](std::string_view word) {
        auto equals = word.find('=');
        auto name = word.substr(0, equals);
        if (name == "help" && !find_option(command, name)) {
            out.wants_help = true;
            return;
        }
        if (name == "output" && !find_option(command, name)) {
            out.format = format_named(equals == word.npos ? value_after(name, "string") : word.substr(equals + 1));
            return;
        }
        const auto* option = find_option(command, name);
        if (!option) fail("command '{}' doesn't support option --{}", command.name, name);
        if (option->kind == Kind::flag) {
            if (equals != word.npos) fail("invalid '=' after option --{}", name);
            store(*option, {});
        } else {
            store(*option, equals != word.npos ? std::string(word.substr(equals + 1)) : value_after(name, type_word(*option)));
        }
    };
    auto data = [&](const std::string& word) {
        for (const auto& option : command.options) {
            if (option.kind == Kind::flag || option.by_name_only) continue;
            if (option.kind != Kind::rest && out.has(option.name)) continue;
            return store(option, word);
        }
        fail("unexpected data '{}'", word);
    };

    while (at < words.size()) {
        const auto& word = words[at++];
        if (data_only || word.size() < 2 || word[0] != '-')
            data(word);
        else if (word == "--")
            data_only = true;
        else if (word.starts_with("--"))
            named(std::string_view(word).substr(2));
        else if (word == "-o")
            out.format = format_named(value_after("output", "string"));
        else if (word == "-ojson" || word == "-o=json")
            out.format = Format::json;
        else
            data(word);
    }
    if (out.wants_help) return out;
    for (const auto& option : command.options) {
        if (!option.required || out.has(option.name)) continue;
        if (option.kind == Kind::number) fail("command '{}' requires --{} option", command.name, option.name);
        fail("command '{}' requires <{}> option", command.name, option.name);
    }
    return out;
}

std::optional<std::string> Arguments::text(std::string_view name) const {
    auto it = values_.find(name);
    if (it == values_.end()) return {};
    return it->second.back();
}

std::string Arguments::text(std::string_view name, std::string_view otherwise) const {
    return text(name).value_or(std::string(otherwise));
}

const std::string& Arguments::required(std::string_view name) const {
    auto it = values_.find(name);
    if (it == values_.end()) fail("option --{} is required", name);
    return it->second.back();
}

std::span<const std::string> Arguments::rest(std::string_view name) const {
    auto it = values_.find(name);
    if (it == values_.end()) return {};
    return it->second;
}

void Arguments::malformed(std::string_view name) const {
    fail("Numeric value '{}' for <{}> option is malformed or out of range", required(name), name);
}

std::optional<__int128> Arguments::integer(std::string_view name) const {
    auto value = text(name);
    if (!value) return {};
    std::string_view digits = *value;
    bool negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    unsigned long long number = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) malformed(name);
    return negative ? -static_cast<__int128>(number) : static_cast<__int128>(number);
}

unsigned long long scaled_number(const std::string& text, unsigned long long scale) {
    unsigned long long count = 0;
    const auto* last = text.data() + text.size();
    auto [end, error] = std::from_chars(text.data(), last, count);
    if (error != std::errc()) fail("{}", "");
    std::string suffix(end, last);
    std::ranges::transform(suffix, suffix.begin(), [](unsigned char c) { return std::tolower(c); });
    if (suffix == "b" || suffix == "byte" || suffix == "bytes") {
        scale = 1;
    } else if (!suffix.empty()) {
        auto power = std::string_view("kmgtpe").find(suffix[0]);
        auto tail = suffix.substr(1);
        if (power == std::string_view::npos || !(tail.empty() || tail == "b" || tail == "ib"))
            fail("invalid argument: unknown suffix '{}'", std::string(end, last));
        scale = 1;
        for (size_t i = 0; i <= power; i++) scale *= tail == "b" ? 1000 : 1024;
    }
    if (scale && count > std::numeric_limits<unsigned long long>::max() / scale)
        fail("numerical overflow: value too large: {}{}", count, std::string(end, last));
    return count * scale;
}

std::optional<unsigned long long> Arguments::scaled(std::string_view name, unsigned long long scale) const {
    auto value = text(name);
    if (!value) return {};
    try {
        return scaled_number(*value, scale);
    } catch (const Failure& failure) {
        const std::string_view why = failure.what();
        fail("Scaled numeric value '{}' for <{}> option is malformed or out of range{}{}", *value, name, why.empty() ? "" : ": ",
             why);
    }
}

void Arguments::exclusive(std::string_view one, std::string_view other) const {
    if (has(one) && has(other)) fail("Options --{} and --{} are mutually exclusive", one, other);
}

void Arguments::requires_option(std::string_view one, std::string_view other) const {
    if (has(one) && !has(other)) fail("Option --{} is required by option --{}", other, one);
}

} // namespace lodge::cli
