#include "xml/backup.hpp"
#include <algorithm>
#include <set>

namespace lodge::xml {

using rpc::fail;

static void describe(Doc& doc, BackupDriver& driver) { doc.attribute("type", driver.type); }

static void describe(Doc& doc, BackupDisk& disk) {
    doc.required("name", disk.name);
    doc.attribute("backup", disk.backup);
    if (!doc.when(disk.backup)) return;
    doc.attribute("type", disk.type);
    if (disk.type) disk.target.type = disk.scratch.type = *disk.type;
    doc.attribute("backupmode", disk.mode);
    doc.attribute("incremental", disk.incremental);
    doc.attribute("exportname", disk.export_name);
    doc.attribute("exportbitmap", disk.export_bitmap);
    doc.attribute("index", disk.index);
    doc.child("driver", disk.driver);
    describe_source(doc, disk.target, "target");
    describe_source(doc, disk.scratch, "scratch");
}

static void describe(Doc& doc, BackupServer& server) {
    doc.attribute("transport", server.transport);
    doc.attribute("tls", server.tls);
    doc.attribute("name", server.name);
    doc.attribute("port", server.port);
    doc.attribute("socket", server.socket);
}

void describe(Doc& doc, Backup& backup) {
    doc.attribute("mode", backup.mode);
    doc.text_child("incremental", backup.incremental);
    doc.child("server", backup.server);
    doc.group("disks", [&] { doc.list("disk", backup.disks); });
}

static void check_server(const BackupServer& server) {
    const bool unix_socket = server.transport == HostTransport::unix_;
    if (server.transport == HostTransport::rdma)
        fail(From::domain, Code::config_unsupported, "transport rdma is not supported for <server>");
    if (unix_socket && server.socket.empty()) fail(From::domain, Code::xml_error, "missing socket for unix transport");
    if (!unix_socket && !server.socket.empty())
        fail(From::domain, Code::xml_error, "transport '{}' does not support socket attribute", word(server.transport));
    if (unix_socket && !server.socket.starts_with('/'))
        fail(From::domain, Code::xml_error, "backup socket path '{}' must be absolute", server.socket);
    if (!unix_socket && server.name.empty()) fail(From::domain, Code::xml_error, "missing name for host");
}

// What does not belong to the mode is as if it had not been said.
static void check_disk(BackupDisk& disk, bool push) {
    disk.index.reset();
    if (!disk.backup) {
        BackupDisk left_out;
        left_out.name = disk.name;
        left_out.backup = false;
        disk = std::move(left_out);
        return;
    }
    (push ? disk.scratch : disk.target) = {};
    if (push) disk.export_name.clear(), disk.export_bitmap.clear();
    if (!disk.type) disk.type = SourceType::file;
    if (*disk.type != SourceType::file && *disk.type != SourceType::block)
        fail(From::domain, Code::xml_error, "unsupported disk backup type '{}'", word(*disk.type));
}

Backup parse_backup(std::string_view text) {
    auto backup = parse<Backup>(text, backup_root, {.from = From::domain, .where = "(domain_backup)"});
    const bool push = backup.mode == BackupMode::push;
    if (backup.server) {
        if (push) fail(From::domain, Code::config_unsupported, "use of <server> requires pull mode backup");
        check_server(*backup.server);
    }
    for (auto& disk : backup.disks) check_disk(disk, push);
    return backup;
}

std::string format_backup(const Backup& backup) { return format(backup, backup_root, {.live = false}); }

namespace {

void name_file(BackupDisk& entry, const Disk& disk, bool push, const std::string& suffix) {
    auto& store = push ? entry.target : entry.scratch;
    if (disk.source.empty()) fail(From::domain, Code::config_unsupported, "disk '{}' has no media", entry.name);
    if (!store.path.empty()) return;
    if (disk.source.type != SourceType::file)
        fail(From::domain, Code::config_unsupported, "refusing to generate file name for disk '{}'", entry.name);
    entry.type = SourceType::file;
    store.type = SourceType::file;
    store.path = fmt::format("{}.{}", disk.source.path, suffix);
}

void settle_mode(BackupDisk& entry, const Backup& backup) {
    if (!entry.backup) return;
    if (!entry.mode)
        entry.mode = backup.incremental.empty() && entry.incremental.empty() ? BackupKind::full : BackupKind::incremental;
    if (entry.incremental.empty() && entry.mode == BackupKind::incremental) entry.incremental = backup.incremental;
}

} // namespace

void align_disks(Backup& backup, const Domain& domain, const std::string& suffix) {
    const auto& disks = domain.devices.disks;
    const bool push = backup.mode == BackupMode::push, all = backup.disks.empty();
    if (disks.empty()) fail(From::domain, Code::config_unsupported, "domain must have at least one disk to perform backup");
    std::set<std::string> named;
    for (auto& entry : backup.disks) {
        const auto disk = std::ranges::find(disks, entry.name, [](const Disk& d) { return d.target.dev; });
        if (disk == disks.end()) fail(From::domain, Code::config_unsupported, "no disk named '{}'", entry.name);
        if (!named.insert(entry.name).second)
            fail(From::domain, Code::config_unsupported, "disk '{}' specified twice", entry.name);
        if (entry.mode == BackupKind::incremental && entry.incremental.empty() && backup.incremental.empty())
            fail(From::domain, Code::config_unsupported,
                 "'incremental' backup mode of disk '{}' requires setting 'incremental' field for disk or backup", entry.name);
        if (entry.backup) name_file(entry, *disk, push, suffix);
    }
    for (const auto& disk : disks) {
        if (named.contains(disk.target.dev)) continue;
        auto& entry = backup.disks.emplace_back();
        entry.name = disk.target.dev;
        entry.backup = all && !disk.source.empty() && !disk.readonly;
        if (entry.backup) name_file(entry, disk, push, suffix);
    }
    for (auto& entry : backup.disks) settle_mode(entry, backup);
}

} // namespace lodge::xml
