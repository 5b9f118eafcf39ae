#include "drivers/qemu/settings.hpp"
#include "drivers/host/sysfs.hpp"
#include "rpc/error.hpp"
#include "rpc/log.hpp"
#include <algorithm>
#include <charconv>
#include <functional>
#include <grp.h>
#include <map>
#include <pwd.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

using rpc::Code;

namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
    return text;
}

// Splits libvirt's configuration language into key and raw value. Lists may go on over several lines.
std::map<std::string, std::string> split(const std::string& text, const std::string& path) {
    std::map<std::string, std::string> values;
    unsigned line_number = 0;
    for (std::size_t at = 0; at < text.size();) {
        ++line_number;
        std::size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = trimmed(std::string_view(text).substr(at, end - at));
        at = end + 1;
        if (line.empty() || line.front() == '#') continue;
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos)
            rpc::fail(rpc::From::conf, Code::conf_syntax, "{}:{}: expecting an assignment", path, line_number);
        const std::string key(trimmed(line.substr(0, equals)));
        std::string value(trimmed(line.substr(equals + 1)));
        if (value.starts_with('['))
            while (value.find(']') == std::string::npos && at < text.size()) {
                ++line_number;
                end = std::min(text.find('\n', at), text.size());
                value += trimmed(std::string_view(text).substr(at, end - at));
                at = end + 1;
            }
        if (value.starts_with('"') || value.starts_with('\'')) {
            const std::size_t close = value.find(value.front(), 1);
            if (close == std::string::npos)
                rpc::fail(rpc::From::conf, Code::conf_syntax, "{}:{}: unterminated string", path, line_number);
            value = value.substr(1, close - 1);
        }
        values[key] = value;
    }
    return values;
}

// The values of a list, without quotes; a single value is a list of one.
std::vector<std::string> list_of(std::string_view text) {
    std::vector<std::string> values;
    if (text.starts_with('[')) text = text.substr(1, text.find(']') - 1);
    while (!text.empty()) {
        const auto comma = text.find(',');
        std::string_view value = trimmed(text.substr(0, comma));
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
        if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'')) value = value.substr(1, value.size() - 2);
        if (!value.empty()) values.emplace_back(value);
    }
    return values;
}

// Images that Debian's packages install without a descriptor.
std::vector<std::pair<std::string, std::string>> usual_firmware() {
    const std::string ovmf = "/usr/share/OVMF/OVMF_";
    return {{ovmf + "CODE.fd", ovmf + "VARS.fd"},
            {ovmf + "CODE.secboot.fd", ovmf + "VARS.fd"},
            {ovmf + "CODE.ms.fd", ovmf + "VARS.ms.fd"},
            {ovmf + "CODE_4M.fd", ovmf + "VARS_4M.fd"},
            {ovmf + "CODE_4M.secboot.fd", ovmf + "VARS_4M.fd"},
            {ovmf + "CODE_4M.ms.fd", ovmf + "VARS_4M.ms.fd"},
            {"/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"}};
}

template<class T> void take(T& value, const std::string& text, const std::string& key, const std::string& path) {
    if constexpr (std::is_same_v<T, std::string>) {
        value = text;
    } else if constexpr (std::is_same_v<T, std::optional<bool>>) {
        take(value.emplace(), text, key, path);
    } else {
        std::uint64_t number = 0;
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
        if (parsed.ec != std::errc() || parsed.ptr == text.data())
            rpc::fail(rpc::From::conf, Code::conf_syntax, "{}: {}: a number is expected, not '{}'", path, key, text);
        value = static_cast<T>(number);
    }
}

void check_port_range(const char* key, unsigned least, unsigned min, unsigned max, const std::string& path) {
    if (min < least) rpc::fail(Code::internal_error, "{}: {}_min: port must be greater than or equal to {}", path, key, least);
    if (max > 65535 || max < min)
        rpc::fail(Code::internal_error, "{}: {}_max: port must be between the minimal port and {}", path, key, 65535);
}

