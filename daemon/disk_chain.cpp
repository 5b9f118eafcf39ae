#include "daemon/disk_chain.hpp"
#include <algorithm>
#include <filesystem>

namespace lodge::daemon {

using rpc::Code;
using rpc::fail;
using rpc::From;
using xml::BackingStore;
namespace fs = std::filesystem;

std::vector<BackingStore> chain_of(const xml::Disk& disk) {
    std::vector<BackingStore> chain{top_link(disk)};
    for (const auto* link : xml::links_below(disk)) chain.push_back(*link);
    for (auto& link : chain) link.backing.reset();
    return chain;
}

namespace {

// "vda[4]" -> vda, 4
std::optional<std::pair<std::string, std::uint64_t>> parse_number(const std::string& name) {
    const auto bracket = name.find('[');
    std::uint64_t number = 0;
    if (bracket == std::string::npos || !name.ends_with(']')) return std::nullopt;
    if (!xml::parse_unsigned(std::string_view(name).substr(bracket + 1, name.size() - bracket - 2), number)) return std::nullopt;
    return std::pair(name.substr(0, bracket), number);
}

bool is_local(const xml::StorageSource& source) {
    return source.type == xml::SourceType::file || source.type == xml::SourceType::block ||
           (source.type == xml::SourceType::volume && !source.path.empty());
}

// Whether `name`, as it may stand in the header of the image `above`, is this image.
bool is_called(const BackingStore& link, const BackingStore* above, const std::string& name) {
    if (name == link.source.path) return true;
    if (!is_local(link.source)) return false;
    const fs::path folder = above && is_local(above->source) ? fs::path(above->source.path).parent_path() : fs::path(".");
    std::error_code none;
    return fs::equivalent(folder / name, link.source.path, none) && !none;
}

} // namespace

std::size_t find_image(const std::vector<BackingStore>& chain, const std::string& target, const std::optional<std::string>& name,
                       std::optional<std::size_t> below) {
    const auto numbered = name ? parse_number(*name) : std::nullopt;
    const std::uint64_t number = numbered ? numbered->second : 0;
    if (number && numbered->first != target)
        fail(Code::invalid_arg, "requested target '{}' does not match target '{}'", numbered->first, target);
    const std::size_t first = below ? *below + 1 : 0;
    if (!name && first < chain.size()) return chain.size() - 1;
    for (std::size_t at = first; name && at < chain.size(); ++at) {
        const auto* above = at ? &chain[at - 1] : nullptr;
        if (number ? chain[at].source.index == number : is_called(chain[at], above, *name)) return at;
    }
    if (number)
        fail(From::storage, Code::invalid_arg, "could not find backing store index '{}' in chain for '{}'", number, target);
    if (!name) fail(From::storage, Code::invalid_arg, "could not find base image in chain for '{}'", target);
    if (below)
        fail(From::storage, Code::invalid_arg, "could not find image '{}' beneath '{}' in chain for '{}'", *name,
             chain.at(*below).source.empty() ? "<null>" : chain.at(*below).source.path, target);
    fail(From::storage, Code::invalid_arg, "could not find image '{}' in chain for '{}'", *name, target);
}

bool same_location(const xml::StorageSource& one, const xml::StorageSource& other) {
    const auto type = [](const xml::StorageSource& source) {
        // A volume's path is filled in while its guest runs.
        return is_local(source) ? xml::SourceType::file : source.type;
    };
    const auto hosts_differ = [&] {
        return !std::ranges::equal(one.hosts, other.hosts, [](const auto& a, const auto& b) {
            return a.name == b.name && a.port == b.port && a.socket == b.socket && a.transport == b.transport;
        });
    };
    if (one.type == xml::SourceType::volume && other.type == xml::SourceType::volume)
        return one.pool == other.pool && one.volume == other.volume;
    return type(one) == type(other) && one.path == other.path && one.protocol == other.protocol && one.name == other.name &&
           one.snapshot == other.snapshot && !hosts_differ();
}

namespace {

using Below = xml::Box<BackingStore>;

xml::Disk* disk_of(xml::Domain& domain, const std::string& target) {
    const auto found = std::ranges::find(domain.devices.disks, target, [](const xml::Disk& disk) { return disk.target.dev; });
    return found == domain.devices.disks.end() ? nullptr : &*found;
}

bool is_image(const BackingStore& link, std::optional<std::uint32_t> number) { return number && link.source.index == number; }

// The definition's link that stands where the live chain has the image of that number; null when the two differ above it, or when
// no number is given and they differ anywhere.
Below* twin_of(xml::Disk& defined, const xml::Disk& live, std::optional<std::uint32_t> number) {
    auto* theirs = &live.backing;
    auto* ours = &defined.backing;
    while (*theirs && *ours && (*theirs)->type && (*ours)->type) {
        if (!same_location((*theirs)->source, (*ours)->source)) return nullptr;
        if (is_image(**theirs, number)) return ours;
        theirs = &(*theirs)->backing;
        ours = &(*ours)->backing;
    }
    return !number && xml::ends_here(*theirs) && xml::ends_here(*ours) ? ours : nullptr;
}

// Without what only the running guest has: numbers, and links that nobody wrote down.
void forget_running(BackingStore& link) {
    link.source.index.reset();
    if (!link.backing) return;
    if (link.backing->detected)
        link.backing.reset();
    else
        forget_running(*link.backing);
}

} // namespace

bool follow_block_job(xml::Domain& definition, const drivers::BlockJobEnd& end, const xml::Disk& after) {
    using Kind = drivers::BlockJobKind;
    auto* disk = disk_of(definition, after.target.dev);
    if (!disk || !same_location(disk->source, end.before.source)) return false;
    const auto take_over = [&](BackingStore link) {
        forget_running(link);
        set_top_link(*disk, std::move(link));
        return true;
    };
    if (end.kind == Kind::copy) return end.pivoted && take_over(top_link(after));
    auto* twin = twin_of(*disk, end.before, end.base);
    if (end.kind == Kind::active_commit) return take_over(twin ? BackingStore(**twin) : top_link(after));
    if (!disk->backing) return false;
    if (!twin) {
        disk->backing.reset(); // what it says of the chain is not so any more
        return true;
    }
    // All links above the base go, but for those above the first that was committed.
    Below rest(*twin);
    auto* at = &disk->backing;
    if (end.kind == Kind::commit) {
        const auto* kept = &after.backing;
        while (*at && *kept && (*at)->type && !is_image(**kept, end.base)) at = &(*at)->backing, kept = &(*kept)->backing;
    }
    *at = std::move(rest);
    return true;
}

} // namespace lodge::daemon
