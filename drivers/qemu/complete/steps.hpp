// The steps of complete(), each in the file of its name. They run in the order of complete.cpp.
#pragma once
#include "drivers/qemu/complete/context.hpp"
#include "xml/domain/device.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::drivers::qemu {

// The binary that runs the guest. Throws when there is none.
const EmulatorProfile& emulator_of(const xml::Domain& domain, const CompleteContext& ctx); // os.cpp

void complete_os(xml::Domain& domain, const CompleteContext& ctx);       // os.cpp: architecture, machine, emulator, boot
void complete_boot(xml::Domain& domain);                                 // os.cpp: from the first disk, if nothing is said
void complete_cpu(xml::Domain& domain, const CompleteContext& ctx);      // cpu.cpp
void complete_memory(xml::Domain& domain, bool by_cells);                // memory.cpp
void complete_features(xml::Domain& domain);                             // features.cpp
void complete_tuning(xml::Domain& domain);                               // tuning.cpp
void complete_security(xml::Domain& domain, const CompleteContext& ctx); // others.cpp
void complete_disks(xml::Domain& domain);                                // disks.cpp
void complete_nics(xml::Domain& domain);                                 // nics.cpp
void complete_chardevs(xml::Domain& domain);                             // chardevs.cpp
void add_console_twin(xml::Domain& domain);                              // chardevs.cpp: the first serial port is a console
void refresh_console_twin(xml::Domain& domain);                          // chardevs.cpp: with the serial port's address
void complete_graphics(xml::Domain& domain, const CompleteContext& ctx); // graphics.cpp
void complete_videos(xml::Domain& domain, const CompleteContext& ctx);   // video.cpp
void complete_inputs(xml::Domain& domain);                               // inputs.cpp
void complete_audio(xml::Domain& domain, const CompleteContext& ctx);    // audio.cpp
void complete_others(xml::Domain& domain);                               // others.cpp: balloon, panic, filesystems, …

void check_given_devices(const xml::Domain& domain); // check_devices.cpp: what is refused beside their defaults
void check_given_device(const xml::Device& device, const xml::Domain& domain);

void assign_drives(xml::Domain& domain);        // drives.cpp: <address type='drive'>
void assign_virtio_serial(xml::Domain& domain); // virtio_serial.cpp
void assign_ccid(xml::Domain& domain);          // virtio_serial.cpp
void add_usb_hubs(xml::Domain& domain);         // usb.cpp: when ports run out
void assign_usb(xml::Domain& domain);           // usb.cpp
void assign_dimms(xml::Domain& domain);         // memory.cpp

} // namespace lodge::drivers::qemu
