// XML as text, shared by the visitors that read and write it: namespaces by prefix, escapes, subtrees kept as they are.
#pragma once
#include <pugixml.hpp>
#include <string>
#include <string_view>

namespace lodge::xml {

// The namespaces that descriptions may name by prefix ("qemu:commandline"). Empty when the prefix is none of ours.
std::string_view namespace_of_prefix(std::string_view prefix);

// The URI that a prefix ("" for the default) stands for at this node; empty when none is declared.
std::string_view declared_namespace(pugi::xml_node node, std::string_view prefix);

// The first child element called `name`, or the next sibling of that name. Names with a prefix are matched by namespace, whatever
// prefix the document uses; plain names by the letter.
pugi::xml_node first_named(pugi::xml_node parent, const char* name);
pugi::xml_node next_named(pugi::xml_node sibling, const char* name);

// Escapes what stands in `out` from `start` on, the way libvirt does; characters XML cannot carry are dropped.
void escape_from(std::string& out, std::size_t start);

// Appends an element and what is below it as libxml2 prints it (formatted, unless there is text in it), each line after the first
// indented by `indent` blanks. Of a kept subtree only children with a namespace of their own count, one for each namespace.
void append_subtree(std::string& out, pugi::xml_node element, unsigned indent);

} // namespace lodge::xml
