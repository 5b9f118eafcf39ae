#include "xml/volume.hpp"
#include <algorithm>
#include <pugixml.hpp>

namespace lodge::xml {

bool Traits<Timestamp>::parse(Timestamp& time, std::string_view text) {
    text = trim(text);
    const auto end_of_text = text.data() + text.size();
    auto [end, error] = std::from_chars(text.data(), end_of_text, time.seconds);
    time.nanoseconds = 0;
    if (error != std::errc()) return false;
    if (end == end_of_text) return true;
    if (*end != '.' || end_of_text - end != 10) return false;
    const auto [last, wrong] = std::from_chars(end + 1, end_of_text, time.nanoseconds);
    return wrong == std::errc() && last == end_of_text;
}

void Traits<Timestamp>::format(Timestamp time, std::string& out) {
    out += std::to_string(time.seconds);
    if (time.nanoseconds) out += fmt::format(".{:09}", time.nanoseconds);
}

void Traits<Timestamp>::random(Timestamp& time, Random& random) {
    time.seconds = static_cast<std::int64_t>(random() % 2000000000);
    time.nanoseconds = static_cast<std::uint32_t>(random() % 3 ? random() % 1000000000 : 0);
}

// ---- descriptions ----

static void describe(Doc& doc, VolumeDevice& device) {
    doc.attribute("path", device.path);
    doc.list("extent", device.extents);
}
static void describe(Doc& doc, Timestamps& times) {
    doc.text_child("atime", times.access);
    doc.text_child("mtime", times.modification);
    doc.text_child("ctime", times.change);
    doc.text_child("btime", times.birth);
}
// libvirt writes this one size in "B".
static void describe(Doc& doc, ClusterSize& size) {
    std::string unit = doc.reading() ? "" : "B";
    doc.attribute("unit", unit);
    doc.text(size.bytes);
    if (!doc.reading()) return;
    const auto scale = unit_bytes(unit, 1);
    if (size.bytes > std::numeric_limits<std::uint64_t>::max() / scale)
        rpc::fail(Code::overflow, "value too large: {}{}", size.bytes, unit);
    size.bytes *= scale;
}
static void describe(Doc& doc, ImageFeatures& features) {
    doc.flag("lazy_refcounts", features.lazy_refcounts);
    doc.flag("extended_l2", features.extended_l2);
}
static void describe(Doc& doc, VolumeTarget& target) {
    doc.text_child("path", target.path);
    doc.group("format", [&] { doc.attribute("type", target.format); });
    doc.child("permissions", target.permissions);
    doc.child("timestamps", target.timestamps, Mark::live);
    doc.child("encryption", target.encryption);
    doc.text_child("compat", target.compat);
    doc.flag("nocow", target.nocow, Mark::private_);
    doc.child("clusterSize", target.cluster_size);
    doc.child("features", target.features);
}

void describe(Doc& doc, Volume& volume) {
    doc.attribute("type", volume.type);
    doc.text_child("name", volume.name);
    doc.text_child("key", volume.key);
    doc.group("source", [&] { doc.list("device", volume.devices, Mark::live); });
    doc.child("capacity", volume.capacity);
    doc.child("allocation", volume.allocation);
    doc.child("physical", volume.physical, Mark::live);
    doc.child("target", volume.target);
    doc.child("backingStore", volume.backing);
}

// ---- checks ----

namespace {

template<class... Args> [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::storage, Code::xml_error, format, std::forward<Args>(args)...);
}

void settle_format(std::string& format, VolumeFormats formats) {
    const auto words = volume_format_words(formats);
    if (words.empty()) return format.clear();
    if (format.empty()) format = default_volume_format(formats);
    const bool image_of_none = formats == VolumeFormats::image && format == "none";
    if (image_of_none || std::ranges::find(words, format) == words.end())
        rpc::fail(From::storage, Code::config_unsupported, "unknown volume format type {}", format);
}

// Files have signed sizes.
void check_size(const std::optional<Bytes>& size) {
    if (size && size->value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        rpc::fail(Code::overflow, "value too large: {}", size->value);
}

void check_encryption(Encryption& encryption) {
    for (const auto& secret : encryption.secrets) {
        if (secret.type.empty()) refuse("unknown volume encryption secret type");
        if (secret.type != "passphrase")
            rpc::fail(From::storage, Code::config_unsupported, "unknown volume encryption secret type {}", secret.type);
        if (secret.uuid.is_nil() && secret.usage.empty())
            rpc::fail(rpc::from_nobody, Code::xml_error, "missing secret uuid or usage attribute");
        if (!secret.uuid.is_nil() && !secret.usage.empty())
            rpc::fail(rpc::from_nobody, Code::xml_error, "either secret uuid or usage expected");
    }
    if (encryption.format != EncryptionFormat::luks) { // the cipher is a fact of LUKS
        encryption.cipher.reset();
        encryption.ivgen.reset();
    }
    if (encryption.cipher && encryption.cipher->name.empty()) refuse("cipher info missing 'name' attribute");
    if (encryption.cipher && encryption.cipher->size == 0)
        rpc::fail(From::xml, Code::xml_error, "Missing required attribute 'size' in element 'cipher'");
    if (!encryption.ivgen) return;
    if (!encryption.cipher) refuse("ivgen element found, but cipher is missing");
    if (encryption.ivgen->name.empty()) refuse("missing ivgen info name string");
}

// "1.1": two numbers.
void check_compat(const std::string& compat) {
    const auto dot = compat.find('.');
    const auto is_number = [](std::string_view text) {
        return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
    };
    if (compat.empty()) return;
    if (dot == std::string::npos || !is_number(compat.substr(0, dot)) || !is_number(compat.substr(dot + 1)))
        refuse("forbidden characters in 'compat' attribute");
}

void normalize_volume(Volume& volume, PoolType type, CapacityRule rule) {
    const auto formats = facts_of(type).volumes;
    if (volume.name.empty()) refuse("missing volume name element");
    if (volume.backing && volume.backing->path.empty()) volume.backing.reset();
    if (volume.backing) {
        VolumeTarget below; // its other facts are read from the image
        below.path = volume.backing->path;
        below.format = volume.backing->format;
        below.permissions = volume.backing->permissions;
        settle_format(below.format, formats);
        volume.backing = std::move(below);
    }
    const bool needed = rule == CapacityRule::required || (rule == CapacityRule::optional_with_backing && !volume.backing);
    if (!volume.capacity && needed) refuse("missing capacity element");
    check_size(volume.capacity);
    check_size(volume.allocation);
    settle_format(volume.target.format, formats);
    if (volume.target.encryption) check_encryption(*volume.target.encryption);
    check_compat(volume.target.compat);
    if (volume.target.features && volume.target.compat.empty()) volume.target.compat = "1.1";
    if (volume.target.cluster_size && volume.target.cluster_size->bytes == 0) volume.target.cluster_size.reset();
}

} // namespace

// Names that a description does not know are read over, but an image without a feature that was asked for is not what was asked
// for.
static void check_features(const std::string& text) {
    if (text.find("<features") == std::string::npos) return;
    pugi::xml_document document;
    document.load_buffer(text.data(), text.size());
    for (const auto feature : document.document_element().child("target").child("features").children()) {
        const std::string_view name = feature.name();
        if (feature.type() == pugi::node_element && name != "lazy_refcounts" && name != "extended_l2")
            rpc::fail(From::storage, Code::config_unsupported, "unsupported feature {}", name);
    }
}

Volume parse_volume(const std::string& text, PoolType type, CapacityRule rule, const ReadOptions& options) {
    ReadOptions own = options;
    own.from = From::storage;
    own.private_ = true;
    if (own.where.empty()) own.where = "(storage_volume_definition)";
    auto volume = parse<Volume>(text, "volume", own);
    normalize_volume(volume, type, rule);
    check_features(text);
    return volume;
}

std::string format_volume(const Volume& volume) { return format(volume, "volume", {.live = true, .secret = true}); }

} // namespace lodge::xml
