// Dumps of memory that nobody asks for at the moment: of a guest that crashed, or whose watchdog barked.
#include "drivers/qemu/launch.hpp"
#include "drivers/qemu/machine.hpp"
#include "rpc/log.hpp"
#include <ctime>
#include <filesystem>
#include <fmt/chrono.h>

namespace lodge::drivers::qemu {

static std::string dump_path(const World& world, int id, const std::string& name) {
    const auto& folder = world.settings.auto_dump_path;
    constexpr std::size_t longest = 20; // of a name, so that the file's own does not become too long
    return fmt::format("{}/{}-{}-{:%Y-%m-%d-%H:%M:%S}", folder.empty() ? world.paths.lib + "/qemu/dump" : folder, id,
                       name.substr(0, longest), fmt::localtime(std::time(nullptr)));
}

Task<bool> QemuMachine::dump_by_itself(std::shared_ptr<QemuMachine> self) {
    const auto& world = *self->parts_.world;
    const std::string path = dump_path(world, self->parts_.id, self->name());
    try {
        co_await rpc::blocking([&] { std::filesystem::create_directories(std::filesystem::path(path).parent_path()); });
        co_await self->keeper_.dump({path, true, "elf", world.settings.auto_dump_bypass_cache});
    } catch (const std::exception& error) {
        log::error("{}: cannot dump its memory to {}: {}", self->name(), path, error.what());
        co_return false;
    }
    log::info("{}: its memory is in {}", self->name(), path);
    co_return true;
}

// Without a dump the guest stays as it is: it is all that there is left to look at.
Task<> QemuMachine::dump_and_obey(std::shared_ptr<QemuMachine> self, xml::LifecycleAction action, EndReason reason) {
    if (co_await dump_by_itself(self)) self->obey(action, reason);
}

Task<> QemuMachine::dump_and_go_on(std::shared_ptr<QemuMachine> self) {
    co_await dump_by_itself(self);
    co_await self->resume();
}

} // namespace lodge::drivers::qemu
