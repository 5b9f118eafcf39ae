#include "daemon/retune.hpp"

namespace lodge::daemon {

Task<> retune(DomainPtr domain, unsigned affect, std::function<void(xml::Domain&)> change) {
    std::optional<xml::Domain> stored;
    if (wants_config(affect)) change(stored.emplace(domain->definition().copy()));
    if (wants_live(affect)) {
        auto trial = std::make_shared<xml::Domain>(domain->live());
        change(*trial);
        const auto machine = domain->shared_machine();
        std::exception_ptr failure;
        try {
            co_await machine->tune(trial);
        } catch (...) {
            failure = std::current_exception();
        }
        domain->require_active();
        if (failure) {
            try {
                co_await machine->tune(domain->current());
            } catch (const std::exception&) { // the first refusal says more
            }
            std::rethrow_exception(failure);
        }
        change(domain->live());
        domain->keep_status();
    }
    if (stored) co_await domain->store_definition(std::move(*stored));
}

void tell_tunable(Domain& domain, unsigned affect, Params params) {
    if (wants_live(affect) && !params.empty()) domain.emit_tunable(std::move(params));
}

Task<drivers::Tuning> current_tuning(DomainPtr domain) {
    const auto machine = domain->shared_machine();
    co_return co_await machine->tuning();
}

} // namespace lodge::daemon
