#include "cli/commands.hpp"
#include "cli/lookup.hpp"
#include "cli/words.hpp"

#include <strings.h>

namespace lodge::cli {

namespace {

struct Choice {
    std::string_view option;
    unsigned flag;
};
constexpr Choice filters[] = {
    {"transient", VIR_CONNECT_LIST_DOMAINS_TRANSIENT},
    {"persistent", VIR_CONNECT_LIST_DOMAINS_PERSISTENT},
    {"with-snapshot", VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT},
    {"without-snapshot", VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT},
    {"with-checkpoint", VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT},
    {"without-checkpoint", VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT},
    {"state-running", VIR_CONNECT_LIST_DOMAINS_RUNNING},
    {"state-paused", VIR_CONNECT_LIST_DOMAINS_PAUSED},
    {"state-shutoff", VIR_CONNECT_LIST_DOMAINS_SHUTOFF},
    {"state-other", VIR_CONNECT_LIST_DOMAINS_OTHER},
    {"autostart", VIR_CONNECT_LIST_DOMAINS_AUTOSTART},
    {"no-autostart", VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART},
    {"with-managed-save", VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE},
    {"without-managed-save", VIR_CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE},
};

unsigned filter_of(const Arguments& arguments) {
    unsigned flags = VIR_CONNECT_LIST_DOMAINS_ACTIVE;
    if (arguments.has("inactive")) flags = VIR_CONNECT_LIST_DOMAINS_INACTIVE;
    if (arguments.has("all")) flags = VIR_CONNECT_LIST_DOMAINS_ACTIVE | VIR_CONNECT_LIST_DOMAINS_INACTIVE;
    for (const auto& filter : filters)
        if (arguments.has(filter.option)) flags |= filter.flag;
    return flags;
}

struct Row {
    Domain domain;
    unsigned id; // -1 when inactive
    std::string name;
};

constexpr auto inactive_id = static_cast<unsigned>(-1);

std::vector<Row> rows_of(Session& session, unsigned flags) {
    std::vector<Row> rows;
    for (auto& domain : collect<Domain>(virConnectListAllDomains, session.connection(), flags, "Failed to list domains")) {
        auto id = virDomainGetID(domain.get());
        std::string name = virDomainGetName(domain.get());
        rows.push_back({std::move(domain), id, std::move(name)});
    }
    std::ranges::sort(rows, [](const Row& a, const Row& b) {
        if (a.id != b.id) return a.id < b.id; // running ones first, by id
        return strcasecmp(a.name.c_str(), b.name.c_str()) < 0;
    });
    return rows;
}

std::string state_of(const Row& row, bool mark_saved) {
    int state = -1, reason = 0;
    if (virDomainGetState(row.domain.get(), &state, &reason, 0) < 0) return "no state";
    if (mark_saved && state == VIR_DOMAIN_SHUTOFF && virDomainHasManagedSaveImage(row.domain.get(), 0) > 0) return "saved";
    return std::string(domain_state(state));
}

std::string title_of(const Row& row) {
    Text title(virDomainGetMetadata(row.domain.get(), VIR_DOMAIN_METADATA_TITLE, nullptr, 0));
    forget_cause();
    return title ? title.get() : "";
}

void print_table(Session& session, const Arguments& arguments, const std::vector<Row>& rows) {
    bool titles = arguments.has("title");
    std::vector<Column> columns = {{"id", "Id"}, {"name", "Name"}, {"state", "State"}};
    if (titles) columns.push_back({"title", "Title"});
    columns.push_back({"uuid", ""});
    Table table(columns);
    for (const auto& row : rows) {
        std::vector<Cell> cells = {row.id == inactive_id ? Cell("-") : Cell(row.id), Cell(row.name, row.name),
                                   state_of(row, arguments.has("managed-save"))};
        if (titles) {
            auto title = title_of(row);
            cells.emplace_back(title, title);
        }
        cells.emplace_back(uuid_of(row.domain.get()));
        table.add(std::move(cells));
    }
    session.show(table);
}

void list(Session& session, const Arguments& arguments) {
    for (const char* other : {"uuid", "name", "id"}) arguments.exclusive("table", other);
    auto rows = rows_of(session, filter_of(arguments));
    bool uuid = arguments.has("uuid"), name = arguments.has("name"), id = arguments.has("id");
    if (session.json() || !(uuid || name || id)) return print_table(session, arguments, rows);
    for (const auto& row : rows) {
        if (id && !uuid && !name && row.id == inactive_id) continue;
        std::string line;
        auto add = [&](const std::string& word) { line += (line.empty() ? "" : " ") + word; };
        if (uuid) add(uuid_of(row.domain.get()));
        if (id && row.id != inactive_id) add(std::to_string(row.id));
        if (id && row.id == inactive_id) add("-");
        if (name) add(row.name);
        session.print("{}\n", line);
    }
}

} // namespace

const std::vector<Command>& domain_list_commands() {
    static const std::vector<Command> rows = {
        {.name = "list",
         .group = Group::monitor,
         .help = "list domains",
         .description = "Returns list of domains.",
         .options = {flag("inactive", "list inactive domains"),
                     flag("all", "list inactive & active domains"),
                     flag("transient", "list transient domains"),
                     flag("persistent", "list persistent domains"),
                     flag("with-snapshot", "list domains with existing snapshot"),
                     flag("without-snapshot", "list domains without a snapshot"),
                     flag("with-checkpoint", "list domains with existing checkpoint"),
                     flag("without-checkpoint", "list domains without a checkpoint"),
                     flag("state-running", "list domains in running state"),
                     flag("state-paused", "list domains in paused state"),
                     flag("state-shutoff", "list domains in shutoff state"),
                     flag("state-other", "list domains in other states"),
                     flag("autostart", "list domains with autostart enabled"),
                     flag("no-autostart", "list domains with autostart disabled"),
                     flag("with-managed-save", "list domains with managed save state"),
                     flag("without-managed-save", "list domains without managed save"),
                     flag("uuid", "list uuid's only"),
                     flag("name", "list domain names only"),
                     flag("id", "list domain IDs only"),
                     flag("table", "list table (default)"),
                     flag("managed-save", "mark inactive domains with managed save state"),
                     flag("title", "show domain title")},
         .run = list},
    };
    return rows;
}

} // namespace lodge::cli
