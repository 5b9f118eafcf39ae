// The administrator's programs that are told of what happens and may refuse it: ETC/hooks/{daemon,qemu,network}, and behind each
// those of the folder of that name with ".d", in the order of their names. They run beside the daemon, which serves them
// meanwhile like anybody else, and not longer than `hook_timeout` of the configuration says.
#pragma once
#include "rpc/task.hpp"
#include <string>
#include <vector>

namespace lodge::daemon {

enum class HookKind { daemon, qemu, network };

// What a program learns: its four arguments and its standard input.
struct HookCall {
    std::string object = "-";
    std::string operation;
    std::string phase = "-"; // "begin", "end"
    std::string extra = "-";
    std::string input;
};

class Hooks {
  public:
    Hooks(std::string folder, std::chrono::seconds limit)
        : folder_(std::move(folder))
        , limit_(limit) {}

    // Whether anybody would be told. Looked up each time: a program counts from the moment it is there.
    bool has(HookKind kind) const { return !programs(kind).empty(); }
    // Runs all programs of that kind. Each reads what the one before it printed, if it printed anything, else `input`; returns
    // what was printed last. When one fails the others run all the same; then throws Code::hook_script_failed with its words.
    rpc::Task<std::string> call(HookKind kind, HookCall call) const;
    // The same where nothing can be refused any more: failure is only logged.
    rpc::Task<> tell(HookKind kind, HookCall call) const;

  private:
    std::vector<std::string> programs(HookKind kind) const;

    std::string folder_;
    std::chrono::seconds limit_;
};

} // namespace lodge::daemon
