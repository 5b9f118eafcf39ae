// Files of snapshots and checkpoints, and what happens to them when the tree changes. libvirt's layout and contents, so a host's
// moments are there for either daemon.
#include "daemon/moments.hpp"
#include "daemon/domain.hpp"
#include "daemon/store.hpp"
#include "rpc/log.hpp"
#include "xml/checkpoint.hpp"
#include "xml/snapshot.hpp"
#include <filesystem>

namespace lodge::daemon {

namespace fs = std::filesystem;
using rpc::fail;

template<> SnapshotTree& moments_of<xml::Snapshot>(Domain& domain) { return domain.snapshots; }
template<> CheckpointTree& moments_of<xml::Checkpoint>(Domain& domain) { return domain.checkpoints; }

namespace {

// What differs between the kinds, as far as files go.
template<class Document> struct Kind;
template<> struct Kind<xml::Snapshot> {
    static constexpr const char *word = "snapshot", *root = xml::snapshot_root;
    static xml::Snapshot for_file(xml::Snapshot snapshot, bool current) {
        snapshot.active = current ? 1 : 0;
        return snapshot;
    }
    // What the file said; whether it is the current one is taken out of it.
    static std::pair<xml::Snapshot, bool> read(const std::string& text) {
        auto snapshot = xml::parse_snapshot(text, {.redefine = true, .file = true});
        const bool current = snapshot.active.value_or(0) != 0;
        snapshot.active.reset();
        return {std::move(snapshot), current};
    }
};
template<> struct Kind<xml::Checkpoint> {
    static constexpr const char *word = "checkpoint", *root = xml::checkpoint_root;
    static xml::Checkpoint for_file(xml::Checkpoint checkpoint, bool) { return checkpoint; }
    static std::pair<xml::Checkpoint, bool> read(const std::string& text) { return {xml::parse_checkpoint(text, true), false}; }
};

std::string base_folder(const Hypervisor& hypervisor, const char* word) {
    return fmt::format("{}/qemu/{}", hypervisor.lib_folder(), word);
}

template<class Document> std::string file_of(Domain& domain, const std::string& name) {
    // Names become file names.
    if (name.empty() || name.starts_with('.') || name.find('/') != std::string::npos)
        fail(Code::xml_detail, "invalid {} name '{}'", Kind<Document>::word, name);
    return fmt::format("{}/{}/{}.xml", base_folder(domain.hypervisor(), Kind<Document>::word), domain.name(), name);
}

template<class Document> Task<> write_file(DomainPtr domain, std::shared_ptr<const Document> moment, bool current) {
    if (!domain->hypervisor().is_persistent()) co_return;
    const auto document = Kind<Document>::for_file(*moment, current);
    std::string text = store::definition_header(fmt::format("virsh {}-edit {}", Kind<Document>::word, domain->name()));
    text += xml::format(document, Kind<Document>::root, {.live = false, .secret = true});
    co_await store::replace(file_of<Document>(*domain, moment->name), std::move(text));
}

} // namespace

template<class Document> Task<> make_current(DomainPtr domain, std::string name) {
    auto& tree = moments_of<Document>(*domain);
    const std::string before = tree.current();
    if (before == name) co_return;
    tree.set_current(name);
    if (const auto old = tree.find(before)) co_await write_file<Document>(domain, old, false);
    if (const auto now = tree.find(name)) co_await write_file<Document>(domain, now, true);
}

template<class Document> Task<> keep_moment(DomainPtr domain, std::shared_ptr<const Document> moment, bool current) {
    auto& tree = moments_of<Document>(*domain);
    // The file first: what is in the tree is on disk.
    co_await write_file<Document>(domain, moment, current || tree.current() == moment->name);
    tree.put(moment);
    if (!current || tree.current() == moment->name) co_return;
    const auto before = tree.find(tree.current());
    tree.set_current(moment->name);
    if (before) co_await write_file<Document>(domain, before, false);
}

template<class Document> Task<> forget_moment(DomainPtr domain, std::string name) {
    auto& tree = moments_of<Document>(*domain);
    const auto moment = tree.get(name);
    for (const auto& child : tree.children(name)) {
        auto moved = std::make_shared<Document>(*child);
        moved->parent = moment->parent;
        co_await keep_moment<Document>(domain, std::shared_ptr<const Document>(moved), false);
    }
    const bool was_current = tree.current() == name;
    if (domain->hypervisor().is_persistent()) co_await store::remove(file_of<Document>(*domain, name));
    tree.remove(name);
    if (was_current && tree.find(moment->parent)) co_await make_current<Document>(domain, moment->parent);
}

template Task<> keep_moment<xml::Snapshot>(DomainPtr, std::shared_ptr<const xml::Snapshot>, bool);
template Task<> keep_moment<xml::Checkpoint>(DomainPtr, std::shared_ptr<const xml::Checkpoint>, bool);
template Task<> make_current<xml::Snapshot>(DomainPtr, std::string);
template Task<> make_current<xml::Checkpoint>(DomainPtr, std::string);
template Task<> forget_moment<xml::Snapshot>(DomainPtr, std::string);
template Task<> forget_moment<xml::Checkpoint>(DomainPtr, std::string);

namespace {

template<class Document> void load_kind(Hypervisor& hypervisor) {
    std::error_code none; // no folder: no moments
    for (const auto& entry : fs::directory_iterator(base_folder(hypervisor, Kind<Document>::word), none)) {
        const auto domain = hypervisor.domains.by_name(entry.path().filename().string());
        if (!domain) continue; // of a domain that is defined elsewhere, or no more
        auto& tree = moments_of<Document>(*domain);
        for (const auto& file : store::read_folder(entry.path().string())) {
            try {
                if (!file.error.empty()) fail(Code::internal_error, "{}", file.error);
                auto [moment, current] = Kind<Document>::read(file.text);
                if (moment.name != file.name)
                    fail(Code::internal_error, "the file is named '{}' but holds {} '{}'", file.name, Kind<Document>::word,
                         moment.name);
                if (current) tree.set_current(moment.name);
                tree.put(std::make_shared<const Document>(std::move(moment)));
            } catch (const std::exception& error) {
                log::error("cannot load {} {}: {}", Kind<Document>::word, file.path, error.what());
            }
        }
        tree.mend(domain->name());
    }
}

} // namespace

void load_moments(Hypervisor& hypervisor) {
    load_kind<xml::Snapshot>(hypervisor);
    load_kind<xml::Checkpoint>(hypervisor);
    // Files of checkpoints do not say which is current.
    for (const auto& [name, domain] : hypervisor.domains.all())
        if (const auto leaf = domain->checkpoints.only_leaf()) domain->checkpoints.set_current(leaf->name);
}

void remove_moment_files(Domain& domain) {
    domain.snapshots = {};
    domain.checkpoints = {};
    if (!domain.hypervisor().is_persistent()) return;
    for (const char* word : {Kind<xml::Snapshot>::word, Kind<xml::Checkpoint>::word}) {
        std::error_code error;
        fs::remove_all(base_folder(domain.hypervisor(), word) + "/" + domain.name(), error);
        if (error) log::error("{}: cannot remove its {} files: {}", domain.name(), word, error.message());
    }
}

void rename_moment_files(Hypervisor& hypervisor, const std::string& from, const std::string& to) {
    for (const char* word : {Kind<xml::Snapshot>::word, Kind<xml::Checkpoint>::word}) {
        const std::string base = base_folder(hypervisor, word) + "/";
        std::error_code error;
        if (!fs::exists(base + from, error)) continue;
        fs::remove_all(base + to, error); // left by a domain of that name that is no more
        fs::rename(base + from, base + to, error);
        if (error) fail(Code::system_error, "cannot rename '{}' to '{}': {}", base + from, base + to, error.message());
    }
}

} // namespace lodge::daemon
