// Looking into the documents that the daemon hands out.
#pragma once
#include "cli/handles.hpp"

#include <pugixml.hpp>
#include <string>

namespace lodge::cli {

pugi::xml_document document_of(virDomainPtr domain, unsigned flags);
pugi::xml_document parse_document(const std::string& xml, const char* what);
std::string format_document(const pugi::xml_node& node);
// As virsh shows it: its own documents have single quotes, those it had from the daemon and changed have double ones.
std::string format_shown(const pugi::xml_node& node, char quote = '\'');

// Where a disk's bytes are: a file, a device, a pool's volume, a network name; empty for an empty drive.
std::string disk_source(const pugi::xml_node& disk);

} // namespace lodge::cli
