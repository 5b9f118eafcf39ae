#include "cli/complete.hpp"

#include "cli/commands.hpp"
#include "cli/event_words.hpp"

#include <algorithm>
#include <set>
#include <sstream>

namespace lodge::cli {

namespace {

const Option* option_named(const Command& command, std::string_view name) {
    auto it = std::ranges::find(command.options, name, &Option::name);
    return it == command.options.end() ? nullptr : &*it;
}

// Where the parse stands after 'words': which options are used, and whether one waits for its value.
struct Standing {
    std::set<std::string_view> used;
    const Option* open = nullptr;
};

Standing stand(const Command& command, std::span<const std::string> words) {
    Standing out;
    for (const auto& word : words) {
        if (out.open) {
            out.open = nullptr;
            continue;
        }
        if (word.starts_with("--")) {
            auto equals = word.find('=');
            const auto* option =
                option_named(command, std::string_view(word).substr(2, equals == word.npos ? word.npos : equals - 2));
            if (!option) continue;
            out.used.insert(option->name);
            if (option->kind != Kind::flag && equals == word.npos) out.open = option;
            continue;
        }
        for (const auto& option : command.options) {
            if (option.kind == Kind::flag || option.by_name_only || (option.kind != Kind::rest && out.used.contains(option.name)))
                continue;
            out.used.insert(option.name);
            break;
        }
    }
    return out;
}

template<class Owner, class List, class Name>
void add_names(std::vector<std::string>& out, Session& session, List list, Name name, unsigned flags) {
    for (const auto& object : collect<Owner>(list, session.connection(), flags, "list")) out.emplace_back(name(object.get()));
}

void add_secrets(std::vector<std::string>& out, Session& session) {
    for (const auto& secret : collect<Secret>(virConnectListAllSecrets, session.connection(), 0, "list")) {
        char uuid[VIR_UUID_STRING_BUFLEN] = {};
        if (virSecretGetUUIDString(secret.get(), uuid) == 0) out.emplace_back(uuid);
    }
}

void add_objects(std::vector<std::string>& out, Session& session, Complete what) {
    constexpr unsigned active = VIR_CONNECT_LIST_DOMAINS_ACTIVE, inactive = VIR_CONNECT_LIST_DOMAINS_INACTIVE;
    static_assert(int(VIR_CONNECT_LIST_NETWORKS_INACTIVE) == 1 && int(VIR_CONNECT_LIST_NETWORKS_ACTIVE) == 2);
    static_assert(int(VIR_CONNECT_LIST_INTERFACES_INACTIVE) == 1 && int(VIR_CONNECT_LIST_INTERFACES_ACTIVE) == 2);
    auto domains = [&](unsigned flags) { add_names<Domain>(out, session, virConnectListAllDomains, virDomainGetName, flags); };
    auto networks = [&](unsigned flags) {
        add_names<Network>(out, session, virConnectListAllNetworks, virNetworkGetName, flags);
    };
    auto interfaces = [&](unsigned flags) {
        add_names<Interface>(out, session, virConnectListAllInterfaces, virInterfaceGetName, flags);
    };
    switch (what) {
    case Complete::domain: return domains(0);
    case Complete::active_domain: return domains(active);
    case Complete::inactive_domain: return domains(inactive);
    case Complete::network: return networks(0);
    case Complete::active_network: return networks(VIR_CONNECT_LIST_NETWORKS_ACTIVE);
    case Complete::inactive_network: return networks(VIR_CONNECT_LIST_NETWORKS_INACTIVE);
    case Complete::interface: return interfaces(0);
    case Complete::active_interface: return interfaces(VIR_CONNECT_LIST_INTERFACES_ACTIVE);
    case Complete::inactive_interface: return interfaces(VIR_CONNECT_LIST_INTERFACES_INACTIVE);
    case Complete::nwfilter: return add_names<Filter>(out, session, virConnectListAllNWFilters, virNWFilterGetName, 0);
    case Complete::filter_binding:
        return add_names<FilterBinding>(out, session, virConnectListAllNWFilterBindings, virNWFilterBindingGetPortDev, 0);
    case Complete::nodedev: return add_names<NodeDevice>(out, session, virConnectListAllNodeDevices, virNodeDeviceGetName, 0);
    case Complete::secret: return add_secrets(out, session);
    case Complete::pool: return add_names<Pool>(out, session, virConnectListAllStoragePools, virStoragePoolGetName, 0);
    default: return;
    }
}

void add_value(Completion& out, Session& session, const Command& command, const Option& option) {
    auto what = option.complete;
    if (what == Complete::none && option.name == "network") what = Complete::network;
    if (what == Complete::none && option.name == "domain") what = Complete::domain;
    if (what == Complete::none && option.name == "pool") what = Complete::pool;
    if (option.name == "event" && command.group == Group::events)
        for (const auto& kind : event_kinds()) out.candidates.emplace_back(kind.name);
    else if (option.name == "event")
        out.candidates.emplace_back("lifecycle");
    switch (what) {
    case Complete::none: return;
    case Complete::file: out.files = true; return;
    case Complete::command:
        for (const auto* row : all_commands()) out.candidates.emplace_back(row->name);
        for (const auto& group : group_names) out.candidates.emplace_back(group.keyword);
        return;
    case Complete::words: {
        std::istringstream list{std::string(option.words)};
        for (std::string word; list >> word;) out.candidates.push_back(word);
        return;
    }
    default: break;
    }
    try {
        add_objects(out.candidates, session, what);
    } catch (const Failure&) {
        forget_cause(); // no daemon, no names; completion is silent
    }
}

} // namespace

Completion complete(Session& session, std::span<const std::string> words, const std::string& partial) {
    Completion out;
    if (words.empty()) {
        for (const auto* command : all_commands()) out.candidates.emplace_back(command->name);
    } else if (const auto* command = find_command(words.front())) {
        auto standing = stand(*command, words.subspan(1));
        const Option* wanted = standing.open;
        if (!wanted && !partial.starts_with('-'))
            for (const auto& option : command->options)
                if (option.kind != Kind::flag && !option.by_name_only && option.positional &&
                    (option.kind == Kind::rest || !standing.used.contains(option.name))) {
                    wanted = &option;
                    break;
                }
        if (wanted) add_value(out, session, *command, *wanted);
        if (!standing.open && (partial.starts_with('-') || !wanted))
            for (const auto& option : command->options)
                if (!standing.used.contains(option.name) || option.kind == Kind::rest)
                    out.candidates.push_back("--" + std::string(option.name));
    }
    std::erase_if(out.candidates, [&](const std::string& word) { return !word.starts_with(partial); });
    std::ranges::sort(out.candidates);
    return out;
}

} // namespace lodge::cli
