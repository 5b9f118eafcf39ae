#include "xml/checkpoint.hpp"
#include "xml/domain/check.hpp"
#include <map>

namespace lodge::xml {

using rpc::fail;
constexpr From from = From::domain_checkpoint;

static void describe(Doc& doc, CheckpointDisk& disk) {
    doc.required("name", disk.name);
    doc.attribute("checkpoint", disk.checkpoint);
    doc.attribute("bitmap", disk.bitmap);
    doc.attribute("size", disk.size);
}

void describe(Doc& doc, Checkpoint& c) {
    doc.text_child("name", c.name);
    doc.text_child("description", c.description);
    describe_parent(doc, c);
    doc.text_child("creationTime", c.creation_time, Mark::recorded);
    doc.group("disks", [&] { doc.list("disk", c.disks); });
    doc.child("domain", c.domain, Mark::recorded | Mark::document);
}

Checkpoint parse_checkpoint(std::string_view text, bool redefine) {
    ReadOptions options;
    options.recorded = redefine;
    options.from = from;
    options.where = "(domain_checkpoint)";
    auto checkpoint = parse<Checkpoint>(text, checkpoint_root, options);
    if (redefine && checkpoint.name.empty()) fail(from, Code::xml_error, "a redefined checkpoint must have a name");
    if (redefine && !checkpoint.creation_time) fail(from, Code::internal_error, "missing creationTime from existing checkpoint");
    if (checkpoint.domain) check_domain(*checkpoint.domain);
    for (auto& disk : checkpoint.disks) {
        if (!disk.checkpoint) disk.checkpoint = CheckpointMode::bitmap;
        disk.size.reset(); // a measure of that time, not a fact to keep
    }
    return checkpoint;
}

void name_bitmaps(Checkpoint& checkpoint) {
    for (auto& disk : checkpoint.disks)
        if (disk.has_bitmap() && disk.bitmap.empty()) disk.bitmap = checkpoint.name;
}

void align_disks(Checkpoint& checkpoint, const Domain& domain) {
    const auto& disks = domain.devices.disks;
    if (checkpoint.disks.size() > disks.size())
        fail(from, Code::config_unsupported, "too many disk checkpoint requests for domain");
    if (disks.empty()) fail(from, Code::config_unsupported, "domain must have at least one disk to perform checkpoints");
    const auto fallback = checkpoint.disks.empty() ? CheckpointMode::bitmap : CheckpointMode::no;
    const auto unfit = [](const Disk& disk) { return disk.source.empty() || disk.readonly; };
    std::map<std::string, CheckpointDisk> named;
    for (auto& wish : checkpoint.disks) {
        const std::string target = domain.disk_target(wish.name);
        if (target.empty()) fail(from, Code::config_unsupported, "no disk named '{}'", wish.name);
        if (named.contains(target)) fail(from, Code::config_unsupported, "disk '{}' specified twice", wish.name);
        if (unfit(domain.disk_source(target)) && wish.checkpoint != CheckpointMode::no)
            fail(from, Code::config_unsupported, "disk '{}' is empty or readonly", wish.name);
        wish.name = target;
        named.emplace(target, std::move(wish));
    }
    std::vector<CheckpointDisk> aligned;
    for (const auto& disk : disks) {
        if (const auto wish = named.find(disk.target.dev); wish != named.end()) {
            aligned.push_back(std::move(wish->second));
            continue;
        }
        auto& entry = aligned.emplace_back();
        entry.name = disk.target.dev;
        entry.checkpoint = unfit(disk) ? CheckpointMode::no : fallback;
    }
    checkpoint.disks = std::move(aligned);
    name_bitmaps(checkpoint);
}

} // namespace lodge::xml
