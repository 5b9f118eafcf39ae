#include "daemon/config.hpp"
#include "daemon/network_config.hpp"
#include "daemon/store.hpp"
#include "rpc/error.hpp"
#include "rpc/log.hpp"
#include <algorithm>
#include <charconv>
#include <filesystem>

namespace lodge::daemon {

using rpc::Code;

namespace {

class Parser {
  public:
    Parser(const std::string& text, const std::string& path)
        : text_(text)
        , path_(path) {}

    std::map<std::string, ConfigFile::Value> parse() {
        std::map<std::string, ConfigFile::Value> values;
        for (skip(true); at_ < text_.size(); skip(true)) {
            const std::string key = word();
            skip(false);
            if (peek() != '=') refuse("expecting an assignment");
            ++at_;
            skip(false);
            values[key] = value();
            skip(false);
            if (at_ < text_.size() && peek() != '\n') refuse("expecting a separator");
        }
        return values;
    }

  private:
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    void skip(bool lines) {
        while (at_ < text_.size()) {
            if (peek() == '#')
                at_ = std::min(text_.find('\n', at_), text_.size());
            else if (peek() == ' ' || peek() == '\t' || peek() == '\r' || (lines && peek() == '\n'))
                line_ += text_[at_++] == '\n';
            else
                return;
        }
    }
    std::string word() {
        const std::size_t start = at_;
        while (std::isalnum(static_cast<unsigned char>(peek())) || peek() == '_' || peek() == '.') ++at_;
        if (at_ == start) refuse("expecting a name");
        return text_.substr(start, at_ - start);
    }
    ConfigFile::Value value() {
        if (peek() == '[') return list();
        if (peek() == '"' || peek() == '\'') return text();
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), number);
        if (error != std::errc()) refuse("expecting a value");
        at_ = static_cast<std::size_t>(end - text_.data());
        return number;
    }
    std::string text() {
        const bool long_form = text_.compare(at_, 3, "\"\"\"") == 0;
        const std::string quote = long_form ? "\"\"\"" : std::string(1, peek());
        at_ += quote.size();
        const std::size_t end = text_.find(quote, at_);
        if (end == std::string::npos || (!long_form && text_.find('\n', at_) < end)) refuse("unterminated string");
        std::string out = text_.substr(at_, end - at_);
        at_ = end + quote.size();
        return out;
    }
    std::vector<std::string> list() {
        std::vector<std::string> out;
        ++at_;
        for (skip(true); peek() != ']'; skip(true)) {
            if (peek() != '"' && peek() != '\'') refuse("expecting a string");
            out.push_back(text());
            skip(true);
            if (peek() == ',')
                ++at_;
            else if (peek() != ']')
                refuse("expecting a separator in list");
        }
        ++at_;
        return out;
    }
    [[noreturn]] void refuse(const char* what) { rpc::fail(rpc::From::conf, Code::conf_syntax, "{}:{}: {}", path_, line_, what); }

    const std::string& text_;
    const std::string& path_;
    std::size_t at_ = 0;
    int line_ = 1;
};

} // namespace

ConfigFile ConfigFile::parse(const std::string& text, const std::string& path) {
    ConfigFile file;
    file.path_ = path;
    file.values_ = Parser(text, path).parse();
    return file;
}

ConfigFile ConfigFile::load(const std::string& path) {
    if (!std::filesystem::exists(path)) return {};
    return parse(store::read_file(path), path);
}

const ConfigFile::Value* ConfigFile::find(const std::string& key) {
    const auto it = values_.find(key);
    if (it == values_.end()) return nullptr;
    used_[key] = true;
    return &it->second;
}

void ConfigFile::wrong_type(const std::string& key, const char* wanted) const {
    rpc::fail(rpc::From::conf, Code::conf_syntax, "{}: expected a {} for '{}' parameter", path_, wanted, key);
}

void ConfigFile::read(const std::string& key, std::string& value) {
    if (const Value* found = find(key)) {
        if (!std::holds_alternative<std::string>(*found)) wrong_type(key, "string");
        value = std::get<std::string>(*found);
    }
}

void ConfigFile::read(const std::string& key, int& value) {
    if (const Value* found = find(key)) {
        if (!std::holds_alternative<std::int64_t>(*found)) wrong_type(key, "number");
        value = static_cast<int>(std::get<std::int64_t>(*found));
    }
}

void ConfigFile::read(const std::string& key, bool& value) {
    int number = value;
    read(key, number);
    value = number != 0;
}

void ConfigFile::read(const std::string& key, std::vector<std::string>& value) {
    if (const Value* found = find(key)) {
        if (const auto* one = std::get_if<std::string>(found))
            value = {*one};
        else if (const auto* many = std::get_if<std::vector<std::string>>(found))
            value = *many;
        else
            wrong_type(key, "string list");
    }
}

std::vector<std::string> ConfigFile::unknown() const {
    std::vector<std::string> names;
    for (const auto& [key, value] : values_)
        if (!used_.contains(key)) names.push_back(key);
    return names;
}

Config Config::load(const std::string& path) {
    ConfigFile file = ConfigFile::load(path);
    Config config;
    auto read = [&](const char* key, auto& value) { file.read(key, value); };
    read("unix_sock_group", config.unix_sock_group);
    read("unix_sock_dir", config.unix_sock_dir);
    read("unix_sock_ro_perms", config.unix_sock_ro_perms);
    read("unix_sock_rw_perms", config.unix_sock_rw_perms);
    read("unix_sock_admin_perms", config.unix_sock_admin_perms);
    read("auth_unix_ro", config.auth_unix_ro);
    read("auth_unix_rw", config.auth_unix_rw);
    read("host_uuid", config.host_uuid);
    read("host_uuid_source", config.host_uuid_source);
    read("max_clients", config.max_clients);
    read("max_queued_clients", config.max_queued_clients);
    read("max_anonymous_clients", config.max_anonymous_clients);
    read("min_workers", config.min_workers);
    read("max_workers", config.max_workers);
    read("prio_workers", config.prio_workers);
    read("max_client_requests", config.max_client_requests);
    read("admin_max_clients", config.admin_max_clients);
    read("admin_max_queued_clients", config.admin_max_queued_clients);
    read("admin_max_client_requests", config.admin_max_client_requests);
    read("admin_min_workers", config.admin_min_workers);
    read("admin_max_workers", config.admin_max_workers);
    read("keepalive_interval", config.keepalive_interval);
    read("keepalive_count", config.keepalive_count);
    read("admin_keepalive_interval", config.admin_keepalive_interval);
    read("admin_keepalive_count", config.admin_keepalive_count);
    read("hook_timeout", config.hook_timeout);
    read("on_host_shutdown", config.on_host_shutdown);
    read("host_shutdown_timeout", config.host_shutdown_timeout);
    read("host_shutdown_parallel", config.host_shutdown_parallel);
    constexpr std::string_view fates[] = {"none", "save", "shutdown"};
    if (std::ranges::find(fates, config.on_host_shutdown) == std::end(fates))
        rpc::fail(rpc::From::conf, Code::conf_syntax, "{}: on_host_shutdown is 'none', 'save' or 'shutdown', not '{}'", path,
                  config.on_host_shutdown);
    read("log_level", config.log_level);
    read("log_filters", config.log_filters);
    read("log_outputs", config.log_outputs);
    NetworkConfig::read(file); // refused here when wrong, used by those who listen on the network
    for (const auto& key : file.unknown()) log::warn("{}: setting '{}' is not known here and has no effect", path, key);
    return config;
}

} // namespace lodge::daemon
