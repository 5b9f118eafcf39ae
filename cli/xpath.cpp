#include "cli/xpath.hpp"

#include <pugixml.hpp>
#include <sstream>

namespace lodge::cli {

namespace {

// Indented anew, as libvirt does, and "<a/>" where pugixml writes "<a />".
std::string indented(const pugi::xml_node& node) {
    std::ostringstream text;
    node.print(text, "  ", pugi::format_default | pugi::format_no_declaration);
    auto out = text.str();
    for (size_t at = 0; (at = out.find(" />", at)) != out.npos;) out.erase(at, 1);
    while (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
}

std::string node_text(const pugi::xpath_node& found) {
    if (found.attribute()) return fmt::format(" {}=\"{}\"", found.attribute().name(), found.attribute().value());
    return indented(found.node());
}

std::string wrapped(const pugi::xpath_node_set& found) {
    pugi::xml_document out;
    auto nodes = out.append_child("nodes");
    for (const auto& one : found)
        if (one.node()) nodes.append_copy(one.node());
    return indented(nodes);
}

} // namespace

void show_document(Session& session, const Arguments& arguments, const std::string& xml) {
    auto expression = arguments.text("xpath");
    if (!expression) return session.write(xml);

    pugi::xml_document document;
    if (!document.load_buffer(xml.data(), xml.size(), pugi::parse_full & ~pugi::parse_doctype)) fail("{}", "unable to parse XML");
    pugi::xpath_node_set found;
    try {
        found = document.select_nodes(expression->c_str());
    } catch (const pugi::xpath_exception& error) {
        fail("xpath '{}': {}", *expression, error.what());
    }
    if (arguments.has("wrap")) return session.print("{}\n", wrapped(found));
    for (const auto& one : found) session.print("{}\n", node_text(one));
}

} // namespace lodge::cli
