// lodge why: what is known of a guest's last failed start. The daemon tells it in its messages; on the daemon's own host its
// record has QEMU's words and command line, too.
#include "cli/commands.hpp"
#include "cli/lookup.hpp"

#include <cstdlib>
#include <fstream>

namespace lodge::cli {

namespace {

constexpr std::string_view prefix = "last start failed";

Json told_by_daemon(virDomainPtr domain) {
    char** messages = nullptr;
    const int count = virDomainGetMessages(domain, &messages, 0);
    if (count < 0) fail_with_cause();
    Json list = Json::array();
    for (int i = 0; i < count; i++) {
        Text message(messages[i]);
        if (std::string_view(message.get()).starts_with(prefix)) list.push_back(message.get());
    }
    ::free(messages);
    return list;
}

// Absent on another host, and for whom it is not theirs to read.
Json record_of(const std::string& name) {
    std::ifstream file("/var/lib/libvirt/qemu/failed/" + name + ".json");
    Json record = Json::parse(file, nullptr, false);
    return record.is_object() ? record : Json::object();
}

void why(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const std::string name = virDomainGetName(domain.get());
    const Json messages = told_by_daemon(domain.get());
    if (messages.empty()) {
        if (session.json()) return session.show(Json(nullptr));
        return session.extra("The last start of domain '{}' did not fail\n", name);
    }
    Json record = record_of(name);
    record["messages"] = messages;
    if (session.json()) return session.show(record);
    for (const auto& message : messages) session.print("{}\n", message.get<std::string>());
    const auto show = [&](const char* title, const char* key) {
        if (const auto text = record.value(key, ""); !text.empty()) session.print("\n{}:\n{}\n", title, text);
    };
    show("QEMU said", "words");
    show("QEMU ended with", "exit");
    show("Its command line", "command");
}

} // namespace

const std::vector<Command>& why_commands() {
    static const std::vector<Command> rows = {
        {.name = "why",
         .group = Group::domain,
         .help = "tell why the last start of a domain failed",
         .description = "Prints what failed, its likely cause and a remedy; on the host of the daemon also QEMU's words and its\n"
                        "command line.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain)},
         .run = why},
    };
    return rows;
}

} // namespace lodge::cli
