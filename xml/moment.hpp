// What snapshots and checkpoints have in common: a named moment in the life of a domain, and the domain as it was then.
#pragma once
#include "xml/domain/domain.hpp"

namespace lodge::xml {

struct Moment {
    std::string name, description;
    std::string parent;                        // name of the moment before; empty: a root
    std::optional<std::int64_t> creation_time; // seconds since the epoch
    Box<Domain> domain;                        // as it was; empty: recorded by somebody who did not keep it
};

// <parent><name>…</name></parent>
void describe_parent(Doc&, Moment&);

} // namespace lodge::xml