// libvirt lets a daemon of its own hold the logs, with a file of its own that says how large they get.
void read_log_limits(Settings& settings, const std::string& path, std::map<std::string, std::string>& values) {
    if (const auto node = values.extract("stdio_handler"); !node.empty() && node.mapped() == "file") {
        settings.log_max_size = 0;
        return;
    }
    const std::string other = path.substr(0, path.rfind('/') + 1) + "virtlogd.conf";
    const auto limits = split(read_small_file(other), other);
    if (const auto size = limits.find("max_size"); size != limits.end())
        take(settings.log_max_size, size->second, "max_size", other);
    if (const auto count = limits.find("max_backups"); count != limits.end())
        take(settings.log_max_backups, count->second, "max_backups", other);
}

} // namespace

Settings read_settings(const std::string& path) {
    Settings settings;
    auto values = split(read_small_file(path), path);
    const auto key = [&](const char* name, auto& value) {
        if (const auto node = values.extract(name); !node.empty()) take(value, node.mapped(), name, path);
    };
    key("user", settings.user);
    key("group", settings.group);
    key("dynamic_ownership", settings.dynamic_ownership);
    key("clear_emulator_capabilities", settings.clear_emulator_capabilities);
    key("vnc_listen", settings.vnc_listen);
    key("spice_listen", settings.spice_listen);
    key("vnc_password", settings.vnc_password);
    key("vnc_auto_unix_socket", settings.vnc_auto_unix_socket);
    key("spice_password", settings.spice_password);
    key("vnc_sasl", settings.vnc_sasl);
    key("vnc_sasl_dir", settings.vnc_sasl_dir);
    key("spice_sasl", settings.spice_sasl);
    key("spice_sasl_dir", settings.spice_sasl_dir);
    // What is said for all holds where nothing is said for one; a folder of its own that exists goes before that of all.
    Tls all;
    std::optional<bool> verify_all;
    key("default_tls_x509_cert_dir", all.dir);
    key("default_tls_x509_verify", verify_all);
    key("default_tls_x509_secret_uuid", all.secret);
    const auto tls = [&](const std::string& name, Tls& one) {
        const bool own_dir = values.contains(name + "_tls_x509_cert_dir");
        const std::string likely = "/etc/pki/libvirt-" + name;
        one.dir = !own_dir && ::access(likely.c_str(), F_OK) == 0 ? likely : all.dir;
        if (!own_dir) one.secret = all.secret;
        if (verify_all) one.verify_peer = *verify_all;
        key((name + "_tls").c_str(), one.on);
        key((name + "_tls_x509_cert_dir").c_str(), one.dir);
        key((name + "_tls_x509_verify").c_str(), one.verify_peer);
        key((name + "_tls_x509_secret_uuid").c_str(), one.secret);
    };
    tls("vnc", settings.vnc_tls);
    tls("spice", settings.spice_tls);
    tls("chardev", settings.chardev_tls);
    tls("nbd", settings.nbd_tls);
    tls("backup", settings.backup_tls);
    key("auto_start_bypass_cache", settings.auto_start_bypass_cache);
    key("auto_start_delay", settings.auto_start_delay);
    key("memory_backing_dir", settings.memory_backing_dir);
    key("swtpm_user", settings.swtpm_user);
    key("swtpm_group", settings.swtpm_group);
    settings.firmware_pairs = usual_firmware();
    if (const auto node = values.extract("nvram"); !node.empty()) {
        settings.firmware_pairs.clear();
        for (const auto& pair : list_of(node.mapped())) {
            const auto colon = pair.find(':');
            if (colon == std::string::npos)
                rpc::fail(rpc::From::conf, Code::conf_syntax, "{}: nvram: 'CODE:TEMPLATE' is expected, not '{}'", path, pair);
            settings.firmware_pairs.emplace_back(pair.substr(0, colon), pair.substr(colon + 1));
        }
    }
    if (const auto node = values.extract("hugetlbfs_mount"); !node.empty()) settings.hugetlbfs_mounts = list_of(node.mapped());
    key("remote_display_port_min", settings.remote_display_port_min);
    key("remote_display_port_max", settings.remote_display_port_max);
    key("remote_websocket_port_min", settings.remote_websocket_port_min);
    key("remote_websocket_port_max", settings.remote_websocket_port_max);
    check_port_range("remote_display_port", 5900, settings.remote_display_port_min, settings.remote_display_port_max, path);
    check_port_range("remote_websocket_port", 5700, settings.remote_websocket_port_min, settings.remote_websocket_port_max, path);
    key("seccomp_sandbox", settings.seccomp_sandbox);
    key("dump_guest_core", settings.dump_guest_core);
    key("max_files", settings.max_files);
    key("max_processes", settings.max_processes);
    key("auto_dump_path", settings.auto_dump_path);
    key("auto_dump_bypass_cache", settings.auto_dump_bypass_cache);
    key("save_image_format", settings.save_image_format);
    key("dump_image_format", settings.dump_image_format);
    key("snapshot_image_format", settings.snapshot_image_format);
    if (const auto node = values.extract("cgroup_controllers"); !node.empty()) settings.cgroups = node.mapped() != "[]";
    if (const auto node = values.extract("max_core"); !node.empty() && node.mapped() != "unlimited")
        take(settings.max_core, node.mapped(), "max_core", path);
    read_log_limits(settings, path, values);
    for (const auto& [name, value] : values) log::warn("{}: '{}' is not known and has no effect", path, name);
    return settings;
}

