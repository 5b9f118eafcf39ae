#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

Json device_json(const Domain& domain, const Watchdog& watchdog, const BuildContext&) {
    if (watchdog.model == WatchdogModel::diag288)
        rpc::fail(Code::config_unsupported, "diag288 model of watchdog is allowed for s390 and s390x only");
    Json json{{"driver", word(watchdog.model)}, {"id", watchdog.info.alias}};
    put_address(json, domain, watchdog.info);
    return json;
}

void add_watchdogs(Builder& builder) {
    const auto& watchdogs = builder.domain.devices.watchdogs;
    for (const auto& watchdog : watchdogs) {
        if (watchdog.model == WatchdogModel::itco) continue; // q35 has it
        builder.device(device_json(builder.domain, watchdog, builder.ctx));
    }
    if (watchdogs.empty()) return;
    // A dump is made by the driver while the guest is paused.
    const WatchdogAction action = watchdogs.front().action;
    builder.option("-watchdog-action", std::string(word(action == WatchdogAction::dump ? WatchdogAction::pause : action)));
}

} // namespace lodge::drivers::qemu
