// <lease>: a lock that the guest holds while it runs.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

struct Lease {
    std::string lockspace, key, path;
    std::optional<std::uint64_t> offset;
};
void describe(Doc&, Lease&);

} // namespace lodge::xml
