#include "xml/text.hpp"
#include <algorithm>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

namespace lodge::xml {

namespace {

struct Namespace {
    std::string_view prefix, uri;
};
constexpr Namespace namespaces[] = {
    {"qemu", "http://libvirt.org/schemas/domain/qemu/1.0"},        {"lxc", "http://libvirt.org/schemas/domain/lxc/1.0"},
    {"bhyve", "http://libvirt.org/schemas/domain/bhyve/1.0"},      {"xen", "http://libvirt.org/schemas/domain/xen/1.0"},
    {"dnsmasq", "http://libvirt.org/schemas/network/dnsmasq/1.0"}, {"fs", "http://libvirt.org/schemas/storagepool/fs/1.0"},
    {"rbd", "http://libvirt.org/schemas/storagepool/rbd/1.0"},
};

std::pair<std::string_view, std::string_view> split_name(std::string_view name) {
    const auto colon = name.find(':');
    if (colon == std::string_view::npos) return {{}, name};
    return {name.substr(0, colon), name.substr(colon + 1)};
}

std::string_view namespace_of(pugi::xml_node element) { return declared_namespace(element, split_name(element.name()).first); }

bool is_named(pugi::xml_node node, std::string_view uri, std::string_view local) {
    return split_name(node.name()).second == local && namespace_of(node) == uri;
}

pugi::xml_node search(pugi::xml_node node, const char* name) {
    const auto [prefix, local] = split_name(name);
    const auto uri = namespace_of_prefix(prefix);
    while (node && !is_named(node, uri, local)) node = node.next_sibling();
    return node;
}

} // namespace

std::string_view namespace_of_prefix(std::string_view prefix) {
    for (const auto& [known, uri] : namespaces)
        if (known == prefix) return uri;
    return {};
}

std::string_view declared_namespace(pugi::xml_node node, std::string_view prefix) {
    std::string attribute = "xmlns";
    if (!prefix.empty()) attribute.append(":").append(prefix);
    for (; node; node = node.parent())
        if (const auto declared = node.attribute(attribute.c_str())) return declared.value();
    return {};
}

pugi::xml_node first_named(pugi::xml_node parent, const char* name) {
    if (std::strchr(name, ':')) return search(parent.first_child(), name);
    return parent.child(name);
}

pugi::xml_node next_named(pugi::xml_node sibling, const char* name) {
    if (std::strchr(name, ':')) return search(sibling.next_sibling(), name);
    return sibling.next_sibling(name);
}

void escape_from(std::string& out, std::size_t start) {
    const auto special = [](unsigned char c) { return c < 0x20 || c == '<' || c == '>' || c == '&' || c == '\'' || c == '"'; };
    while (start < out.size() && !special(static_cast<unsigned char>(out[start]))) ++start;
    if (start == out.size()) return;
    const std::string plain = out.substr(start);
    out.resize(start);
    for (const char c : plain) {
        switch (c) {
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '&': out += "&amp;"; break;
        case '\'': out += "&apos;"; break;
        case '"': out += "&quot;"; break;
        default:
            if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t' || c == '\r') out += c;
        }
    }
}

// ---- kept subtrees ----

namespace {

void append_attribute_value(std::string& out, const char* value) {
    for (; *value; ++value) {
        switch (*value) {
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '&': out += "&amp;"; break;
        case '"': out += "&quot;"; break;
        case '\n': out += "&#10;"; break;
        case '\t': out += "&#9;"; break;
        case '\r': out += "&#13;"; break;
        default: out += *value;
        }
    }
}

void append_text(std::string& out, const char* text) {
    for (; *text; ++text) {
        switch (*text) {
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '&': out += "&amp;"; break;
        case '\r': out += "&#13;"; break;
        default: out += *text;
        }
    }
}

void append_attributes(std::string& out, pugi::xml_node element) {
    const auto append = [&](pugi::xml_attribute attribute) {
        out.append(" ").append(attribute.name()).append("=\"");
        append_attribute_value(out, attribute.value());
        out += '"';
    };
    const auto declares = [](pugi::xml_attribute attribute) {
        return split_name(attribute.name()).first == "xmlns" || std::string_view(attribute.name()) == "xmlns";
    };
    for (const auto attribute : element.attributes())
        if (declares(attribute)) append(attribute);
    for (const auto attribute : element.attributes())
        if (!declares(attribute)) append(attribute);
}

// A copy must carry the namespaces that its elements took from above it.
void append_inherited_namespaces(std::string& out, pugi::xml_node root, pugi::xml_node below, std::set<std::string>& done) {
    const auto carry = [&](std::string_view name, bool is_attribute) {
        const auto prefix = split_name(name).first;
        if (prefix == "xmlns" || prefix == "xml" || (is_attribute && prefix.empty())) return;
        std::string attribute = "xmlns";
        if (!prefix.empty()) attribute.append(":").append(prefix);
        for (auto node = below; node != root.parent(); node = node.parent())
            if (node.attribute(attribute.c_str())) return;
        const auto uri = declared_namespace(root.parent(), prefix);
        if (uri.empty() || !done.insert(attribute).second) return;
        out.append(" ").append(attribute).append("=\"");
        append_attribute_value(out, std::string(uri).c_str());
        out += '"';
    };
    carry(below.name(), false);
    for (const auto attribute : below.attributes()) carry(attribute.name(), true);
    for (const auto child : below.children())
        if (child.type() == pugi::node_element) append_inherited_namespaces(out, root, child, done);
}

struct SubtreePrinter {
    std::string& out;
    unsigned base;

    void newline(unsigned level) const { out.append("\n").append(base + 2 * level, ' '); }

    static std::vector<pugi::xml_node> kept_children(pugi::xml_node root) {
        std::vector<pugi::xml_node> kept;
        std::set<std::string_view> known;
        for (const auto child : root.children()) {
            if (child.type() != pugi::node_element) continue;
            const auto uri = namespace_of(child);
            if (!uri.empty() && known.insert(uri).second) kept.push_back(child);
        }
        return kept;
    }

    void print(pugi::xml_node node, unsigned level, bool formatted) const {
        switch (node.type()) {
        case pugi::node_pcdata: append_text(out, node.value()); break;
        case pugi::node_cdata: out.append("<![CDATA[").append(node.value()).append("]]>"); break;
        case pugi::node_comment: out.append("<!--").append(node.value()).append("-->"); break;
        case pugi::node_element: print_element(node, level, formatted, {node.begin(), node.end()}); break;
        default: break;
        }
    }

    void print_element(pugi::xml_node element, unsigned level, bool formatted,
                       const std::vector<pugi::xml_node>& children) const {
        out.append("<").append(element.name());
        append_attributes(out, element);
        if (level == 0) {
            std::set<std::string> done;
            append_inherited_namespaces(out, element, element, done);
        }
        if (children.empty()) {
            out += "/>";
            return;
        }
        out += '>';
        for (const auto child : children) formatted = formatted && child.type() != pugi::node_pcdata;
        for (const auto child : children) {
            if (formatted) newline(level + 1);
            print(child, level + 1, formatted);
        }
        if (formatted) newline(level);
        out.append("</").append(element.name()).append(">");
    }
};

} // namespace

void append_subtree(std::string& out, pugi::xml_node element, unsigned indent) {
    SubtreePrinter{out, indent}.print_element(element, 0, true, SubtreePrinter::kept_children(element));
}

} // namespace lodge::xml
