// Validation against libvirt's RelaxNG schemas, for calls with a VALIDATE flag. The schemas are the ones that libvirt installs.
#pragma once
#include <string>
#include <string_view>

namespace lodge::xml {

inline constexpr const char* schema_folder = "/usr/share/libvirt/schemas";

// Throws Code::xml_invalid_schema when `text` is no document of this schema ("domain.rng"), with what libxml2 says and with the
// element or attribute that is to blame and its line, where one can be found. Text that is no XML at all passes: whoever parses
// it next says so better. Takes milliseconds, the first time for a schema tens of them: run it on the worker pool. Thread-safe.
void validate_schema(std::string_view text, const char* schema);

} // namespace lodge::xml
