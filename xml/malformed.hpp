// What is wrong with text that is no well-formed XML: the place and the cause, in the words of libvirt (libxml2's).
#pragma once
#include "xml/describe.hpp"
#include <pugixml.hpp>

namespace lodge::xml {

std::size_t line_of(std::string_view text, std::size_t offset);

// "where:3: cause" with the line itself and a mark below the place.
[[noreturn]] void fail_malformed(std::string_view text, std::size_t offset, std::string_view cause, const std::string& where,
                                 From from);

// Refuses bytes that XML does not allow: control characters and broken UTF-8.
void check_characters(std::string_view text, const std::string& where, From from);

// Explains why the parser gave up.
[[noreturn]] void explain_failure(std::string_view text, const pugi::xml_parse_result& result, const std::string& where,
                                  From from);

// Refuses what the parser lets pass: depth, a second root, an attribute given twice, entities nobody defined.
void check_shape(const pugi::xml_document& document, std::string_view text, const std::string& where, From from);

} // namespace lodge::xml
