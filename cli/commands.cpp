#include "cli/commands.hpp"

#include <algorithm>

namespace lodge::cli {

namespace {

std::vector<const Command*> gather() {
    std::vector<const Command*> out;
    for (const auto* family :
         {&domain_life_commands(),    &domain_save_commands(),    &save_image_commands(),    &snapshot_commands(),
          &checkpoint_commands(),     &domain_change_commands(),  &domain_device_commands(), &domain_plug_commands(),
          &domain_tune_commands(),    &domain_attach_commands(),  &domain_limits_commands(), &iothread_commands(),
          &domain_misc_commands(),    &block_job_commands(),      &migrate_commands(),       &qemu_commands(),
          &domain_info_commands(),    &domain_figures_commands(), &guest_agent_commands(),   &cpu_commands(),
          &domain_list_commands(),    &domain_edit_commands(),    &console_commands(),       &keys_commands(),
          &event_commands(),          &host_commands(),           &node_commands(),          &network_commands(),
          &network_change_commands(), &network_port_commands(),   &nwfilter_commands(),      &nodedev_commands(),
          &nodedev_change_commands(), &secret_commands(),         &interface_commands(),     &bridge_commands(),
          &pool_commands(),           &pool_make_commands(),      &volume_commands(),        &volume_make_commands(),
          &volume_copy_commands(),    &backup_commands(),         &why_commands(),           &lodge_commands()})
        for (const auto& command : *family) out.push_back(&command);
    std::ranges::sort(out, {}, [](const Command* command) { return std::pair(command->group, command->name); });
    return out;
}

} // namespace

std::span<const Command* const> all_commands() {
    static const auto commands = gather();
    return commands;
}

const Command* find_command(std::string_view name) {
    auto commands = all_commands();
    auto it = std::ranges::find(commands, name, &Command::name);
    return it == commands.end() ? nullptr : *it;
}

} // namespace lodge::cli
