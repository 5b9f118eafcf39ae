#include "xml/domain/check.hpp"

namespace lodge::xml {

void describe(Doc& doc, VirtiofsBinary& binary) {
    doc.attribute("path", binary.path);
    doc.attribute("xattr", binary.xattr);
    doc.group("cache", [&] { doc.attribute("mode", binary.cache, Mark::positive); });
    doc.group("sandbox", [&] { doc.attribute("mode", binary.sandbox, Mark::positive); });
    doc.group("lock", [&] {
        doc.attribute("posix", binary.posix_lock);
        doc.attribute("flock", binary.flock);
    });
    doc.group("thread_pool", [&] { doc.attribute("size", binary.thread_pool); });
}

namespace {

void describe_driver(Doc& doc, Filesystem& fs) {
    doc.attribute("type", fs.driver);
    doc.attribute("format", fs.format);
    doc.attribute("wrpolicy", fs.wrpolicy, Mark::positive);
    doc.attribute("queue", fs.queue, Mark::wraps);
    describe_virtio(doc, fs.virtio);
}

void describe_source(Doc& doc, Filesystem& fs) {
    const auto is = [&](FilesystemType type) { return doc.when(fs.type == type); };
    if (doc.when(fs.type == FilesystemType::mount || fs.type == FilesystemType::bind)) doc.attribute("dir", fs.source);
    if (is(FilesystemType::block)) doc.attribute("dev", fs.source);
    if (is(FilesystemType::file)) doc.attribute("file", fs.source);
    if (is(FilesystemType::template_)) doc.attribute("name", fs.source);
    if (is(FilesystemType::ram)) {
        std::string units = "KiB";
        doc.required("usage", fs.ram_kib, Mark::wraps);
        doc.attribute("units", units);
    }
    if (is(FilesystemType::volume)) {
        doc.attribute("pool", fs.pool);
        doc.attribute("volume", fs.volume);
    }
    doc.attribute("socket", fs.socket);
}

} // namespace

// libvirt's order of reading.
static constexpr std::string_view filesystem_order[] = {"@type",      "@accessmode",      "@fmode",           "@dmode", "@model",
                                                        "@multidevs", "space_hard_limit", "space_soft_limit", "driver", "binary",
                                                        "source"};

void describe(Doc& doc, Filesystem& fs) {
    doc.read_in_order(filesystem_order);
    doc.attribute("type", fs.type);
    doc.attribute("accessmode", fs.accessmode, Mark::blank);
    doc.attribute("multidevs", fs.multidevs);
    doc.attribute("model", fs.model, Mark::guest);
    doc.attribute("fmode", fs.fmode);
    doc.attribute("dmode", fs.dmode);
    doc.group("driver", [&] { describe_driver(doc, fs); });
    doc.child("binary", fs.binary);
    doc.group("source", [&] { describe_source(doc, fs); });
    doc.group("target", [&] { doc.attribute("dir", fs.target, Mark::guest); });
    doc.flag("readonly", fs.readonly, Mark::guest);
    describe_info(doc, fs.info, InfoParts::boot);
    doc.child("space_hard_limit", fs.space_hard_limit);
    doc.child("space_soft_limit", fs.space_soft_limit);
    check_filesystem(doc, fs);
}

} // namespace lodge::xml
