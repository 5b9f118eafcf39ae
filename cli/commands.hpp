// All rows of all families. A new family: its file in commands/, its line here and in commands.cpp.
#pragma once
#include "cli/command.hpp"

#include <span>

namespace lodge::cli {

std::span<const Command* const> all_commands(); // by group, then in the order of their files
const Command* find_command(std::string_view name);

const std::vector<Command>& domain_life_commands();
const std::vector<Command>& domain_save_commands();
const std::vector<Command>& save_image_commands();
const std::vector<Command>& snapshot_commands();
const std::vector<Command>& checkpoint_commands();
const std::vector<Command>& domain_change_commands();
const std::vector<Command>& domain_device_commands();
const std::vector<Command>& domain_plug_commands();
const std::vector<Command>& domain_tune_commands();
const std::vector<Command>& domain_attach_commands();
const std::vector<Command>& domain_limits_commands();
const std::vector<Command>& iothread_commands();
const std::vector<Command>& domain_misc_commands();
const std::vector<Command>& block_job_commands();
const std::vector<Command>& migrate_commands();
const std::vector<Command>& qemu_commands();
const std::vector<Command>& domain_info_commands();
const std::vector<Command>& domain_list_commands();
const std::vector<Command>& domain_figures_commands();
const std::vector<Command>& guest_agent_commands();
const std::vector<Command>& cpu_commands();
const std::vector<Command>& domain_edit_commands();
const std::vector<Command>& console_commands();
const std::vector<Command>& keys_commands();
const std::vector<Command>& event_commands();
const std::vector<Command>& host_commands();
const std::vector<Command>& node_commands();
const std::vector<Command>& network_commands();
const std::vector<Command>& network_change_commands();
const std::vector<Command>& network_port_commands();
const std::vector<Command>& nwfilter_commands();
const std::vector<Command>& nodedev_commands();
const std::vector<Command>& nodedev_change_commands();
const std::vector<Command>& secret_commands();
const std::vector<Command>& interface_commands();
const std::vector<Command>& bridge_commands();
const std::vector<Command>& pool_commands();
const std::vector<Command>& pool_make_commands();
const std::vector<Command>& volume_commands();
const std::vector<Command>& volume_make_commands();
const std::vector<Command>& volume_copy_commands();
const std::vector<Command>& backup_commands();
const std::vector<Command>& why_commands();
const std::vector<Command>& lodge_commands();

} // namespace lodge::cli
