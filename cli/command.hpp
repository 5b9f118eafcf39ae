// A command is a row: name, group, options, help and handler. The options are written once and give parsing, help and
// completion. The rows stand in commands/<family>.cpp; commands.hpp collects them.
#pragma once
#include <string_view>
#include <vector>

namespace lodge::cli {

class Session;
class Arguments;

enum class Kind { flag, text, number, rest };

// What completes the value of an option; words: the choices stand in Option::words, separated by blanks.
enum class Complete {
    none,
    file,
    words,
    domain,
    active_domain,
    inactive_domain,
    network,
    active_network,
    inactive_network,
    interface,
    active_interface,
    inactive_interface,
    pool,
    nwfilter,
    filter_binding,
    nodedev,
    secret,
    command,
};

struct Option {
    std::string_view name;
    Kind kind = Kind::flag;
    std::string_view help;
    bool positional = false; // help shows that the name may be left out
    bool required = false;
    bool by_name_only = false; // a bare word never lands here
    Complete complete = Complete::none;
    std::string_view words = {};

    Option choices(std::string_view list) const {
        auto copy = *this;
        copy.complete = Complete::words;
        copy.words = list;
        return copy;
    }
    Option completed(Complete what) const {
        auto copy = *this;
        copy.complete = what;
        return copy;
    }
    Option named() const {
        auto copy = *this;
        copy.by_name_only = true;
        return copy;
    }
};

inline Option flag(std::string_view name, std::string_view help) { return {.name = name, .kind = Kind::flag, .help = help}; }
inline Option text(std::string_view name, std::string_view help) { return {.name = name, .kind = Kind::text, .help = help}; }
inline Option number(std::string_view name, std::string_view help) { return {.name = name, .kind = Kind::number, .help = help}; }
inline Option need(std::string_view name, std::string_view help, Complete complete = Complete::none) {
    return {.name = name, .kind = Kind::text, .help = help, .positional = true, .required = true, .complete = complete};
}
inline Option need_number(std::string_view name, std::string_view help) {
    return {.name = name, .kind = Kind::number, .help = help, .positional = true, .required = true};
}
inline Option rest(std::string_view name, std::string_view help, bool required = false) {
    return {.name = name, .kind = Kind::rest, .help = help, .positional = true, .required = required};
}

enum class Group {
    domain,
    monitor,
    events,
    host,
    checkpoint,
    interface,
    filter,
    network,
    nodedev,
    secret,
    snapshot,
    backup,
    pool,
    volume,
    lodge
};

struct GroupName {
    Group group;
    std::string_view title;
    std::string_view keyword;
};
inline constexpr GroupName group_names[] = {
    {Group::domain, "Domain Management", "domain"},  {Group::monitor, "Domain Monitoring", "monitor"},
    {Group::events, "Domain Events", "events"},      {Group::host, "Host and Hypervisor", "host"},
    {Group::checkpoint, "Checkpoint", "checkpoint"}, {Group::interface, "Interface", "interface"},
    {Group::filter, "Network Filter", "filter"},     {Group::network, "Networking", "network"},
    {Group::nodedev, "Node Device", "nodedev"},      {Group::secret, "Secret", "secret"},
    {Group::snapshot, "Snapshot", "snapshot"},       {Group::backup, "Backup", "backup"},
    {Group::pool, "Storage Pool", "pool"},           {Group::volume, "Storage Volume", "volume"},
    {Group::lodge, "Lodge itself", "lodge"},
};

// How a command stands to the daemon.
enum class Need {
    nothing,    // works without a daemon
    connection, // a call and its answer
    events,     // streams or events: the event loop must run before the connection is opened
};

struct Command {
    std::string_view name;
    Group group;
    std::string_view help;
    std::string_view description;
    std::vector<Option> options;
    void (*run)(Session&, const Arguments&);
    Need needs = Need::connection;
};

} // namespace lodge::cli
