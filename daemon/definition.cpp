#include "daemon/definition.hpp"
#include "daemon/store.hpp"
#include "xml/domain/domain.hpp"
#include "xml/text.hpp"
#include <algorithm>
#include <array>
#include <cctype>
#include <zstd.h>

namespace lodge::daemon {

namespace {

// Tells an edited file from an untouched one; nobody needs to be kept from forging it, who may write the file may write it all.
// The version is in the sum: what a newer lodged reads and completes may differ. So may the library's hash one day: then files
// are parsed once more.
std::uint64_t sum_of(std::string_view text) {
    const std::hash<std::string_view> hash;
    return hash(text) * 31 + hash(LODGE_VERSION);
}

constexpr std::string_view sum_label = "As written, its sum is ", comment_end = "\n-->\n\n";

std::string sum_line(std::string_view text) { return fmt::format("{}{:016x}", sum_label, sum_of(text)); }

// The first element of that name, as text with its escapes; formatted text has each element on a line of its own.
std::string_view element_of(std::string_view text, std::string_view opening, std::string_view closing) {
    const auto at = text.find(opening);
    if (at == std::string_view::npos) return {};
    text.remove_prefix(at + opening.size());
    return text.substr(0, text.find(closing));
}

std::string escaped(std::string text) {
    xml::escape_from(text, 0);
    return text;
}

// A name may hold what would end the comment or run in a shell where somebody pastes the line.
bool is_plain(std::string_view name) {
    return !name.empty() && name.find("--") == std::string_view::npos && std::ranges::all_of(name, [](unsigned char c) {
        return std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '+';
    });
}

template<auto function> struct Free {
    template<class T> void operator()(T* object) const { function(object); }
};

// One context and buffer for each thread: to make them costs more than to compress a document.
std::string pack(std::string_view text) {
    thread_local const std::unique_ptr<ZSTD_CCtx, Free<ZSTD_freeCCtx>> context(ZSTD_createCCtx());
    thread_local std::vector<char> packed;
    packed.resize(std::max(packed.size(), ZSTD_compressBound(text.size())));
    constexpr int level = -1; // the higher ones take longer and make documents hardly smaller
    const auto size = ZSTD_compressCCtx(context.get(), packed.data(), packed.size(), text.data(), text.size(), level);
    if (ZSTD_isError(size)) throw std::bad_alloc(); // the only way to fail into a buffer of that size
    return {packed.data(), size};
}

std::string unpack(std::string_view packed) {
    std::string text(ZSTD_getFrameContentSize(packed.data(), packed.size()), '\0');
    thread_local const std::unique_ptr<ZSTD_DCtx, Free<ZSTD_freeDCtx>> context(ZSTD_createDCtx());
    const auto size = ZSTD_decompressDCtx(context.get(), text.data(), text.size(), packed.data(), packed.size());
    if (size != text.size()) rpc::fail(rpc::Code::internal_error, "a stored definition was damaged in memory");
    return text;
}

} // namespace

std::string definition_text(const xml::Domain& domain) { return xml::format_domain(domain, {.live = false, .secret = true}); }

std::string definition_file(std::string_view text) {
    const auto name = element_of(text, "\n  <name>", "</name>\n");
    std::string file = store::definition_header(
        fmt::format("virsh edit {}", is_plain(name) ? name : element_of(text, "\n  <uuid>", "</uuid>\n")));
    file.insert(file.size() - comment_end.size(), "\n" + sum_line(text));
    return file.append(text);
}

Definition::Definition(const xml::Domain& domain, std::string_view text)
    : packed_(pack(text))
    , uuid_(domain.uuid)
    , outline_(domain) {}

std::string Definition::text() const { return packed_.empty() ? std::string() : unpack(packed_); }

Definition Definition::from_file(std::string_view file, const std::string& name) {
    Definition definition;
    const auto end = file.find(comment_end);
    if (end == std::string_view::npos) return definition;
    const auto text = file.substr(end + comment_end.size());
    if (!file.substr(0, end).ends_with(sum_line(text)) || element_of(text, "\n  <name>", "</name>\n") != escaped(name))
        return definition;
    const auto uuid = rpc::Uuid::parse(element_of(text, "\n  <uuid>", "</uuid>\n"));
    if (!uuid) return definition;
    definition.packed_ = pack(text);
    definition.uuid_ = *uuid;
    return definition;
}

std::shared_ptr<const xml::Domain> Definition::document() const {
    if (auto parsed = parsed_.lock()) return parsed;
    static std::array<std::shared_ptr<const xml::Domain>, 16> recent; // keeps the last few parsed
    static std::size_t next = 0;
    // Not make_shared: the weak pointer would keep the document's memory, which is far larger than its text.
    std::shared_ptr<const xml::Domain> parsed(new xml::Domain(xml::parse_domain(text(), {.checked = true})));
    parsed_ = parsed;
    recent[next++ % recent.size()] = parsed;
    return parsed;
}

DefinedSize::DefinedSize(const xml::Domain& domain)
    : memory_kib(domain.total_memory_kib())
    , current_memory_kib(domain.current_memory_kib())
    , max_vcpus(domain.max_vcpus())
    , online_vcpus(domain.online_vcpus()) {}

Outline::Outline(const xml::Domain& domain)
    : size(domain) {
    disks.reserve(domain.devices.disks.size());
    for (const auto& disk : domain.devices.disks) {
        auto& outlined = disks.emplace_back(disk.target.dev, disk.source.path, disk.driver.type == xml::StorageFormat::qcow2);
        for (const auto* layer = disk.backing ? &*disk.backing : nullptr; layer && !layer->source.empty();
             layer = layer->backing ? &*layer->backing : nullptr)
            outlined.below.push_back(layer->source.path);
    }
}

const Outline& Definition::outline() const {
    if (!outline_) outline_.emplace(*document());
    return *outline_;
}

xml::Domain Definition::copy() const { return *document(); }

} // namespace lodge::daemon