// "+64055" and "64055" are numbers even where a name looks like one.
static std::optional<unsigned> numeric(std::string_view name) {
    if (name.starts_with('+')) name.remove_prefix(1);
    unsigned id = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), id);
    return parsed.ec == std::errc() && parsed.ptr == name.data() + name.size() ? std::optional(id) : std::nullopt;
}

// The numbers of a user and of a group, which are names or numbers themselves; nothing: there is none of that name.
static std::optional<uid_t> user_number(const std::string& user) {
    if (const auto uid = numeric(user)) return *uid;
    const passwd* entry = ::getpwnam(user.c_str());
    return entry ? std::optional(entry->pw_uid) : std::nullopt;
}
static std::optional<gid_t> group_number(const std::string& name) {
    if (const auto gid = numeric(name)) return *gid;
    const ::group* entry = ::getgrnam(name.c_str());
    return entry ? std::optional(entry->gr_gid) : std::nullopt;
}

static Identity with_groups(uid_t uid, gid_t gid) {
    Identity identity{uid, gid, {gid}};
    const passwd* user = ::getpwuid(uid);
    const std::string login = user ? user->pw_name : "";
    if (login.empty()) return identity;
    // All groups of the user, among them the one of his own that /dev/kvm belongs to.
    const passwd* entry = ::getpwnam(login.c_str());
    int count = 64;
    identity.groups.resize(static_cast<std::size_t>(count));
    ::getgrouplist(login.c_str(), entry ? entry->pw_gid : identity.gid, identity.groups.data(), &count);
    identity.groups.resize(static_cast<std::size_t>(std::clamp(count, 0, 64)));
    if (std::find(identity.groups.begin(), identity.groups.end(), identity.gid) == identity.groups.end())
        identity.groups.push_back(identity.gid);
    return identity;
}

Identity identity_named(const std::string& user, const std::string& group) {
    const auto uid = user_number(user);
    if (!uid) rpc::fail(Code::invalid_arg, "Failed to parse user '{}': there is none of that name", user);
    const auto gid = group_number(group);
    if (!gid) rpc::fail(Code::invalid_arg, "Failed to parse group '{}': there is none of that name", group);
    return with_groups(*uid, *gid);
}

// `what` runs as user and group, which the keys of qemu.conf name.
static std::optional<Identity> identity_for(const std::string& user, const std::string& group, const char* what,
                                            const char* keys) {
    if (::geteuid() != 0) return std::nullopt;
    const auto missing = [&](const char* kind, const std::string& name) {
        rpc::fail(Code::system_error,
                  "{} '{}', as which {} is to run, does not exist: create it (systemd-sysusers) or set '{}{}' in qemu.conf", kind,
                  name, what, keys, kind);
    };
    const auto uid = user_number(user);
    if (!uid) missing("user", user);
    const auto gid = group_number(group);
    if (!gid) missing("group", group);
    return with_groups(*uid, *gid);
}

std::optional<Identity> identity_of(const Settings& settings) { return identity_for(settings.user, settings.group, "QEMU", ""); }

std::optional<Identity> swtpm_identity_of(const Settings& settings) {
    return identity_for(settings.swtpm_user, settings.swtpm_group, "swtpm", "swtpm_");
}

} // namespace lodge::drivers::qemu
