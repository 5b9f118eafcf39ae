#include "cli/commands.hpp"
#include "cli/lookup.hpp"
#include "cli/words.hpp"
#include "cli/xpath.hpp"

#include <strings.h>

namespace lodge::cli {

namespace {

constexpr std::string_view types[] = {"file", "block", "dir", "network", "netdir", "ploop"};

void show_list(Session& session, const Arguments& arguments) {
    auto pool = find_pool(session, arguments);
    auto volumes = collect<Volume>(virStoragePoolListAllVolumes, pool.get(), 0, "Failed to list volumes");
    std::ranges::sort(volumes, [](const Volume& a, const Volume& b) {
        return strcasecmp(virStorageVolGetName(a.get()), virStorageVolGetName(b.get())) < 0;
    });
    bool details = arguments.has("details");
    Table table(details ? std::vector<Column>{{"name", "Name"},
                                              {"path", "Path"},
                                              {"type", "Type"},
                                              {"capacity", "Capacity"},
                                              {"allocation", "Allocation"}}
                        : std::vector<Column>{{"name", "Name"}, {"path", "Path"}});
    for (const auto& volume : volumes) {
        std::string name = virStorageVolGetName(volume.get());
        Text path(virStorageVolGetPath(volume.get()));
        std::vector<Cell> row = {Cell(name, name), path ? path.get() : "-"};
        virStorageVolInfo info{};
        if (details && virStorageVolGetInfo(volume.get(), &info) == 0) {
            row.emplace_back(word_at(types, info.type));
            row.push_back(size_cell(info.capacity));
            row.push_back(size_cell(info.allocation));
        } else if (details) { // gone meanwhile
            forget_cause();
            for (int i = 0; i < 3; i++) row.emplace_back("-");
        }
        table.add(std::move(row));
    }
    session.show(table);
}

void show_info(Session& session, const Arguments& arguments) {
    auto volume = find_volume(session, arguments);
    Pairs out;
    out.add("name", "Name:", virStorageVolGetName(volume.get()));
    virStorageVolInfo info{};
    bool physical = arguments.has("physical");
    int answer = physical ? virStorageVolGetInfoFlags(volume.get(), &info, VIR_STORAGE_VOL_GET_PHYSICAL)
                          : virStorageVolGetInfo(volume.get(), &info);
    if (answer < 0) {
        if (!session.json()) session.show(out);
        fail_with_cause();
    }
    auto size = [&](unsigned long long bytes) {
        return arguments.has("bytes") ? Cell(fmt::format("{} bytes", bytes), bytes) : size_cell(bytes);
    };
    out.add("type", "Type:", word_at(types, info.type));
    out.add("capacity", "Capacity:", size(info.capacity));
    if (physical)
        out.add("physical", "Physical:", size(info.allocation));
    else
        out.add("allocation", "Allocation:", size(info.allocation));
    session.show(out);
}

void dumpxml(Session& session, const Arguments& arguments) {
    Text xml(virStorageVolGetXMLDesc(find_volume(session, arguments).get(), 0));
    if (!xml) fail_with_cause();
    show_document(session, arguments, xml.get());
}

void show_path(Session& session, const Arguments& arguments) {
    Text path(virStorageVolGetPath(find_volume(session, arguments).get()));
    if (!path) fail_with_cause();
    session.show_value(path.get());
}

void show_key(Session& session, const Arguments& arguments) {
    session.show_value(virStorageVolGetKey(find_volume(session, arguments).get()));
}

void show_name(Session& session, const Arguments& arguments) {
    session.show_value(virStorageVolGetName(find_volume(session, arguments, false).get()));
}

void show_pool(Session& session, const Arguments& arguments) {
    auto volume = find_volume(session, arguments, false);
    Pool pool(virStoragePoolLookupByVolume(volume.get()));
    if (!pool) fail_with_cause("{}", "failed to get parent pool");
    char uuid[VIR_UUID_STRING_BUFLEN] = {};
    if (arguments.has("uuid")) check(virStoragePoolGetUUIDString(pool.get(), uuid));
    session.show_value(arguments.has("uuid") ? uuid : virStoragePoolGetName(pool.get()));
}

void remove(Session& session, const Arguments& arguments) {
    auto volume = find_volume(session, arguments);
    const auto& word = arguments.required("vol");
    unsigned flags = arguments.has("delete-snapshots") ? VIR_STORAGE_VOL_DELETE_WITH_SNAPSHOTS : 0;
    check(virStorageVolDelete(volume.get(), flags), "Failed to delete vol {}", word);
    session.extra("Vol {} deleted\n", word);
}

} // namespace

const std::vector<Command>& volume_commands() {
    static const std::vector<Command> rows = {
        {.name = "vol-list",
         .group = Group::volume,
         .help = "list vols",
         .description = "Returns list of vols by pool.",
         .options = {need("pool", "pool name or uuid", Complete::pool), flag("details", "display extended details for volumes")},
         .run = show_list},
        {.name = "vol-info",
         .group = Group::volume,
         .help = "storage vol information",
         .description = "Returns basic information about the storage vol.",
         .options = {need("vol", "vol name, key or path"), text("pool", "pool name or uuid").completed(Complete::pool),
                     flag("bytes", "sizes are represented in bytes rather than pretty units"),
                     flag("physical", "return the physical size of the volume in allocation field")},
         .run = show_info},
        {.name = "vol-dumpxml",
         .group = Group::volume,
         .help = "vol information in XML",
         .description = "Output the vol information as an XML dump to stdout.",
         .options = {need("vol", "vol name, key or path"), text("pool", "pool name or uuid").completed(Complete::pool),
                     text("xpath", "xpath expression to filter the XML document").named(),
                     flag("wrap", "wrap xpath results in an common root element")},
         .run = dumpxml},
        {.name = "vol-path",
         .group = Group::volume,
         .help = "returns the volume path for a given volume name or key",
         .description = "",
         .options = {need("vol", "volume name or key"), text("pool", "pool name or uuid").completed(Complete::pool)},
         .run = show_path},
        {.name = "vol-key",
         .group = Group::volume,
         .help = "returns the volume key for a given volume name or path",
         .description = "",
         .options = {need("vol", "volume name or path"), text("pool", "pool name or uuid").completed(Complete::pool)},
         .run = show_key},
        {.name = "vol-name",
         .group = Group::volume,
         .help = "returns the volume name for a given volume key or path",
         .description = "",
         .options = {need("vol", "volume key or path")},
         .run = show_name},
        {.name = "vol-pool",
         .group = Group::volume,
         .help = "returns the storage pool for a given volume key or path",
         .description = "",
         .options = {need("vol", "volume key or path"), flag("uuid", "return the pool uuid rather than pool name")},
         .run = show_pool},
        {.name = "vol-delete",
         .group = Group::volume,
         .help = "delete a vol",
         .description = "Delete a given vol.",
         .options = {need("vol", "vol name, key or path"), text("pool", "pool name or uuid").completed(Complete::pool),
                     flag("delete-snapshots", "delete snapshots associated with volume (must be supported by storage driver)")},
         .run = remove},
    };
    return rows;
}

} // namespace lodge::cli
