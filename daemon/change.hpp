// A change of a domain's documents: the live one, the stored one, or both, by what Domain::affect() made of the flags.
#pragma once
#include "daemon/domain.hpp"
#include "xml/domain/domain.hpp"
#include <functional>

namespace lodge::daemon {

inline bool wants_live(unsigned affect) { return (affect & api::domain_affect_live) != 0; }
inline bool wants_config(unsigned affect) { return (affect & api::domain_affect_config) != 0; }

// Applies `change` to the documents that flags name: all of them or none.
inline Task<> change_documents(DomainPtr domain, unsigned affect, std::function<void(xml::Domain&)> change) {
    if (wants_config(affect)) {
        xml::Domain document = domain->definition().copy();
        change(document);
        co_await domain->store_definition(std::move(document));
    }
    if (wants_live(affect)) {
        change(domain->live());
        domain->keep_status();
    }
}

// The stored document, or the live one, whichever a question is about.
inline std::shared_ptr<const xml::Domain> document_of(const Domain& domain, unsigned affect) {
    return wants_config(affect) ? domain.definition().document() : domain.current();
}

// What documents and machine are changed together: first the documents are tried, then `live` runs, then all is kept.
inline Task<> change_both(DomainPtr domain, unsigned affect, std::function<void(xml::Domain&)> change,
                          std::function<Task<>(drivers::Machine&)> live) {
    std::optional<xml::Domain> stored;
    if (wants_config(affect)) change(stored.emplace(domain->definition().copy()));
    if (wants_live(affect)) {
        xml::Domain trial = domain->live();
        change(trial);
        const auto machine = domain->shared_machine();
        co_await live(*machine);
        domain->require_active();
        change(domain->live());
        domain->keep_status();
    }
    if (stored) co_await domain->store_definition(std::move(*stored));
}

} // namespace lodge::daemon
