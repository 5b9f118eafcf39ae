#include "daemon/hooks.hpp"
#include "drivers/process/process.hpp"
#include "rpc/error.hpp"
#include "rpc/log.hpp"
#include <algorithm>
#include <filesystem>
#include <unistd.h>

namespace lodge::daemon {

namespace fs = std::filesystem;

static bool is_program(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> Hooks::programs(HookKind kind) const {
    static constexpr const char* names[] = {"daemon", "qemu", "network"};
    const fs::path main = fs::path(folder_) / names[static_cast<std::size_t>(kind)];
    std::vector<std::string> more;
    std::error_code absent;
    for (const auto& entry : fs::directory_iterator(main.string() + ".d", absent))
        if (is_program(entry.path())) more.push_back(entry.path().string());
    std::ranges::sort(more);
    if (is_program(main)) more.insert(more.begin(), main.string());
    return more;
}

// Scripts expect the surroundings of a person's shell, as far as the daemon has them itself.
static drivers::Command command_for(const std::string& program, const HookCall& call, const std::string& input) {
    drivers::Command command;
    command.program = program;
    command.args = {call.object, call.operation, call.phase, call.extra};
    command.input = input;
    for (const char* name : {"HOME", "USER", "LOGNAME", "TMPDIR"})
        if (const char* value = std::getenv(name)) command.env.emplace_back(name, value);
    return command;
}

rpc::Task<std::string> Hooks::call(HookKind kind, HookCall call) const {
    std::string printed, failure;
    for (const auto& program : programs(kind)) {
        try {
            const auto result = co_await drivers::run_checked(command_for(program, call, printed.empty() ? call.input : printed),
                                                              {.time = limit_});
            if (!result.out.empty()) printed = result.out;
        } catch (const rpc::Error& error) {
            if (failure.empty()) failure = error.message();
        }
    }
    if (!failure.empty()) rpc::fail(rpc::From::hook, rpc::Code::hook_script_failed, "{}", failure);
    co_return printed;
}

rpc::Task<> Hooks::tell(HookKind kind, HookCall call) const {
    const std::string what = call.object + ": " + call.operation;
    try {
        co_await this->call(kind, std::move(call));
    } catch (const std::exception& error) {
        log::warn("{}: {}", what, error.what());
    }
}

} // namespace lodge::daemon
