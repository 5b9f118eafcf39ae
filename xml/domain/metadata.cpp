#include "xml/domain/domain.hpp"
#include "xml/malformed.hpp"
#include <pugixml.hpp>
#include <sstream>

namespace lodge::xml {

namespace {

// The namespace URI of an element, by the nearest declaration of its prefix.
std::string_view namespace_of(pugi::xml_node node) {
    const std::string_view name = node.name();
    const auto colon = name.find(':');
    const std::string declaration = colon == std::string_view::npos ? "xmlns" : "xmlns:" + std::string(name.substr(0, colon));
    for (; node; node = node.parent())
        if (const auto attribute = node.attribute(declaration.c_str())) return attribute.value();
    return {};
}

std::string print(pugi::xml_node node, unsigned depth, unsigned quotes = pugi::format_attribute_single_quote) {
    std::ostringstream out;
    node.print(out, "  ", pugi::format_default | pugi::format_no_declaration | quotes, pugi::encoding_utf8, depth);
    // "/>" as libvirt writes it; a blank and "/>" stand nowhere else, since '>' is escaped in text and values.
    std::string text = out.str();
    for (std::size_t at = 0; (at = text.find(" />", at)) != std::string::npos;) text.erase(at, 1);
    return text;
}

} // namespace

std::string metadata_element(const std::string& metadata, const std::string& uri) {
    pugi::xml_document document;
    if (!document.load_string(metadata.c_str())) return {};
    for (const auto node : document.document_element().children())
        if (node.type() == pugi::node_element && namespace_of(node) == uri) {
            // The caller knows the namespace; what comes back is the bare element, as it was given.
            pugi::xml_document bare;
            auto copy = bare.append_copy(node);
            const std::string_view name = copy.name();
            if (const auto colon = name.find(':'); colon != std::string_view::npos) {
                copy.remove_attribute(("xmlns:" + std::string(name.substr(0, colon))).c_str());
                const std::string local(name.substr(colon + 1));
                copy.set_name(local.c_str());
            }
            std::string text = print(copy, 0, 0); // libvirt gives it out with double quotes
            while (text.ends_with('\n')) text.pop_back();
            return text;
        }
    return {};
}

void set_metadata_element(std::string& metadata, const std::string& uri, const std::string& key, const std::string& element) {
    if (uri.empty()) rpc::fail(Code::invalid_arg, "uri in virDomainSetMetadata must not be NULL");
    pugi::xml_document document;
    document.load_string(metadata.empty() ? "<metadata/>" : metadata.c_str());
    auto root = document.document_element();
    for (auto node = root.first_child(); node;) {
        const auto next = node.next_sibling();
        if (node.type() == pugi::node_element && namespace_of(node) == uri) root.remove_child(node);
        node = next;
    }
    if (!element.empty()) {
        if (key.empty()) rpc::fail(Code::invalid_arg, "key in virDomainSetMetadata must not be NULL");
        pugi::xml_document added;
        if (const auto result = added.load_string(element.c_str()); !result)
            explain_failure(element, result, "(metadata_xml)", From::domain);
        check_shape(added, element, "(metadata_xml)", From::domain);
        auto node = root.append_copy(added.document_element());
        const std::string name = key + ":" + node.name();
        node.set_name(name.c_str());
        node.prepend_attribute(("xmlns:" + key).c_str()).set_value(uri.c_str());
    }
    metadata.clear();
    if (!root.first_child()) return;
    metadata = print(root, 1);
    // The writer puts indentation before and a line end behind.
    metadata.erase(0, metadata.find('<'));
    while (metadata.ends_with('\n')) metadata.pop_back();
}

} // namespace lodge::xml
