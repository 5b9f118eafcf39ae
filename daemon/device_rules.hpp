// What it means for a document when a device is added, changed or removed: what may not be, what a request finds, and in which
// words libvirt refuses. Pure; the driver completes the document afterwards.
#pragma once
#include "xml/domain/device.hpp"
#include "xml/domain/domain.hpp"

namespace lodge::daemon {

enum class Reach { live, config };

// Holds for new devices of every kind: boot order, USB, memory limits, names.
void check_new_device(const xml::Domain& domain, const xml::Device& device);
// The same for a device that is to take the place of `old`.
void check_changed_device(const xml::Domain& domain, const xml::Device& device, const xml::Device& old, Reach reach);

// Throws when the kind cannot be attached.
void check_attachable(const xml::Device& device, Reach reach);
// Throws when the document has one like it already, or has no room.
void check_attach(const xml::Domain& domain, const xml::Device& device, Reach reach);
void check_update(const xml::Device& device, Reach reach);
// The device that a request to detach or update means. Throws when there is none.
xml::DeviceAt find_to_detach(const xml::Domain& domain, const xml::Device& wanted, Reach reach);
xml::DeviceAt find_to_update(const xml::Domain& domain, const xml::Device& wanted, Reach reach);

// Puts the device last among its like, with what that changes elsewhere (memory sizes).
xml::DeviceAt add_device(xml::Domain& domain, xml::Device device);
void remove_device(xml::Domain& domain, xml::DeviceAt at);
// Memory of a document grows and shrinks with its memory devices.
void count_memory(xml::Domain& domain, const xml::Device& device, bool added);

} // namespace lodge::daemon
