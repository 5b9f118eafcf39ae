// Facts about devices as people write them, for the documents that commands make.
#pragma once
#include "cli/session.hpp"

#include <optional>
#include <pugixml.hpp>

namespace lodge::cli {

bool is_block_device(const std::string& path);

// An attribute, when there is a value for it.
void put(pugi::xml_node node, const char* name, const std::optional<std::string>& value);

// "pci:0000.00.0a.0", "scsi:0.0.0", "usb:1.2", "ccw:fe.0.0000" as an <address/> of 'device'; false when it is none of these.
bool put_address(pugi::xml_node device, const std::string& text, bool multifunction);
std::string_view address_kind(const std::string& text);

// "average,peak,burst,floor" of a card's traffic.
struct Rate {
    unsigned long long average = 0, peak = 0, burst = 0, floor = 0;
};
Rate read_rate(const std::string& text);

} // namespace lodge::cli
