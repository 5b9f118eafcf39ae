#include "xml/domain/abi.hpp"
#include "xml/domain/abi_words.hpp"
#include <algorithm>

namespace lodge::xml {

namespace {

using Rows = std::span<const AbiWords>;

class Comparison {
  public:
    Comparison(const GuestView& before, const GuestView& now)
        : before_(before)
        , now_(now) {}

    // `begin`: how much of each row's path the path `at` stands for already.
    void go_through(Rows rows, const std::string& at, std::size_t begin = 0, std::size_t place = 0) {
        for (std::size_t i = 0; i < rows.size();) {
            const std::string_view path = std::string_view(rows[i].path).substr(begin);
            const auto list_end = path.find("[]");
            const bool counts = list_end != path.npos && list_end + 2 == path.size() && rows[i].text;
            if (list_end == path.npos || counts) {
                look_at(rows[i++], joined(at, path.substr(0, list_end)), counts, place);
                continue;
            }
            const auto list = path.substr(0, list_end + 2);
            std::size_t end = i;
            while (end < rows.size() && std::string_view(rows[end].path).substr(begin).starts_with(list)) ++end;
            each(rows.subspan(i, end - i), joined(at, path.substr(0, list_end)), begin + list.size());
            i = end;
        }
    }

  private:
    void each(Rows rows, const std::string& list, std::size_t begin) {
        for (std::size_t i = 0; i < count_at(before_, list); ++i) go_through(rows, fmt::format("{}[{}]", list, i + 1), begin, i);
    }

    void look_at(const AbiWords& row, const std::string& path, bool counts, std::size_t place) {
        if (row.check) return row.check(before_, now_);
        if (!row.text) return go_through(row.parts, path);
        const auto value = [&](const GuestView& view) {
            if (counts) return std::to_string(count_at(view, path));
            return row.shown ? row.shown(view, path) : value_at(view, path, row.absent);
        };
        std::string old = value(before_), changed = value(now_);
        if (old == changed) return;
        if (row.told) {
            const std::string told = path.substr(0, path.rfind('/') + 1) + row.told;
            old = value_at(before_, told, row.absent);
            changed = value_at(now_, told, row.absent);
        }
        const std::string name = path.substr(path.rfind('/') + 1);
        rpc::fail(row.from, Code::config_unsupported, "{}", fmt::format(fmt::runtime(row.text), changed, old, name, place));
    }

    static std::string joined(const std::string& at, std::string_view path) {
        if (path.starts_with('/')) path.remove_prefix(1);
        return path.empty() ? at : fmt::format("{}/{}", at, path);
    }

    const GuestView &before_, &now_;
};

} // namespace

void check_abi(const Domain& before, const Domain& now) {
    const auto view = [](const Domain& domain) { return guest_view(domain_root, slot_of(const_cast<Domain&>(domain))); };
    const auto old = view(before), wanted = view(now);
    Comparison(old, wanted).go_through(abi_words(), domain_root);
}

} // namespace lodge::xml
