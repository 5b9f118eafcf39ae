#include "daemon/checkpoints.hpp"
#include "xml/checkpoint.hpp"
#include "xml/schema.hpp"
#include <algorithm>
#include <ctime>

namespace lodge::daemon {

using rpc::fail;
using CheckpointPtr = CheckpointTree::Pointer;

std::vector<drivers::Bitmap> bitmaps_of(const xml::Checkpoint& checkpoint) {
    std::vector<drivers::Bitmap> out;
    for (const auto& disk : checkpoint.disks)
        if (disk.has_bitmap()) out.push_back({disk.name, disk.bitmap});
    return out;
}

namespace {

// A checkpoint that exists in the images, made known again. Returns whether it is the current one now.
bool check_redefinition(Domain& domain, xml::Checkpoint& checkpoint) {
    auto& tree = domain.checkpoints;
    tree.check_parent(checkpoint);
    if (checkpoint.domain) {
        if (checkpoint.domain->uuid != domain.uuid())
            fail(From::domain_checkpoint, Code::invalid_arg, "definition for checkpoint {} must use uuid {}", checkpoint.name,
                 domain.uuid().text());
        xml::align_disks(checkpoint, *checkpoint.domain);
    } else {
        xml::name_bitmaps(checkpoint);
    }
    const bool follows = !checkpoint.parent.empty() && checkpoint.parent == tree.current();
    return follows || tree.current().empty();
}

Task<> check_bitmaps(DomainPtr domain, xml::Checkpoint checkpoint) {
    domain->require_active();
    for (const auto& bitmap : bitmaps_of(checkpoint)) {
        if (domain->live().disk_target(bitmap.disk).empty()) continue; // detached since
        bool there = true;
        try {
            std::vector<drivers::Bitmap> one{bitmap};
            co_await domain->machine().state_keeper().bitmap_sizes(std::move(one));
        } catch (const rpc::Error&) {
            there = false;
        }
        if (!there)
            fail(Code::checkpoint_inconsistent, "missing or broken bitmap '{}' for disk '{}'", checkpoint.name, bitmap.disk);
    }
}

void check_disks(const xml::Checkpoint& checkpoint, const xml::Domain& domain) {
    for (std::size_t i = 0; i < checkpoint.disks.size(); ++i) {
        const auto& disk = checkpoint.disks[i];
        if (!disk.has_bitmap()) continue;
        if (disk.bitmap != checkpoint.name)
            fail(Code::config_unsupported, "bitmap for disk '{}' must match checkpoint name '{}'", disk.name, checkpoint.name);
        const auto format = domain.devices.disks[i].driver.type.value_or(xml::StorageFormat::raw);
        if (format != xml::StorageFormat::qcow2)
            fail(Code::config_unsupported, "checkpoint for disk {} unsupported for storage type {}", disk.name,
                 xml::word(format));
    }
}

} // namespace

Task<xml::Checkpoint> plan_checkpoint(DomainPtr domain, xml::Checkpoint checkpoint) {
    checkpoint.creation_time = std::time(nullptr);
    if (checkpoint.name.empty()) checkpoint.name = std::to_string(*checkpoint.creation_time);
    checkpoint.domain.emplace() = co_await domain->portable_document();
    xml::align_disks(checkpoint, *checkpoint.domain);
    check_disks(checkpoint, *checkpoint.domain);
    if (domain->checkpoints.find(checkpoint.name))
        fail(From::domain, Code::operation_failed, "domain moment {} already exists", checkpoint.name);
    checkpoint.parent = domain->checkpoints.current();
    domain->require_active();
    co_return checkpoint;
}

Task<std::string> create_checkpoint(DomainPtr domain, std::string text, unsigned flags) {
    const bool redefine = flags & api::domain_checkpoint_create_redefine;
    if (!redefine && !domain->is_active()) fail(Code::operation_unsupported, "cannot create checkpoint for inactive domain");
    co_await rpc::blocking([&] { xml::validate_schema(text, "domaincheckpoint.rng"); });
    auto checkpoint = xml::parse_checkpoint(text, redefine);
    bool current = true;
    if (redefine) {
        if (checkpoint.domain)
            co_await domain->hypervisor().driver().complete(*checkpoint.domain, drivers::Completion::unchecked);
        current = check_redefinition(*domain, checkpoint);
        if (flags & api::domain_checkpoint_create_redefine_validate) co_await check_bitmaps(domain, checkpoint);
    } else {
        checkpoint = co_await plan_checkpoint(domain, std::move(checkpoint));
        co_await domain->machine().state_keeper().add_bitmaps(bitmaps_of(checkpoint));
    }
    const std::string name = checkpoint.name;
    co_await keep_moment<xml::Checkpoint>(domain, std::make_shared<const xml::Checkpoint>(std::move(checkpoint)), current);
    co_return name;
}

Task<> delete_checkpoint(DomainPtr domain, std::string name, unsigned flags) {
    const bool data = !(flags & api::domain_checkpoint_delete_metadata_only);
    const bool only_below = flags & api::domain_checkpoint_delete_children_only;
    if (data && !domain->is_active()) fail(Code::operation_unsupported, "cannot delete checkpoint for inactive domain");
    const auto checkpoint = domain->checkpoints.get(name);
    std::vector<CheckpointPtr> doomed;
    if (only_below || (flags & api::domain_checkpoint_delete_children)) doomed = domain->checkpoints.descendants(name);
    std::ranges::reverse(doomed); // the last first, so that nothing has to be moved up
    if (!only_below) doomed.push_back(checkpoint);
    for (const auto& one : doomed) {
        if (data) {
            domain->require_active();
            co_await domain->machine().state_keeper().remove_bitmaps(bitmaps_of(*one));
        }
        co_await forget_moment<xml::Checkpoint>(domain, one->name);
    }
}

Task<std::string> checkpoint_document(DomainPtr domain, std::string name, unsigned flags) {
    xml::Checkpoint document = *domain->checkpoints.get(name);
    if (flags & api::domain_checkpoint_xml_size) {
        if (!domain->is_active()) fail(Code::operation_invalid, "domain is not running");
        const auto sizes = co_await domain->machine().state_keeper().bitmap_sizes(bitmaps_of(document));
        std::size_t at = 0;
        for (auto& disk : document.disks)
            if (disk.has_bitmap()) disk.size = sizes.at(at++);
    }
    if (flags & api::domain_checkpoint_xml_no_domain) document.domain.reset();
    const bool secret = flags & api::domain_checkpoint_xml_secure;
    co_return xml::format(document, xml::checkpoint_root, {.live = false, .secret = secret});
}

} // namespace lodge::daemon
