#include "xml/domain/abi.hpp"
#include <algorithm>

namespace lodge::xml {

void check_abi(const Domain& before, const Domain& now) {
    const auto differences =
        compare_guest_view(domain_root, slot_of(const_cast<Domain&>(before)), slot_of(const_cast<Domain&>(now)));
    if (differences.empty()) return;
    const auto shown = [](const std::string& value) { return value.empty() ? "none" : value; };
    const auto& [path, old_value, new_value] = differences.front();
    rpc::fail(From::domain, Code::config_unsupported, "Target {} '{}' does not match source '{}'", path, shown(new_value),
              shown(old_value));
}

void refuse_other_changes(const std::vector<std::string>& changes, const char* kind,
                          std::initializer_list<std::string_view> may_change) {
    const auto allowed = [&](std::string_view path) {
        return std::ranges::any_of(may_change, [&](std::string_view prefix) {
            return path.starts_with(prefix) &&
                   (path.size() == prefix.size() || path[prefix.size()] == '/' || path[prefix.size()] == '[');
        });
    };
    for (const auto& change : changes) {
        std::string_view path = change;
        path = path.substr(0, path.find(": "));
        path.remove_prefix(std::string_view(kind).size() + 1);
        if (!allowed(path))
            rpc::fail(From::none, Code::operation_unsupported, "cannot modify field '{}' (or it's parts) of the {}", path, kind);
    }
}

} // namespace lodge::xml
