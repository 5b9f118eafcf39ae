// iface-bridge and iface-unbridge: the document of a bridge from that of a device, and back. Pure.
#pragma once
#include <string>

namespace lodge::cli {

// The device's addresses move to a new bridge; the device itself becomes its only member.
std::string bridge_document(const std::string& device_xml, const std::string& device, const std::string& bridge, bool stp,
                            unsigned delay);

struct Member {
    std::string name;
    std::string xml;
};
// The one member of a bridge, as a device of its own with the bridge's addresses.
Member member_document(const std::string& bridge_xml, const std::string& bridge);

} // namespace lodge::cli
