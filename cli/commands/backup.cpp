#include "cli/backup/create.hpp"
#include "cli/backup/progress.hpp"
#include "cli/backup/restore.hpp"
#include "cli/commands.hpp"
#include "cli/event_loop.hpp"
#include "cli/lookup.hpp"
#include "cli/xpath.hpp"

#include <sstream>

namespace lodge::cli {

namespace {

void backup_begin(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    auto document = [&](const char* option) {
        auto file = arguments.text(option);
        return file ? std::optional(read_document(*file)) : std::nullopt;
    };
    auto backup = document("backupxml").value_or("<domainbackup/>");
    auto checkpoint = document("checkpointxml");
    unsigned flags = arguments.has("reuse-external") ? VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL : 0;
    check(virDomainBackupBegin(domain.get(), backup.c_str(), checkpoint ? checkpoint->c_str() : nullptr, flags));
    session.extra("{}", "Backup started\n");
}

void backup_dumpxml(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    Text xml(virDomainBackupGetXMLDesc(domain.get(), 0));
    if (!xml) fail_with_cause();
    show_document(session, arguments, xml.get());
}

std::vector<std::string> comma_words(const std::string& list) {
    std::vector<std::string> out;
    std::istringstream stream(list);
    for (std::string word; std::getline(stream, word, ',');)
        if (!word.empty()) out.push_back(word);
    return out;
}

void backup(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto& folder = arguments.required("dir");
    Manifest made;
    try {
        made = create_backup(
            session, domain.get(),
            {.folder = folder, .format = arguments.text("format", ""), .exclude = comma_words(arguments.text("exclude", ""))});
    } catch (const std::exception& failure) {
        fail("Failed to back up domain '{}': {}", virDomainGetName(domain.get()), failure.what());
    }
    if (session.json()) return session.show(Json::parse(manifest_text(made)));
    unsigned long long bytes = 0;
    for (const auto& file : made.files) bytes += file.size;
    session.extra("Domain '{}' backed up to {} ({} disk{}, {})\n", made.name, folder, made.disks.size(),
                  made.disks.size() == 1 ? "" : "s", size_words(bytes));
}

void backup_verify(Session& session, const Arguments& arguments) {
    InterruptGuard guard;
    const auto& folder = arguments.required("dir");
    auto manifest = read_manifest(folder);
    auto wrong = verify_files(folder, manifest);
    Table table({{"file", "File"}, {"size", "Size"}, {"state", "State"}});
    for (const auto& file : manifest.files) {
        auto it = std::ranges::find(wrong, file.name, &WrongFile::name);
        table.add({file.name, file.size, it == wrong.end() ? std::string("ok") : it->why});
    }
    session.show(table);
    if (!wrong.empty()) fail("the backup '{}' is damaged: {}: {}", folder, wrong.front().name, wrong.front().why);
    session.extra("Backup of domain '{}' from {} is whole\n", manifest.name, manifest.time);
}

// A folder is a backup of ours, a file the saved state of a guest.
void restore(Session& session, const Arguments& arguments) {
    const auto& path = arguments.required("file");
    if (std::filesystem::is_directory(path)) {
        auto name = restore_backup(session, {.folder = path,
                                             .wishes = {.name = arguments.text("name"), .image_dir = arguments.text("image-dir")},
                                             .force = arguments.has("force")});
        session.extra("Domain '{}' restored from {}\n", name, path);
        return;
    }
    for (const char* option : {"name", "image-dir", "force"})
        if (arguments.has(option)) fail("--{} is for backups, and '{}' is no folder", option, path);
    arguments.exclusive("running", "paused");
    unsigned flags = 0;
    if (arguments.has("bypass-cache")) flags |= VIR_DOMAIN_SAVE_BYPASS_CACHE;
    if (arguments.has("running")) flags |= VIR_DOMAIN_SAVE_RUNNING;
    if (arguments.has("paused")) flags |= VIR_DOMAIN_SAVE_PAUSED;
    if (arguments.has("reset-nvram")) flags |= VIR_DOMAIN_SAVE_RESET_NVRAM;
    auto xml = arguments.has("xml") ? std::optional(read_document(arguments.required("xml"))) : std::nullopt;
    bool plain = flags == 0 && !xml;
    check(plain ? virDomainRestore(session.connection(), path.c_str())
                : virDomainRestoreFlags(session.connection(), path.c_str(), xml ? xml->c_str() : nullptr, flags),
          "Failed to restore domain from {}", path);
    session.extra("Domain restored from {}\n", path);
}

} // namespace

const std::vector<Command>& backup_commands() {
    static const std::vector<Command> rows = {
        {.name = "backup",
         .group = Group::backup,
         .help = "back up a domain to a folder",
         .description = "Write all disks of a domain, at one point in time even while it runs, with its definition, NVRAM\nand a "
                        "manifest of sizes and SHA-256 sums, to a new folder. CD-ROMs, floppies, read-only, shared "
                        "and\ntransient disks are left out. A backup that broke off leaves nothing that looks like one.",
         .options = {need("domain", "domain name, id or uuid", Complete::domain),
                     need("dir", "folder to create, or an empty one", Complete::file),
                     text("format", "format of the copies: qcow2 or raw (default: as the disks are)").choices("qcow2 raw"),
                     text("exclude", "disks to leave out, separated by commas")},
         .run = backup,
         .needs = Need::events},
        {.name = "backup-verify",
         .group = Group::backup,
         .help = "check a backup against its manifest",
         .description = "Compute the sizes and SHA-256 sums of a backup's files again and say which file is wrong.",
         .options = {need("dir", "folder of the backup", Complete::file)},
         .run = backup_verify,
         .needs = Need::nothing},
        {.name = "restore",
         .group = Group::backup,
         .help = "restore a domain from a backup folder or from a saved state in a file",
         .description = "Restore a domain. A folder is a backup: it is verified, then its images, NVRAM and definition are\nput "
                        "back together or not at all. A file is a saved state.",
         .options = {need("file", "the backup folder or the state to restore", Complete::file),
                     flag("bypass-cache", "avoid file system cache when restoring"),
                     text("xml", "filename containing updated XML for the target").completed(Complete::file),
                     flag("running", "restore domain into running state"), flag("paused", "restore domain into paused state"),
                     flag("reset-nvram", "re-initialize NVRAM from its pristine template"),
                     text("name", "restore a backup under this name, with a new UUID and new MAC addresses").named(),
                     text("image-dir", "put the images of a backup into this folder").named().completed(Complete::file),
                     flag("force", "replace a stopped domain and existing images")},
         .run = restore},
        {.name = "backup-begin",
         .group = Group::backup,
         .help = "Start a disk backup of a live domain",
         .description = "Use XML to start a full or incremental disk backup of a live domain, optionally creating a checkpoint",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     text("backupxml", "domain backup XML").completed(Complete::file),
                     text("checkpointxml", "domain checkpoint XML").completed(Complete::file),
                     flag("reuse-external", "reuse files provided by caller")},
         .run = backup_begin},
        {.name = "backup-dumpxml",
         .group = Group::backup,
         .help = "Dump XML for an ongoing domain block backup job",
         .description = "Backup Dump XML",
         .options = {need("domain", "domain name, id or uuid", Complete::active_domain),
                     text("xpath", "xpath expression to filter the XML document").named(),
                     flag("wrap", "wrap xpath results in an common root element")},
         .run = backup_dumpxml},
    };
    return rows;
}

} // namespace lodge::cli
