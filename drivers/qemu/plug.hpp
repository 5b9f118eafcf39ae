// Commands to QEMU that belong together: when one of them fails, those before it are undone.
#pragma once
#include "drivers/qemu/command_line/command_line.hpp"
#include "drivers/qemu/qmp.hpp"

namespace lodge::drivers::qemu {

struct World;

class PlugSteps {
  public:
    explicit PlugSteps(std::shared_ptr<Qmp> qmp)
        : qmp_(std::move(qmp)) {}

    Task<json> ask(std::string command, json arguments);
    // Asks, and remembers what undoes it.
    Task<> step(std::string command, json arguments, std::string undo, json undo_arguments);
    void undo_with(std::string command, json arguments);
    // Gives QEMU copies of the descriptors.
    Task<> lend(FdSet set);
    // The last step first; what QEMU refuses now is only logged.
    Task<> undo();

  private:
    std::shared_ptr<Qmp> qmp_;
    std::vector<std::pair<std::string, json>> undo_;
};

// What a running guest's commands need to know; secrets are sealed with the key that it was started with.
Task<BuildContext> running_context(std::shared_ptr<const World> world, std::shared_ptr<const xml::Domain> domain, int id,
                                   std::string key_path);

// Secrets and block nodes of a disk, from the bottom of its chain up.
Task<> add_block_nodes(PlugSteps& steps, BlockNodes nodes);
// The commands that take them away again, in their order.
std::vector<std::pair<std::string, json>> removal_of(const xml::Disk& disk);

} // namespace lodge::drivers::qemu
