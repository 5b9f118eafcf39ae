#include "cli/backup/plan.hpp"

#include "cli/xml_query.hpp"

#include <algorithm>

namespace lodge::cli {

namespace {

// Why a disk is left out by itself; empty for one that belongs into a backup.
std::string reason_to_leave_out(const pugi::xml_node& disk, const std::string& target, const PlanWishes& wishes) {
    std::string device = disk.attribute("device").as_string("disk");
    if (std::ranges::find(wishes.exclude, target) != wishes.exclude.end()) return "excluded by --exclude";
    if (device == "cdrom") return "a CD-ROM";
    if (device == "floppy") return "a floppy";
    if (disk.child("readonly")) return "read-only";
    if (disk.child("shareable")) return "shared with other guests";
    if (disk.child("transient")) return "transient: its changes are thrown away at shutdown";
    if (!disk.child("source")) return "an empty drive";
    return {};
}

void refuse_what_cannot_be(const PlannedDisk& disk, const pugi::xml_node& node, const PlanWishes& wishes) {
    std::string device = node.attribute("device").as_string("disk");
    if (device == "lun")
        fail("disk '{}' is a passed-through LUN, which cannot be backed up; leave it out with --exclude {}", disk.target,
             disk.target);
    bool local = disk.type == "file" || disk.type == "block";
    if (!wishes.running && !local)
        fail("disk '{}' is of type '{}', which can only be backed up while the guest runs; start it or use --exclude {}",
             disk.target, disk.type, disk.target);
    if (wishes.running && disk.encrypted)
        fail("disk '{}' is encrypted and a backup of the running guest would hold its plain data; stop the guest or use "
             "--exclude {}",
             disk.target, disk.target);
    if (disk.encrypted && !wishes.format.empty() && wishes.format != disk.source_format)
        fail("disk '{}' is encrypted and can only be copied as it is; leave --format out", disk.target);
}

std::string copy_format(const PlannedDisk& disk, const PlanWishes& wishes) {
    if (!wishes.format.empty()) return wishes.format;
    return disk.source_format == "raw" ? "raw" : "qcow2";
}

} // namespace

BackupPlan plan_backup(const pugi::xml_document& domain, const PlanWishes& wishes) {
    if (!wishes.format.empty() && wishes.format != "raw" && wishes.format != "qcow2")
        fail("unknown format '{}', expecting 'raw' or 'qcow2'", wishes.format);
    BackupPlan plan;
    auto unknown = wishes.exclude;
    for (const auto& found : domain.select_nodes("/domain/devices/disk")) {
        auto node = found.node();
        PlannedDisk disk;
        disk.target = node.child("target").attribute("dev").value();
        disk.type = node.attribute("type").as_string("file");
        disk.source = disk_source(node);
        disk.source_format = node.child("driver").attribute("type").as_string("raw");
        disk.encrypted = node.child("encryption") || node.child("source").child("encryption");
        std::erase(unknown, disk.target);
        if (auto reason = reason_to_leave_out(node, disk.target, wishes); !reason.empty()) {
            plan.left_out.push_back({disk.target, reason});
            continue;
        }
        refuse_what_cannot_be(disk, node, wishes);
        disk.format = disk.encrypted ? disk.source_format : copy_format(disk, wishes);
        disk.file = fmt::format("{}.{}", disk.target, disk.format);
        plan.disks.push_back(std::move(disk));
    }
    if (!unknown.empty()) fail("the guest has no disk '{}' to leave out", unknown.front());

    auto nvram = domain.child("domain").child("os").child("nvram");
    plan.nvram = nvram.text().get();
    if (plan.nvram.empty()) plan.nvram = nvram.child("source").attribute("file").value();
    if (domain.select_node("/domain/devices/tpm/backend[@type='emulator']"))
        plan.notes.emplace_back("the state of the emulated TPM is not part of the backup");
    return plan;
}

std::string push_document(const BackupPlan& plan, const std::string& folder) {
    pugi::xml_document document;
    auto top = document.append_child("domainbackup");
    top.append_attribute("mode") = "push";
    auto disks = top.append_child("disks");
    for (const auto& disk : plan.disks) {
        auto node = disks.append_child("disk");
        node.append_attribute("name") = disk.target.c_str();
        node.append_attribute("backup") = "yes";
        node.append_attribute("type") = "file";
        node.append_child("driver").append_attribute("type") = disk.format.c_str();
        node.append_child("target").append_attribute("file") = (folder + "/" + disk.file).c_str();
    }
    for (const auto& disk : plan.left_out) {
        auto node = disks.append_child("disk");
        node.append_attribute("name") = disk.target.c_str();
        node.append_attribute("backup") = "no";
    }
    return format_document(document);
}

} // namespace lodge::cli
