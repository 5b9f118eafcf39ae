// libvirt's older words for values it refuses. Most attributes are refused in one general form; those that have words, a code
// and a domain of their own stand in one table here, by their path.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

enum class RefusalKind { missing, invalid, repeated };

struct Refusal {
    RefusalKind kind;
    std::string_view
        path; // the end of the path: "watchdog/@model", "domain/on_crash", "capability[pci]/bus" for its type='pci' alone
    Code code;
    From from;
    std::string_view text; // {} stands for the value
};

// `path` names each element's type, if it has one, in brackets. Null: the general form.
const Refusal* find_refusal(RefusalKind kind, std::string_view path);

} // namespace lodge::xml
