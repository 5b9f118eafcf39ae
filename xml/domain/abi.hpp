// What may change in a domain under a guest that goes on seeing the same machine: for restore, migration, reverting to a
// snapshot, and changes of a device. Which facts the guest sees stands beside each of them in the descriptions (Mark::guest).
#pragma once
#include "xml/domain/domain.hpp"

namespace lodge::xml {

// Throws Code::config_unsupported, naming the first fact that differs and both of its values. Both documents are complete.
void check_abi(const Domain& before, const Domain& now);

// What check_update() does once the changes are known: lines of compare().
void refuse_other_changes(const std::vector<std::string>& changes, const char* kind,
                          std::initializer_list<std::string_view> may_change);

// Of one device: throws Code::operation_unsupported when something else than `may_change` differs ("source/@file", or a whole
// "source"); `kind` is the device's word in the text ("disk").
template<class T>
void check_update(const T& before, const T& now, const char* kind, std::initializer_list<std::string_view> may_change) {
    refuse_other_changes(compare(before, now, kind, Mark::live | Mark::private_), kind, may_change);
}

} // namespace lodge::xml
