// The daemon's configuration: the keys of libvirtd.conf that matter here, from lodged.conf or libvirtd.conf. Unknown keys are
// warned about by name.
#pragma once
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace lodge::daemon {

// One file of libvirt's "key = value" form: strings, integers and lists of strings; '#' begins a comment.
class ConfigFile {
  public:
    using Value = std::variant<std::int64_t, std::string, std::vector<std::string>>;

    // Throws Code::conf_syntax with path and line.
    static ConfigFile parse(const std::string& text, const std::string& path);
    // An absent file is empty.
    static ConfigFile load(const std::string& path);

    void read(const std::string& key, std::string& value);
    void read(const std::string& key, int& value);
    void read(const std::string& key, bool& value);
    void read(const std::string& key, std::vector<std::string>& value);
    // Keys that nobody read.
    std::vector<std::string> unknown() const;

  private:
    const Value* find(const std::string& key);
    [[noreturn]] void wrong_type(const std::string& key, const char* wanted) const;

    std::string path_;
    std::map<std::string, Value> values_;
    std::map<std::string, bool> used_;
};

struct Config {
    std::string unix_sock_group, unix_sock_dir;
    std::string unix_sock_ro_perms = "0777", unix_sock_rw_perms = "0777", unix_sock_admin_perms = "0700";
    std::string auth_unix_ro = "none", auth_unix_rw = "polkit";
    std::string host_uuid, host_uuid_source;
    int max_clients = 5000, max_queued_clients = 1000, max_anonymous_clients = 20;
    int min_workers = 5, max_workers = 20, prio_workers = 5, max_client_requests = 5;
    int admin_max_clients = 5, admin_max_queued_clients = 5, admin_max_client_requests = 5, admin_min_workers = 1,
        admin_max_workers = 5;
    int keepalive_interval = 5, keepalive_count = 5, admin_keepalive_interval = 5, admin_keepalive_count = 5;
    int hook_timeout = 60;                                      // seconds that a hook program may take
    std::string on_host_shutdown = "none";                      // or "save", "shutdown": what becomes of guests
    int host_shutdown_timeout = 60, host_shutdown_parallel = 8; // seconds for all of them; how many at once
    int log_level = 3;                                          // 1 debug … 4 error
    std::string log_filters, log_outputs;

    static Config load(const std::string& path);
};

} // namespace lodge::daemon
