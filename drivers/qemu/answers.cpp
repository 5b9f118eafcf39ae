#include "drivers/qemu/answers.hpp"

namespace lodge::drivers::qemu {

namespace {

std::uint64_t count(const json& object, const char* key) {
    const auto at = object.is_object() ? object.find(key) : object.end();
    return at != object.end() && at->is_number() ? at->get<std::uint64_t>() : 0;
}

// "libvirt-3-format" -> 3
std::optional<unsigned> node_number(const std::string& name, std::string_view layer) {
    constexpr std::string_view prefix = "libvirt-";
    if (!name.starts_with(prefix) || !name.ends_with(layer)) return std::nullopt;
    char* end = nullptr;
    const auto number = std::strtoul(name.c_str() + prefix.size(), &end, 10);
    if (end == name.c_str() + prefix.size() || std::string_view(end) != layer) return std::nullopt;
    return static_cast<unsigned>(number);
}

// The disk that an entry of query-block or query-blockstats is about: told by the path of its device in QEMU's tree.
const xml::Disk* disk_of(const xml::Domain& domain, const json& entry) {
    const std::string qdev = entry.value("qdev", "");
    for (const auto& disk : domain.devices.disks) {
        if (disk.info.alias.empty()) continue;
        // "/machine/peripheral/virtio-disk0/virtio-backend", "/machine/peripheral/ide0-0-0" or just the alias
        const auto at = qdev.find(disk.info.alias);
        if (at == std::string::npos || (at > 0 && qdev[at - 1] != '/')) continue;
        const auto end = at + disk.info.alias.size();
        if (end == qdev.size() || qdev[end] == '/') return &disk;
    }
    return nullptr;
}

// Entries of query-blockstats with all that they stand on.
void each_node(const json& entry, const std::function<void(const json&)>& visit) {
    visit(entry);
    for (const char* below : {"parent", "backing"})
        if (const auto at = entry.find(below); at != entry.end() && at->is_object()) each_node(*at, visit);
}

} // namespace

std::map<std::string, std::uint64_t> memory_figures(const json& guest_stats) {
    static constexpr std::string_view names[][2] = {
        {"stat-swap-in", "swap_in"},           {"stat-swap-out", "swap_out"},       {"stat-major-faults", "major_fault"},
        {"stat-minor-faults", "minor_fault"},  {"stat-free-memory", "unused"},      {"stat-total-memory", "available"},
        {"stat-available-memory", "usable"},   {"stat-disk-caches", "disk_caches"}, {"stat-htlb-pgalloc", "hugetlb_pgalloc"},
        {"stat-htlb-pgfail", "hugetlb_pgfail"}};
    std::map<std::string, std::uint64_t> figures;
    const auto stats = guest_stats.is_object() ? guest_stats.find("stats") : guest_stats.end();
    if (stats == guest_stats.end()) return figures;
    for (const auto& [theirs, ours] : names) {
        const auto value = stats->find(theirs);
        // The guest has not told: all ones.
        if (value == stats->end() || !value->is_number_unsigned() || value->get<std::uint64_t>() == ~0ULL) continue;
        const bool events = theirs.ends_with("faults") || theirs.starts_with("stat-htlb");
        figures[std::string(ours)] = events ? value->get<std::uint64_t>() : value->get<std::uint64_t>() / 1024;
    }
    figures["last_update"] = count(guest_stats, "last-update");
    return figures;
}

std::map<std::string, BlockStats> block_figures(const xml::Domain& domain, const json& blockstats) {
    std::map<std::string, BlockStats> all;
    for (const auto& entry : blockstats) {
        const auto* disk = disk_of(domain, entry);
        const auto stats = entry.find("stats");
        if (!disk || stats == entry.end()) continue;
        const auto number = [&](const char* key) { return stats->value(key, std::int64_t{-1}); };
        BlockStats& out = all[disk->target.dev];
        out.read_requests = number("rd_operations");
        out.read_bytes = number("rd_bytes");
        out.write_requests = number("wr_operations");
        out.write_bytes = number("wr_bytes");
        out.flush_requests = number("flush_operations");
        out.read_time_ns = number("rd_total_time_ns");
        out.write_time_ns = number("wr_total_time_ns");
        out.flush_time_ns = number("flush_total_time_ns");
    }
    return all;
}

std::map<std::string, std::string> disk_errors(const xml::Domain& domain, const json& blocks) {
    std::map<std::string, std::string> errors;
    for (const auto& entry : blocks)
        if (const auto* disk = disk_of(domain, entry))
            if (const auto status = entry.value("io-status", "ok"); status != "ok") errors[disk->target.dev] = status;
    return errors;
}

std::map<unsigned, ImageFigures> image_figures(const json& named_nodes, const json& blockstats) {
    std::map<unsigned, ImageFigures> images;
    for (const auto& node : named_nodes) {
        const std::string name = node.value("node-name", "");
        if (const auto number = node_number(name, "-storage")) images[*number].write_threshold = count(node, "write_threshold");
        const auto number = node_number(name, "-format");
        const auto image = node.find("image");
        if (!number || image == node.end()) continue;
        images[*number].capacity = count(*image, "virtual-size");
        images[*number].physical = count(*image, "actual-size");
    }
    for (const auto& entry : blockstats)
        each_node(entry, [&](const json& node) {
            const auto stats = node.find("stats");
            if (const auto number = node_number(node.value("node-name", ""), "-format"); number && stats != node.end())
                images[*number].allocation = count(*stats, "wr_highest_offset");
        });
    return images;
}

std::vector<IoThreadInfo> iothread_figures(const json& iothreads) {
    std::vector<IoThreadInfo> list;
    for (const auto& entry : iothreads) {
        const std::string alias = entry.value("id", "");
        if (!alias.starts_with("iothread")) continue;
        const auto id = static_cast<unsigned>(std::strtoul(alias.c_str() + 8, nullptr, 10));
        list.push_back({id, {}, count(entry, "poll-max-ns"), count(entry, "poll-grow"), count(entry, "poll-shrink")});
    }
    return list;
}

void take_memory_size(xml::Domain& domain, xml::MemoryDevice& memory, std::uint64_t kib) {
    const std::uint64_t before = memory.target.current ? memory.target.current->value : 0;
    if (auto& all = domain.current_memory) all->value = all->value - std::min(all->value, before) + kib;
    memory.target.current = xml::Kibibytes{kib};
}

void take_memory_devices(xml::Domain& domain, const json& memory_devices) {
    std::map<std::string, const json*> by_alias;
    for (const auto& device : memory_devices)
        if (const auto data = device.find("data"); data != device.end()) by_alias[data->value("id", "")] = &*data;
    for (auto& memory : domain.devices.memories) {
        const auto found = by_alias.find(memory.info.alias);
        if (found == by_alias.end()) continue;
        const json& data = *found->second;
        if (memory.info.is(xml::AddressType::dimm))
            memory.info.address->dimm.base = xml::Hex<1, std::uint64_t>{data.value("addr", std::uint64_t{0})};
        if (memory.model == xml::MemoryModel::virtio_mem)
            take_memory_size(domain, memory, data.value("size", std::uint64_t{0}) / 1024);
    }
}

DirtyRate dirty_rate_figures(const json& dirty_rate) {
    static constexpr std::string_view states[] = {"unstarted", "measuring", "measured"}; // VIR_DOMAIN_DIRTYRATE_*
    DirtyRate out;
    const auto state = std::ranges::find(states, dirty_rate.value("status", ""));
    out.status = state == std::end(states) ? 0 : static_cast<int>(state - states);
    out.start_s = dirty_rate.value("start-time", std::int64_t{0});
    out.period_s = dirty_rate.value("calc-time", 0);
    out.mode = dirty_rate.value("mode", "page-sampling");
    out.megabytes_per_second = dirty_rate.value("dirty-rate", std::int64_t{0});
    if (const auto vcpus = dirty_rate.find("vcpu-dirty-rate"); vcpus != dirty_rate.end())
        for (const auto& vcpu : *vcpus) out.vcpus.emplace_back(vcpu.value("id", 0), count(vcpu, "dirty-rate"));
    return out;
}

std::map<std::string, std::string> kvm_schema(const json& schemas) {
    std::map<std::string, std::string> schema;
    for (const auto& provider : schemas) {
        const auto stats = provider.find("stats");
        if (stats == provider.end()) continue;
        for (const auto& stat : *stats) {
            const std::string type = stat.value("type", "");
            const char* word = type == "cumulative" ? "sum" : type == "instant" ? "cur" : type == "peak" ? "max" : nullptr;
            if (word) schema[stat.value("name", "")] = word; // histograms have no one value
        }
    }
    return schema;
}

KvmFigures kvm_figures(const json& stats, const std::map<std::string, std::string>& schema) {
    KvmFigures figures;
    const auto list = stats.find("stats");
    if (list == stats.end()) return figures;
    for (const auto& stat : *list) {
        const std::string name = stat.value("name", "");
        const auto known = schema.find(name);
        const auto value = stat.find("value");
        if (known == schema.end() || value == stat.end()) continue;
        if (value->is_boolean()) figures.emplace_back(name + "." + known->second, value->get<bool>());
        if (value->is_number_unsigned()) figures.emplace_back(name + "." + known->second, value->get<std::uint64_t>());
    }
    return figures;
}

} // namespace lodge::drivers::qemu
