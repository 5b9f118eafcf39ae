#include "xml/domain/check.hpp"

namespace lodge::xml {

void describe(Doc& doc, DiskDriver& driver) {
    doc.attribute("name", driver.name);
    doc.attribute("type", driver.type);
    doc.attribute("cache", driver.cache);
    doc.attribute("error_policy", driver.error_policy, Mark::positive);
    doc.attribute("rerror_policy", driver.rerror_policy, Mark::positive);
    doc.attribute("io", driver.io, Mark::positive);
    doc.attribute("ioeventfd", driver.ioeventfd);
    doc.attribute("event_idx", driver.event_idx);
    doc.attribute("copy_on_read", driver.copy_on_read);
    doc.attribute("discard", driver.discard, Mark::positive);
    doc.attribute("iothread", driver.iothread, Mark::positive);
    doc.attribute("detect_zeroes", driver.detect_zeroes, Mark::positive);
    doc.attribute("queues", driver.queues, Mark::guest);
    doc.attribute("queue_size", driver.queue_size, Mark::guest);
    describe_virtio(doc, driver.virtio);
    doc.child("metadata_cache", driver.metadata_cache, Mark::filled);
}

void describe(Doc& doc, DiskTarget& target) {
    doc.attribute("dev", target.dev, Mark::guest);
    doc.attribute("bus", target.bus, Mark::guest | Mark::positive);
    doc.attribute("tray", target.tray);
    doc.attribute("removable", target.removable);
    doc.attribute("rotation_rate", target.rotation_rate, Mark::guest);
}

void describe(Doc& doc, IoTune& tune) {
    doc.text_child("total_bytes_sec", tune.total_bytes_sec, Mark::unless_zero);
    doc.text_child("read_bytes_sec", tune.read_bytes_sec, Mark::unless_zero);
    doc.text_child("write_bytes_sec", tune.write_bytes_sec, Mark::unless_zero);
    doc.text_child("total_iops_sec", tune.total_iops_sec, Mark::unless_zero);
    doc.text_child("read_iops_sec", tune.read_iops_sec, Mark::unless_zero);
    doc.text_child("write_iops_sec", tune.write_iops_sec, Mark::unless_zero);
    doc.text_child("total_bytes_sec_max", tune.total_bytes_sec_max, Mark::unless_zero);
    doc.text_child("read_bytes_sec_max", tune.read_bytes_sec_max, Mark::unless_zero);
    doc.text_child("write_bytes_sec_max", tune.write_bytes_sec_max, Mark::unless_zero);
    doc.text_child("total_iops_sec_max", tune.total_iops_sec_max, Mark::unless_zero);
    doc.text_child("read_iops_sec_max", tune.read_iops_sec_max, Mark::unless_zero);
    doc.text_child("write_iops_sec_max", tune.write_iops_sec_max, Mark::unless_zero);
    doc.text_child("size_iops_sec", tune.size_iops_sec, Mark::unless_zero);
    doc.text_child("group_name", tune.group_name);
    doc.text_child("total_bytes_sec_max_length", tune.total_bytes_sec_max_length, Mark::unless_zero);
    doc.text_child("read_bytes_sec_max_length", tune.read_bytes_sec_max_length, Mark::unless_zero);
    doc.text_child("write_bytes_sec_max_length", tune.write_bytes_sec_max_length, Mark::unless_zero);
    doc.text_child("total_iops_sec_max_length", tune.total_iops_sec_max_length, Mark::unless_zero);
    doc.text_child("read_iops_sec_max_length", tune.read_iops_sec_max_length, Mark::unless_zero);
    doc.text_child("write_iops_sec_max_length", tune.write_iops_sec_max_length, Mark::unless_zero);
}

void describe(Doc& doc, Geometry& geometry) {
    doc.attribute("cyls", geometry.cyls);
    doc.attribute("heads", geometry.heads);
    doc.attribute("secs", geometry.secs);
    doc.attribute("trans", geometry.trans, Mark::positive);
}

void describe(Doc& doc, BlockIo& blockio) {
    doc.attribute("logical_block_size", blockio.logical_block_size, Mark::unless_zero);
    doc.attribute("physical_block_size", blockio.physical_block_size, Mark::unless_zero);
}

static void describe_below(Doc& doc, Box<BackingStore>& below) {
    doc.child("backingStore", below, below && below->detected ? Mark::live : Mark::none);
}

static constexpr std::string_view backing_order[] = {"@type", "format", "source", "backingStore"};

void describe(Doc& doc, BackingStore& store) {
    doc.read_in_order(backing_order);
    doc.attribute("type", store.type);
    doc.attribute("index", store.source.index, Mark::live);
    doc.attribute("detected", store.detected, Mark::private_);
    if (!doc.when(store.type.has_value())) return;
    if (store.type) store.source.type = *store.type;
    doc.group(
        "format",
        [&] {
            doc.required("type", store.format, Mark::positive);
            doc.child("metadata_cache", store.metadata_cache, Mark::filled);
        },
        Mark::required);
    describe_source(doc, store.source, "source", Mark::required, false);
    describe_below(doc, store.backing);
}

void describe(Doc& doc, DiskMirror& mirror) {
    doc.attribute("type", mirror.type);
    doc.attribute("file", mirror.file);
    doc.attribute("format", mirror.format_attribute);
    doc.attribute("job", mirror.job);
    doc.attribute("ready", mirror.ready);
    if (mirror.type) mirror.source.type = *mirror.type;
    doc.group("format", [&] {
        doc.attribute("type", mirror.format);
        doc.child("metadata_cache", mirror.metadata_cache, Mark::filled);
    });
    if (doc.when(mirror.type.has_value())) describe_source(doc, mirror.source);
    describe_below(doc, mirror.backing);
}

void describe(Doc& doc, Transient& transient) { doc.attribute("shareBacking", transient.share_backing); }

// libvirt's order of reading.
static constexpr std::string_view disk_order[] = {"@type",
                                                  "source",
                                                  "auth",
                                                  "encryption",
                                                  "backingStore",
                                                  "@device",
                                                  "@model",
                                                  "@snapshot",
                                                  "@rawio",
                                                  "@sgio",
                                                  "source/@startupPolicy",
                                                  "target",
                                                  "geometry",
                                                  "blockio",
                                                  "driver",
                                                  "transient",
                                                  "iotune"};

void describe(Doc& doc, Disk& disk) {
    doc.read_in_order(disk_order);
    doc.attribute("type", disk.source.type);
    doc.attribute("device", disk.device, Mark::guest);
    doc.attribute("model", disk.model, Mark::guest);
    doc.attribute("rawio", disk.rawio);
    doc.attribute("sgio", disk.sgio, Mark::positive);
    doc.attribute("snapshot", disk.snapshot, Mark::positive);
    doc.child("driver", disk.driver);
    doc.child("auth", disk.auth);
    describe_source(doc, disk.source);
    describe_below(doc, disk.backing);
    doc.group("backenddomain", [&] { doc.attribute("name", disk.backend_domain); });
    doc.child("geometry", disk.geometry);
    doc.child("blockio", disk.blockio);
    doc.child("mirror", disk.mirror, Mark::live);
    doc.child("target", disk.target);
    doc.child("iotune", disk.iotune, Mark::filled);
    doc.flag("readonly", disk.readonly, Mark::guest);
    doc.flag("shareable", disk.shareable);
    doc.child("transient", disk.transient);
    doc.text_child("serial", disk.serial, Mark::guest);
    doc.text_child("wwn", disk.wwn, Mark::guest);
    doc.text_child("vendor", disk.vendor);
    doc.text_child("product", disk.product);
    doc.child("encryption", disk.encryption);
    describe_info(doc, disk.info, InfoParts::boot);
    check_disk(doc, disk);
}

BackingStore top_link(const Disk& disk) {
    BackingStore link;
    link.type = disk.source.type;
    link.format = disk.driver.type.value_or(StorageFormat::raw);
    link.metadata_cache = disk.driver.metadata_cache;
    link.source = disk.source;
    if (!link.source.auth) link.source.auth = disk.auth;
    if (!link.source.encryption) link.source.encryption = disk.encryption;
    link.backing = disk.backing;
    return link;
}

void set_top_link(Disk& disk, BackingStore link) {
    disk.source = std::move(link.source);
    if (link.type) disk.source.type = *link.type;
    disk.driver.type = link.format;
    disk.driver.metadata_cache = std::move(link.metadata_cache);
    disk.auth.reset();
    disk.encryption.reset();
    disk.backing = std::move(link.backing);
}

template<class Link> static std::vector<Link*> links_from(const Box<BackingStore>& first) {
    std::vector<Link*> links;
    for (const auto* at = &first; *at && (*at)->type; at = &(*at)->backing) links.push_back(&**at);
    return links;
}
std::vector<BackingStore*> links_below(Disk& disk) { return links_from<BackingStore>(disk.backing); }
std::vector<const BackingStore*> links_below(const Disk& disk) { return links_from<const BackingStore>(disk.backing); }

bool ends_here(const Box<BackingStore>& below) { return below && !below->type; }

} // namespace lodge::xml
