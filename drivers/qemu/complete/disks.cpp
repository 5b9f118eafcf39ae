#include "drivers/qemu/complete/steps.hpp"
#include "xml/domain/disk_names.hpp"
#include <utility>

namespace lodge::drivers::qemu {

using xml::Disk;
using xml::DiskBus;
using xml::DiskDevice;
using xml::SourceType;

namespace {

template<class T> void drop_default(std::optional<T>& value) {
    if (value == T::default_) value.reset();
}

void complete_driver(Disk& disk) {
    if (disk.source.type == SourceType::vhostuser) return;
    auto& driver = disk.driver;
    if (driver.name.empty()) driver.name = "qemu";
    // What is in a volume, its pool knows.
    if (!driver.type && disk.source.type != SourceType::volume) driver.type = xml::StorageFormat::raw;
    drop_default(driver.cache);
    drop_default(driver.error_policy);
    drop_default(driver.rerror_policy);
    drop_default(driver.io);
    drop_default(driver.discard);
    drop_default(driver.detect_zeroes);
}

struct PortRow {
    xml::StorageProtocol protocol;
    const char* port;
};
constexpr PortRow default_ports[] = {
    {xml::StorageProtocol::http, "80"},    {xml::StorageProtocol::https, "443"},     {xml::StorageProtocol::ftp, "21"},
    {xml::StorageProtocol::ftps, "990"},   {xml::StorageProtocol::tftp, "69"},       {xml::StorageProtocol::ssh, "22"},
    {xml::StorageProtocol::nbd, "10809"},  {xml::StorageProtocol::sheepdog, "7000"}, {xml::StorageProtocol::gluster, "24007"},
    {xml::StorageProtocol::iscsi, "3260"}, {xml::StorageProtocol::vxhs, "9999"},
};

void complete_ports(xml::StorageSource& source) {
    for (auto& host : source.hosts)
        if (host.port == "0") host.port.clear();
    for (const auto& row : default_ports) {
        if (row.protocol != source.protocol) continue;
        for (auto& host : source.hosts)
            if (host.port.empty() && host.transport.value_or(xml::HostTransport::tcp) == xml::HostTransport::tcp)
                host.port = row.port;
    }
}

void complete_encryption(xml::Encryption& encryption) {
    if (!encryption.engine) encryption.engine = xml::EncryptionEngine::qemu;
}

void complete_source(xml::StorageSource& source) {
    complete_ports(source);
    if (source.type == SourceType::nvme && !source.managed) source.managed = true;
    if (source.encryption) complete_encryption(*source.encryption);
    // Whoever skips labelling says so for the running guest only.
    std::erase_if(source.labels, [](const xml::SourceLabel& label) { return label.labelskip.has_value(); });
}

void complete_disk(Disk& disk) {
    if (!disk.target.bus) disk.target.bus = xml::bus_by_name(disk);
    if (disk.device == DiskDevice::cdrom) disk.readonly = true;
    if (disk.readonly && disk.snapshot == xml::SnapshotMode::no) disk.snapshot.reset();
    if (disk.target.tray == xml::TrayState::closed) disk.target.tray.reset();
    if (disk.source.type == SourceType::network && disk.source.empty()) disk.source.type = SourceType::file;
    complete_driver(disk);
    complete_source(disk.source);
    if (disk.encryption) complete_encryption(*disk.encryption);
}

} // namespace

void complete_disks(xml::Domain& domain) {
    auto given = std::exchange(domain.devices.disks, {});
    for (auto& disk : given) xml::insert_disk(domain.devices.disks, std::move(disk));
    for (auto& disk : domain.devices.disks) complete_disk(disk);
    if (domain.os.nvram && domain.os.nvram->type) complete_source(domain.os.nvram->source);
}

} // namespace lodge::drivers::qemu
