// What is asked of the agent inside a guest.
#include "cli/commands.hpp"
#include "cli/lookup.hpp"
#include "cli/parameters.hpp"
#include "cli/typed_params.hpp"
#include <ctime>

namespace lodge::cli {

namespace {

void domfsinfo(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    virDomainFSInfoPtr* list = nullptr;
    const int count = check(virDomainGetFSInfo(domain.get(), &list, 0), "{}", "Unable to get filesystem information");
    Table table({{"mountpoint", "Mountpoint"}, {"name", "Name"}, {"type", "Type"}, {"target", "Target"}});
    for (int i = 0; i < count; ++i) {
        const std::span targets(list[i]->devAlias, list[i]->ndevAlias);
        table.add({list[i]->mountpoint, list[i]->name, list[i]->fstype, fmt::format("{}", fmt::join(targets, ","))});
        virDomainFSInfoFree(list[i]);
    }
    ::free(list);
    if (count == 0 && !session.json()) return session.extra("No filesystems are mounted in the domain");
    session.show(table);
}

template<auto call> void freeze_or_thaw(Session& session, const Arguments& arguments, const char* done, const char* what) {
    auto domain = find_domain(session, arguments);
    std::vector<const char*> mountpoints;
    for (const auto& word : arguments.rest("mountpoint")) mountpoints.push_back(word.c_str());
    const int count = check(
        call(domain.get(), mountpoints.empty() ? nullptr : mountpoints.data(), static_cast<unsigned>(mountpoints.size()), 0),
        "Unable to {} filesystems", what);
    session.extra("{} {} filesystem(s)\n", done, count);
}
void domfsfreeze(Session& session, const Arguments& arguments) {
    freeze_or_thaw<virDomainFSFreeze>(session, arguments, "Froze", "freeze");
}
void domfsthaw(Session& session, const Arguments& arguments) {
    freeze_or_thaw<virDomainFSThaw>(session, arguments, "Thawed", "thaw");
}

void domfstrim(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto mountpoint = arguments.text("mountpoint");
    check(virDomainFSTrim(domain.get(), mountpoint ? mountpoint->c_str() : nullptr,
                          arguments.number<unsigned long long>("minimum").value_or(0), 0),
          "{}", "Unable to invoke fstrim");
}

struct InfoGroup {
    std::string_view option;
    unsigned type;
    std::string_view help;
};
constexpr InfoGroup info_groups[] = {
    {"user", VIR_DOMAIN_GUEST_INFO_USERS, "report active users"},
    {"os", VIR_DOMAIN_GUEST_INFO_OS, "report operating system information"},
    {"timezone", VIR_DOMAIN_GUEST_INFO_TIMEZONE, "report timezone information"},
    {"hostname", VIR_DOMAIN_GUEST_INFO_HOSTNAME, "report hostname"},
    {"filesystem", VIR_DOMAIN_GUEST_INFO_FILESYSTEM, "report filesystem information"},
    {"disk", VIR_DOMAIN_GUEST_INFO_DISKS, "report disk information"},
    {"interface", VIR_DOMAIN_GUEST_INFO_INTERFACES, "report interface information"},
};

void guestinfo(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    unsigned types = 0;
    for (const auto& group : info_groups)
        if (arguments.has(group.option)) types |= group.type;
    Params params;
    check(virDomainGetGuestInfo(domain.get(), types, &params.data, &params.count, 0));
    if (session.json()) return session.show(params_json(params.all()));
    for (const auto& param : params.all()) session.print("{:<20}: {}\n", param.field, param_text(param));
}

void domtime(Session& session, const Arguments& arguments) {
    arguments.exclusive("time", "now");
    arguments.exclusive("time", "sync");
    arguments.exclusive("now", "sync");
    auto domain = find_domain(session, arguments);
    const auto given = arguments.number<long long>("time");
    const bool now = arguments.has("now"), sync = arguments.has("sync");
    if (given || now || sync) {
        const long long seconds = now ? static_cast<long long>(std::time(nullptr)) : given.value_or(0);
        check(virDomainSetTime(domain.get(), seconds, 0, sync ? VIR_DOMAIN_TIME_SYNC : 0));
        return;
    }
    long long seconds = 0;
    unsigned nanoseconds = 0;
    check(virDomainGetTime(domain.get(), &seconds, &nanoseconds, 0));
    if (session.json()) return session.show(Json{{"seconds", seconds}, {"nanoseconds", nanoseconds}});
    if (!arguments.has("pretty")) return session.print("Time: {}", seconds);
    const std::time_t time = seconds;
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    session.print("Time: {}", text);
}

void set_user_password(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto& user = arguments.required("user");
    check(virDomainSetUserPassword(domain.get(), user.c_str(), arguments.required("password").c_str(),
                                   arguments.has("encrypted") ? VIR_DOMAIN_PASSWORD_ENCRYPTED : 0));
    session.extra("Password set successfully for {} in {}", user, arguments.required("domain"));
}

// ---- its CPUs, its keys ----

void guest_vcpus(Session& session, const Arguments& arguments) {
    arguments.exclusive("enable", "disable");
    arguments.requires_option("enable", "cpulist");
    arguments.requires_option("disable", "cpulist");
    const auto list = arguments.text("cpulist");
    const bool enable = arguments.has("enable");
    if (list && !enable && !arguments.has("disable"))
        fail("One of options --enable or --disable is required by option --cpulist");
    auto domain = find_domain(session, arguments);
    if (list) {
        check(virDomainSetGuestVcpus(domain.get(), list->c_str(), enable, 0));
        return;
    }
    Parameters state;
    unsigned count = 0;
    check(virDomainGetGuestVcpus(domain.get(), state.list_out(), &count, 0));
    state.filled(static_cast<int>(count));
    show_parameters(session, state);
}

void get_ssh_keys(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    char** keys = nullptr;
    const int count = check(virDomainAuthorizedSSHKeysGet(domain.get(), arguments.required("user").c_str(), &keys, 0));
    Json json = Json::array();
    for (int i = 0; i < count; ++i) {
        json.push_back(keys[i]);
        if (!session.json()) session.print("{}", keys[i]);
        ::free(keys[i]);
    }
    ::free(keys);
    if (session.json()) session.show(json);
}

void set_ssh_keys(Session& session, const Arguments& arguments) {
    arguments.requires_option("remove", "file");
    arguments.exclusive("reset", "remove");
    auto domain = find_domain(session, arguments);
    const auto file = arguments.text("file");
    unsigned flags = 0;
    if (arguments.has("remove"))
        flags = VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE;
    else if (!arguments.has("reset"))
        flags = VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND;
    if (!file && flags == VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND) fail("Option --file is required");
    std::vector<std::string> lines;
    if (file) {
        const std::string text = read_document(*file);
        if (text.empty()) fail("File {} contains no keys", *file);
        for (std::size_t at = 0; at <= text.size();) {
            const auto end = std::min(text.find('\n', at), text.size());
            lines.push_back(text.substr(at, end - at));
            at = end + 1;
        }
    }
    std::vector<const char*> keys;
    for (const auto& line : lines) keys.push_back(line.c_str());
    check(virDomainAuthorizedSSHKeysSet(domain.get(), arguments.required("user").c_str(), keys.data(),
                                        static_cast<unsigned>(keys.size()), flags));
}

void set_timeout(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const int seconds = arguments.number<int>("timeout").value_or(VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK);
    check(virDomainAgentSetResponseTimeout(domain.get(), seconds, 0));
}

std::vector<Option> guestinfo_options() {
    std::vector<Option> options{need("domain", "domain name, id or uuid", Complete::active_domain)};
    for (const auto& group : info_groups) options.push_back(flag(group.option, group.help));
    return options;
}

} // namespace

const std::vector<Command>& guest_agent_commands() {
    const auto domain = need("domain", "domain name, id or uuid", Complete::active_domain);
    static const std::vector<Command> rows = {
        {.name = "domfsinfo",
         .group = Group::monitor,
         .help = "Get information of domain's mounted filesystems.",
         .description = "Get information of domain's mounted filesystems.",
         .options = {domain},
         .run = domfsinfo},
        {.name = "domfsfreeze",
         .group = Group::domain,
         .help = "Freeze domain's mounted filesystems.",
         .description = "Freeze domain's mounted filesystems.",
         .options = {domain, rest("mountpoint", "mountpoint path to be frozen").named()},
         .run = domfsfreeze},
        {.name = "domfsthaw",
         .group = Group::domain,
         .help = "Thaw domain's mounted filesystems.",
         .description = "Thaw domain's mounted filesystems.",
         .options = {domain, rest("mountpoint", "mountpoint path to be thawed").named()},
         .run = domfsthaw},
        {.name = "domfstrim",
         .group = Group::domain,
         .help = "Invoke fstrim on domain's mounted filesystems.",
         .description = "Invoke fstrim on domain's mounted filesystems.",
         .options = {domain, number("minimum", "Just a hint to ignore contiguous free ranges smaller than this (Bytes)"),
                     text("mountpoint", "which mount point to trim")},
         .run = domfstrim},
        {.name = "guestinfo",
         .group = Group::domain,
         .help = "query information about the guest (via agent)",
         .description = "Use the guest agent to query various information from guest's point of view",
         .options = guestinfo_options(),
         .run = guestinfo},
        {.name = "domtime",
         .group = Group::monitor,
         .help = "domain time",
         .description = "Gets or sets the domain's system time",
         .options = {domain, flag("now", "set to the time of the host running virsh"),
                     flag("pretty", "print domain's time in human readable form"),
                     flag("sync", "instead of setting given time, synchronize from domain's RTC"), number("time", "time to set")},
         .run = domtime},
        {.name = "set-user-password",
         .group = Group::domain,
         .help = "set the user password inside the domain",
         .description = "Changes the password of the specified user inside the domain",
         .options = {domain, need("user", "the username"), need("password", "the new password"),
                     flag("encrypted", "the password is already encrypted")},
         .run = set_user_password},
        {.name = "guestvcpus",
         .group = Group::domain,
         .help = "query or modify state of vcpu in the guest (via agent)",
         .description = "Use the guest agent to query or set cpu state from guest's point of view",
         .options = {domain, text("cpulist", "list of cpus to enable or disable"),
                     flag("enable", "enable cpus specified by cpulist"), flag("disable", "disable cpus specified by cpulist")},
         .run = guest_vcpus},
        {.name = "get-user-sshkeys",
         .group = Group::domain,
         .help = "list authorized SSH keys for given user (via agent)",
         .description = "Use the guest agent to query authorized SSH keys for given user",
         .options = {domain, need("user", "user to list authorized keys for")},
         .run = get_ssh_keys},
        {.name = "set-user-sshkeys",
         .group = Group::domain,
         .help = "manipulate authorized SSH keys file for given user (via agent)",
         .description = "Append, reset or remove specified key from the authorized keys file for given user",
         .options = {domain, need("user", "user to set authorized keys for"),
                     text("file", "optional file to read keys from").completed(Complete::file),
                     flag("reset", "clear out authorized keys file before adding new keys"),
                     flag("remove", "remove keys from the authorized keys file")},
         .run = set_ssh_keys},
        {.name = "guest-agent-timeout",
         .group = Group::domain,
         .help = "Set the guest agent timeout",
         .description = "Set the number of seconds to wait for a response from the guest agent.",
         .options = {domain, number("timeout", "timeout seconds.").named()},
         .run = set_timeout},
    };
    return rows;
}

} // namespace lodge::cli
