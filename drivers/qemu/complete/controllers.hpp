// Controllers: their order and numbers, the ones every machine has, and the ones that other devices need.
#pragma once
#include "xml/domain/domain.hpp"

namespace lodge::drivers::qemu {

// Keeps controllers of a type together and in order of their index, the master of companions first.
void insert_controller(xml::Devices& devices, xml::Controller controller);
// Adds one at the end unless there is one of that type and index; true when it was added.
bool ensure_controller(xml::Devices& devices, xml::ControllerType type, unsigned index,
                       std::optional<xml::ControllerModel> model = std::nullopt);

void order_controllers(xml::Domain& domain);       // order, indices, companions
void add_machine_controllers(xml::Domain& domain); // USB, SATA and PCI roots
void complete_controllers(xml::Domain& domain);    // models and the like
void add_scsi_for_hostdevs(xml::Domain& domain);   // before those of the machine
void add_needed_controllers(xml::Domain& domain);  // for disks, channels, smartcards

} // namespace lodge::drivers::qemu
