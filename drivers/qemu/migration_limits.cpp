// What holds for migrations of this guest to elsewhere: QEMU keeps it, and takes changes while one runs.
#include "drivers/qemu/machine.hpp"

namespace lodge::drivers::qemu {

Task<std::map<std::string, std::int64_t>> QemuMachine::migration_limits() {
    const auto self = shared_from_this();
    const json answer = co_await ask("query-migrate-parameters");
    std::map<std::string, std::int64_t> limits;
    for (const auto& [name, value] : answer.items())
        if (value.is_number_integer()) limits[name] = value.get<std::int64_t>();
    co_return limits;
}

Task<> QemuMachine::set_migration_limit(std::string name, std::int64_t value) {
    const auto self = shared_from_this();
    co_await ask("migrate-set-parameters", {{name, value}});
}

} // namespace lodge::drivers::qemu
