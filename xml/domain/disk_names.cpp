#include "xml/domain/disk_names.hpp"
#include <algorithm>

namespace lodge::xml {

namespace {

struct PrefixRow {
    std::string_view prefix;
    DiskBus bus;
};
constexpr PrefixRow prefixes[] = {
    {"fd", DiskBus::fdc},  {"hd", DiskBus::ide},  {"vd", DiskBus::virtio},
    {"sd", DiskBus::scsi}, {"xvd", DiskBus::xen}, {"ubd", DiskBus::uml},
};

} // namespace

std::optional<unsigned> disk_index(std::string_view name) {
    for (const auto& row : prefixes) {
        if (!name.starts_with(row.prefix)) continue;
        auto rest = name.substr(row.prefix.size());
        unsigned index = 0;
        std::size_t letters = 0;
        for (; letters < rest.size() && rest[letters] >= 'a' && rest[letters] <= 'z'; ++letters)
            index = (letters ? (index + 1) * 26 : 0) + static_cast<unsigned>(rest[letters] - 'a');
        rest.remove_prefix(letters); // what is left may number a partition
        const bool digits = std::ranges::all_of(rest, [](char c) { return c >= '0' && c <= '9'; });
        if (letters == 0 || !digits) return std::nullopt;
        return index;
    }
    return std::nullopt;
}

DiskBus bus_by_name(const Disk& disk) {
    if (disk.device == DiskDevice::floppy) return DiskBus::fdc;
    for (const auto& row : prefixes)
        if (disk.target.dev.starts_with(row.prefix) && row.bus != DiskBus::fdc) return row.bus;
    return DiskBus::ide;
}

void insert_disk(std::vector<Disk>& disks, Disk disk) {
    const auto index = disk_index(disk.target.dev);
    auto after_last = disks.end();
    for (auto present = disks.begin(); present != disks.end(); ++present) {
        if (present->target.bus != disk.target.bus) continue;
        if (disk_index(present->target.dev) > index) {
            disks.insert(present, std::move(disk));
            return;
        }
        after_last = std::next(present);
    }
    disks.insert(after_last, std::move(disk));
}

} // namespace lodge::xml
