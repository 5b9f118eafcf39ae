// What the commands about snapshots and about checkpoints share: the list as a table, as names or as a tree, and pieces of the
// documents that they make.
#pragma once
#include "cli/session.hpp"

#include <optional>

namespace lodge::cli {

struct MomentRow {
    std::string name, parent;
    long long created = 0; // seconds since the epoch
    std::string state;     // snapshots
};

struct MomentColumns {
    bool state = false, parent = false;
};

// By name without regard to case, as virsh sorts.
void sort_by_name(std::vector<MomentRow>& rows);
// --tree, --name or the table, whichever is asked for.
void show_moments(Session& session, const Arguments& arguments, const std::vector<MomentRow>& rows, MomentColumns columns);

// "vda,snapshot=external,file=/a,,b": the name and the values of the given keys; a doubled comma is one in a value.
struct Spec {
    std::string name;
    std::vector<std::pair<std::string, std::string>> values;
    std::string value(std::string_view key) const;
};
// None when a key is not among `keys`.
std::optional<Spec> parse_spec(const std::string& text, std::span<const std::string_view> keys);

} // namespace lodge::cli
