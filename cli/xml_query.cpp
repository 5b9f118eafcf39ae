#include "cli/xml_query.hpp"

#include <sstream>

namespace lodge::cli {

pugi::xml_document parse_document(const std::string& xml, const char* what) {
    pugi::xml_document document;
    auto result = document.load_buffer(xml.data(), xml.size(), pugi::parse_full & ~pugi::parse_doctype);
    if (!result) fail("{} is no XML: {} at byte {}", what, result.description(), result.offset);
    return document;
}

pugi::xml_document document_of(virDomainPtr domain, unsigned flags) {
    Text xml(virDomainGetXMLDesc(domain, flags));
    if (!xml) fail_with_cause("{}", "failed to retrieve XML");
    return parse_document(xml.get(), "the domain");
}

static std::string format(const pugi::xml_node& node, unsigned how) {
    std::ostringstream out;
    node.print(out, "  ", pugi::format_default | pugi::format_no_declaration | how);
    return out.str();
}

std::string format_document(const pugi::xml_node& node) { return format(node, 0); }

std::string format_shown(const pugi::xml_node& node, char quote) {
    auto text = format(node, quote == '\'' ? pugi::format_attribute_single_quote : 0);
    for (auto at = text.find(" />"); at != std::string::npos; at = text.find(" />", at)) text.erase(at, 1);
    return text;
}

std::string disk_source(const pugi::xml_node& disk) {
    auto source = disk.child("source");
    for (const char* name : {"file", "dev", "dir"})
        if (auto value = source.attribute(name)) return value.value();
    if (auto volume = source.attribute("volume")) return std::string(source.attribute("pool").value()) + "/" + volume.value();
    return source.attribute("name").value();
}

} // namespace lodge::cli
