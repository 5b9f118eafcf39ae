// Pools at start-up: definitions in /etc, state files of what is active in /run, and autostart.
#include "daemon/pools.hpp"
#include "daemon/store.hpp"
#include "rpc/log.hpp"
#include <filesystem>

namespace lodge::daemon {

namespace fs = std::filesystem;

std::string Pools::definition_file(const std::string& name) const { return host_.paths().etc + "/storage/" + name + ".xml"; }
std::string Pools::autostart_link(const std::string& name) const {
    return host_.paths().etc + "/storage/autostart/" + name + ".xml";
}
std::string Pools::state_file(const std::string& name) const { return host_.paths().run + "/storage/" + name + ".xml"; }

void Pools::load_definition(const std::string& text, const std::string& file_name, const std::string& path) {
    xml::Pool document = xml::parse_pool(text, {.where = path});
    if (document.name != file_name)
        rpc::fail(Code::xml_error, "Storage pool config filename '{}' does not match pool name '{}'", path, document.name);
    check_conflict(document, false);
    auto pool = pools_.by_uuid(document.uuid);
    if (!pool) {
        pool = std::make_shared<Pool>(document.name, document.uuid);
        pool->document = std::move(document);
        pools_.add(pool);
    } else {
        pool->next = std::move(document); // it is active with what its state file says
    }
    pool->persistent = true;
    std::error_code ignored;
    pool->autostart = fs::is_symlink(autostart_link(file_name), ignored);
}

void Pools::load_state(const std::string& text, const std::string& path) {
    xml::Pool document = parse_pool_state(text, path);
    check_conflict(document, true);
    auto pool = std::make_shared<Pool>(document.name, document.uuid);
    pool->document = std::move(document);
    pool->active = true; // until adopt() knows better
    pools_.add(pool);
}

// What is active shows on the host: a file system can be mounted or unmounted behind our back, and a boot unmounts all. As with
// libvirt, a folder that is there makes its pool active, stopped before or not.
Task<> Pools::adopt(PoolPtr pool) {
    const bool was_active = pool->active;
    std::string cause = "it is no longer there";
    bool active = false;
    try {
        active = co_await driver_of(pool->document.type).is_active(pool->document);
        if (active) co_await take_contents(pool);
    } catch (const std::exception& error) {
        active = false;
        cause = error.what();
    }
    if (!active && was_active) {
        log::warn("storage pool {}: no longer active: {}", pool->name(), cause);
        store::remove_now(state_file(pool->name()));
        pool->volumes.clear();
    }
    pool->active = active;
    settle(pool);
}

Task<> Pools::load() {
    const auto read = [](std::string folder) { return rpc::blocking_result([folder] { return store::read_folder(folder); }); };
    const auto each = [](const std::vector<StoredFile>& files, const char* what, auto take) {
        for (const auto& file : files) {
            try {
                if (!file.error.empty()) rpc::fail(Code::internal_error, "{}", file.error);
                take(file);
            } catch (const std::exception& error) {
                log::error("cannot load {} {}: {}", what, file.path, error.what());
            }
        }
    };
    each(co_await read(host_.paths().run + "/storage"), "the state of a storage pool,",
         [this](const StoredFile& file) { load_state(file.text, file.path); });
    each(co_await read(host_.paths().etc + "/storage"), "storage pool definition",
         [this](const StoredFile& file) { load_definition(file.text, file.name, file.path); });
    for (const auto& pool : list(0)) co_await adopt(pool);
}

Task<> Pools::autostart() {
    const std::string done = host_.paths().run + "/storage/autostarted";
    if (fs::exists(done)) co_return;
    store::replace_now(done, "", false);
    for (const auto& pool : list(0)) {
        if (!pool->autostart || pool->active) continue;
        try {
            co_await start(pool, 0);
        } catch (const std::exception& error) {
            log::error("storage pool {}: cannot be started: {}", pool->name(), error.what());
        }
    }
}

} // namespace lodge::daemon
