#include "daemon/admin_text.hpp"
#include "rpc/error.hpp"
#include <algorithm>
#include <sstream>
#include <vector>

namespace lodge::daemon {

using rpc::Code;

static std::vector<std::string> words_of(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    return words;
}

std::size_t count_words(const std::string& text) { return words_of(text).size(); }

// The level in front of the first colon; 0: none.
static int level_of(const std::string& word) {
    return word.size() > 1 && word[1] == ':' && word[0] >= '1' && word[0] <= '4' ? word[0] - '0' : 0;
}

static std::vector<std::string> fields_of(const std::string& word) {
    std::vector<std::string> fields;
    std::istringstream in(word);
    for (std::string field; std::getline(in, field, ':');) fields.push_back(field);
    return fields;
}

void check_log_outputs(const std::string& outputs) {
    for (const auto& output : words_of(outputs)) {
        const auto fields = fields_of(output);
        if (fields.size() < 2) rpc::fail(Code::invalid_arg, "Malformed format for log output '{}'", output);
        if (!level_of(output)) rpc::fail(Code::invalid_arg, "Invalid log priority '{}' for log output '{}'", fields[0], output);
        const std::string& kind = fields[1];
        const bool known = kind == "stderr" || kind == "journald" || kind == "syslog" || kind == "file";
        if (!known) rpc::fail(Code::invalid_arg, "Invalid log destination '{}' for log output '{}'", kind, output);
        const bool needs_more = kind == "syslog" || kind == "file";
        if (fields.size() != (needs_more ? 3U : 2U))
            rpc::fail(Code::invalid_arg, "Log output '{}' does not meet the format requirements for destination type '{}'",
                      output, kind);
    }
}

LogFilters parse_log_filters(const std::string& filters) {
    LogFilters parsed;
    for (const auto& filter : words_of(filters)) {
        const auto colon = filter.find(':');
        if (colon == std::string::npos) rpc::fail(Code::invalid_arg, "Malformed format for filter '{}'", filter);
        const int level = level_of(filter);
        if (!level) rpc::fail(Code::invalid_arg, "Invalid priority '{}' for filter '{}'", filter.substr(0, colon), filter);
        std::string match = filter.substr(colon + 1);
        if (match.starts_with('+')) match.erase(0, 1); // once asked for stack traces
        if (match.empty()) rpc::fail(Code::invalid_arg, "Invalid match string '{}'", match);
        parsed.text +=
            match.find('*') == std::string::npos ? fmt::format("{}:*{}* ", level, match) : fmt::format("{}:{} ", level, match);
        parsed.loudest = std::min(parsed.loudest, level);
    }
    return parsed;
}

} // namespace lodge::daemon
