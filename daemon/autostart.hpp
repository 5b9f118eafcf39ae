// Which guests come up with the host, and in which order. A guest says so in its metadata, beside libvirt's autostart link:
//     virsh metadata GUEST urn:lodge:autostart --key lodge --set '<autostart order="10" delay="5"/>' --config
// Guests of one order come up at once, those of the next when these run and the longest of their delays (seconds) is over. Who
// says nothing has order 0.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {
struct Domain;
}

namespace lodge::daemon {

inline constexpr const char* autostart_namespace = "urn:lodge:autostart";

struct AutostartWish {
    int order = 0;
    unsigned delay = 0; // seconds
};
void describe(xml::Doc& doc, AutostartWish& wish);

// Throws Code::xml_error for what nobody can read.
AutostartWish autostart_wish(const xml::Domain& domain);

} // namespace lodge::daemon
