// Reading all definitions when the daemon starts. What this version of lodged wrote is taken over by its sum; everything else is
// parsed by as many threads as there are processors. What may lack its defaults is completed when clients are served already:
// that asks emulators, and one that does not answer must not keep the daemon from its clients.
#include "daemon/domain.hpp"
#include "daemon/footprint.hpp"
#include "daemon/host.hpp"
#include "daemon/store.hpp"
#include "rpc/log.hpp"
#include "xml/domain/domain.hpp"
#include <atomic>
#include <deque>
#include <filesystem>
#include <thread>

namespace lodge::daemon {

namespace {

struct Loading {
    StoredFile file;
    Definition definition;
    bool as_written = false; // by this version of lodged, so it is complete
    bool autostart = false;
};

void read(Loading& item, const Hypervisor& hypervisor) {
    auto& [path, name, text, error] = item.file;
    store::read(item.file);
    if (!error.empty()) return;
    std::error_code ignored;
    item.autostart = std::filesystem::is_symlink(hypervisor.autostart_link(name), ignored);
    item.definition = Definition::from_file(text, name);
    item.as_written = !item.definition.is_empty();
    if (!item.as_written) {
        xml::Domain document = xml::parse_domain(text, {.from = From::domain, .where = path});
        if (document.name != name)
            rpc::fail(Code::internal_error, "{}: the file is named '{}' but defines domain '{}'", path, name, document.name);
        if (document.uuid.is_nil()) document.uuid = rpc::Uuid::random();
        item.definition = Definition(document);
    }
    text = {};
}

void read_all(std::vector<Loading>& items, const Hypervisor& hypervisor) {
    std::atomic<std::size_t> next = 0;
    const auto run = [&] {
        for (std::size_t i; (i = next++) < items.size();) {
            try {
                read(items[i], hypervisor);
            } catch (const std::exception& error) {
                items[i].file.error = error.what();
            }
        }
    };
    std::vector<std::jthread> helpers;
    // a thread is worth its while from some files on
    const std::size_t wanted = std::min<std::size_t>(std::thread::hardware_concurrency(), items.size() / 8);
    for (std::size_t i = 1; i < wanted; ++i) helpers.emplace_back(run);
    run();
}

// A domain that nobody may start or change before it has its defaults.
struct Unfinished {
    DomainPtr domain;
    JobQueue::Job job;
};

// libvirt's own files are complete, too, but nothing tells whether they were edited since. What cannot be completed stays as it
// is, to be looked at and mended.
Task<> complete_all(std::deque<Unfinished> unfinished) {
    for (; !unfinished.empty(); unfinished.pop_front()) {
        Domain& domain = *unfinished.front().domain;
        try {
            xml::Domain document = domain.definition().copy();
            co_await domain.hypervisor().driver().complete(document, drivers::Completion::unchecked);
            domain.load_definition(Definition(document), domain.autostart());
        } catch (const std::exception& error) {
            log::error("{}: {}", domain.name(), error.what());
        }
        co_await rpc::sleep_for(std::chrono::nanoseconds(0)); // clients come in between
    }
}

// The first call for everybody's statistics would have to do it all at once.
Task<> outline_all(std::vector<DomainPtr> domains) {
    for (const auto& domain : domains) {
        try {
            if (!domain->definition().is_empty()) domain->definition().outline();
        } catch (const rpc::Error&) {
            // Who asks for this domain hears of it.
        }
        co_await rpc::sleep_for(std::chrono::nanoseconds(0));
    }
    shrink_footprint();
}

} // namespace

Task<> Hypervisor::load_definitions() {
    std::vector<Loading> items;
    for (auto& file : store::list_folder(host_.paths().etc + "/qemu")) items.emplace_back().file = std::move(file);
    read_all(items, *this);
    std::deque<Unfinished> unfinished;
    for (auto& [file, definition, as_written, autostart] : items) {
        const auto same = file.error.empty() ? domains.by_uuid(definition.uuid()) : nullptr;
        if (same) file.error = fmt::format("uuid {} is already taken by domain '{}'", same->uuid().text(), same->name());
        if (!file.error.empty()) {
            log::error("cannot load domain definition {}: {}", file.path, file.error);
            continue;
        }
        auto domain = std::make_shared<Domain>(*this, file.name, definition.uuid());
        domain->load_definition(definition, autostart); // a copy: what the threads allocated lies between what they freed
        domains.add(domain);
        if (!as_written) {
            auto job = co_await domain->acquire("load");
            unfinished.push_back({std::move(domain), std::move(job)});
        }
    }
    std::vector<DomainPtr> loaded;
    for (const auto& [name, domain] : domains.all()) loaded.push_back(domain);
    rpc::spawn(host_.executor(), "outlines", outline_all(std::move(loaded)));
    if (!unfinished.empty()) rpc::spawn(host_.executor(), "completing definitions", complete_all(std::move(unfinished)));
}

} // namespace lodge::daemon
