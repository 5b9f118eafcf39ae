// Guests of libvirtd: what its status file says of the machine, in the words of our own.
#pragma once
#include "drivers/qemu/launch.hpp"
#include <nlohmann/json.hpp>

namespace lodge::drivers::qemu {

bool is_libvirt_status(const std::string& text);
// What Machine::status() would have said. `request.status` is the file's text; throws when it names no process of today.
nlohmann::json from_libvirt_status(const World& world, const AdoptRequest& request);

} // namespace lodge::drivers::qemu
