// How volumes come to be: from a document, from facts, as a copy of another; resized and wiped.
#include "cli/commands.hpp"
#include "cli/lookup.hpp"
#include "cli/xml_query.hpp"

#include <algorithm>

namespace lodge::cli {

namespace {

unsigned long long size_of(const std::string& text) {
    try {
        return scaled_number(text, 1);
    } catch (const Failure& failure) {
        const std::string_view why = failure.what();
        fail("Malformed size {}{}{}", text, why.empty() ? "" : ": ", why);
    }
}

unsigned create_flags(const Arguments& arguments) {
    unsigned flags = 0;
    if (arguments.has("prealloc-metadata")) flags |= VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA;
    if (arguments.has("reflink")) flags |= VIR_STORAGE_VOL_CREATE_REFLINK;
    if (arguments.has("validate")) flags |= VIR_STORAGE_VOL_CREATE_VALIDATE;
    return flags;
}

void create(Session& session, const Arguments& arguments) {
    auto pool = find_pool(session, arguments);
    const auto& file = arguments.required("file");
    Volume volume(virStorageVolCreateXML(pool.get(), read_document(file).c_str(), create_flags(arguments)));
    if (!volume) fail_with_cause("Failed to create vol from {}", file);
    session.extra("Vol {} created from {}\n", virStorageVolGetName(volume.get()), file);
}

void create_as(Session& session, const Arguments& arguments) {
    auto pool = find_pool(session, arguments);
    const auto& name = arguments.required("name");
    pugi::xml_document document;
    auto volume = document.append_child("volume");
    volume.append_child("name").text() = name.c_str();
    volume.append_child("capacity").text() = size_of(arguments.required("capacity"));
    if (const auto allocation = arguments.text("allocation")) volume.append_child("allocation").text() = size_of(*allocation);
    if (const auto format = arguments.text("format"))
        volume.append_child("target").append_child("format").append_attribute("type") = format->c_str();
    if (const auto word = arguments.text("backing-vol")) {
        Volume backing(virStorageVolLookupByName(pool.get(), word->c_str()));
        if (!backing) backing.reset(virStorageVolLookupByKey(session.connection(), word->c_str()));
        if (!backing) backing.reset(virStorageVolLookupByPath(session.connection(), word->c_str()));
        if (!backing) fail_with_cause("failed to get vol '{}'", *word);
        forget_cause();
        Text path(virStorageVolGetPath(backing.get()));
        if (!path) fail_with_cause();
        auto store = volume.append_child("backingStore");
        store.append_child("path").text() = path.get();
        if (const auto format = arguments.text("backing-vol-format"))
            store.append_child("format").append_attribute("type") = format->c_str();
    }
    const std::string xml = format_shown(volume);
    if (arguments.has("print-xml")) return session.write(xml);
    Volume made(virStorageVolCreateXML(pool.get(), xml.c_str(), create_flags(arguments)));
    if (!made) fail_with_cause("Failed to create vol {}", name);
    session.extra("Vol {} created\n", name);
}

void create_from(Session& session, const Arguments& arguments) {
    auto pool = find_pool(session, arguments);
    const auto& file = arguments.required("file");
    auto input = find_volume(session, arguments, true, "inputpool");
    Volume made(virStorageVolCreateXMLFrom(pool.get(), read_document(file).c_str(), input.get(), create_flags(arguments)));
    if (!made) fail_with_cause("Failed to create vol from {}", file);
    session.extra("Vol {} created from input vol {}\n", virStorageVolGetName(made.get()), virStorageVolGetName(input.get()));
}

void clone(Session& session, const Arguments& arguments) {
    auto volume = find_volume(session, arguments);
    Pool pool(virStoragePoolLookupByVolume(volume.get()));
    if (!pool) fail_with_cause("{}", "failed to get parent pool");
    Text xml(virStorageVolGetXMLDesc(volume.get(), 0));
    if (!xml) fail_with_cause();
    auto document = parse_document(xml.get(), "volume");
    document.child("volume").child("name").text() = arguments.required("newname").c_str();
    if (arguments.has("print-xml")) {
        const std::string shown = format_shown(document.child("volume"), '"');
        return session.write(shown.substr(0, shown.find_last_not_of('\n') + 1)); // virsh ends it without a newline
    }
    const std::string copy = format_document(document.child("volume"));
    Volume made(virStorageVolCreateXMLFrom(pool.get(), copy.c_str(), volume.get(), create_flags(arguments)));
    if (!made) fail_with_cause("Failed to clone vol from {}", virStorageVolGetName(volume.get()));
    session.extra("Vol {} cloned from {}\n", virStorageVolGetName(made.get()), virStorageVolGetName(volume.get()));
}

void resize(Session& session, const Arguments& arguments) {
    auto volume = find_volume(session, arguments);
    bool delta = arguments.has("delta");
    std::string capacity = arguments.required("capacity");
    capacity.erase(0, capacity.find_first_not_of(" \t"));
    if (capacity.starts_with('-')) {
        if (!arguments.has("shrink")) fail("negative size requires --shrink");
        capacity.erase(0, 1);
        delta = true;
    }
    unsigned flags = delta ? VIR_STORAGE_VOL_RESIZE_DELTA : 0;
    if (arguments.has("allocate")) flags |= VIR_STORAGE_VOL_RESIZE_ALLOCATE;
    if (arguments.has("shrink")) flags |= VIR_STORAGE_VOL_RESIZE_SHRINK;
    const char* name = virStorageVolGetName(volume.get());
    check(virStorageVolResize(volume.get(), size_of(capacity), flags), "Failed to change size of volume '{}' {} {}", name,
          delta ? "by" : "to", capacity);
    session.extra("Size of volume '{}' successfully changed {} {}\n", name, delta ? "by" : "to", capacity);
}

constexpr std::string_view wipe_algorithms[] = {"zero",     "nnsa",      "dod",        "bsi",    "gutmann",
                                                "schneier", "pfitzner7", "pfitzner33", "random", "trim"};

void wipe(Session& session, const Arguments& arguments) {
    auto volume = find_volume(session, arguments);
    const std::string algorithm = arguments.text("algorithm", "zero");
    const auto* known = std::ranges::find(wipe_algorithms, algorithm);
    if (known == std::end(wipe_algorithms)) fail("Unsupported algorithm '{}'", algorithm);
    const auto& word = arguments.required("vol");
    check(virStorageVolWipePattern(volume.get(), static_cast<unsigned>(known - wipe_algorithms), 0), "Failed to wipe vol {}",
          word);
    session.extra("Vol {} wiped\n", word);
}

Option the_volume() { return need("vol", "vol name, key or path"); }
Option of_pool() { return text("pool", "pool name or uuid").completed(Complete::pool); }
Option preallocated() { return flag("prealloc-metadata", "preallocate metadata (for qcow2 instead of full allocation)"); }
Option reflink() { return flag("reflink", "use btrfs COW lightweight copy"); }

} // namespace

const std::vector<Command>& volume_make_commands() {
    static const std::vector<Command> rows = {
        {.name = "vol-create",
         .group = Group::volume,
         .help = "create a vol from an XML file",
         .description = "Create a vol.",
         .options = {need("pool", "pool name", Complete::pool),
                     need("file", "file containing an XML vol description", Complete::file), preallocated(),
                     flag("validate", "validate the XML against the schema")},
         .run = create},
        {.name = "vol-create-as",
         .group = Group::volume,
         .help = "create a volume from a set of args",
         .description = "Create a vol.",
         .options = {need("pool", "pool name", Complete::pool), need("name", "name of the volume"),
                     need("capacity", "size of the vol, as scaled integer (default bytes)"),
                     text("allocation", "initial allocation size, as scaled integer (default bytes)"),
                     text("format", "file format type raw,bochs,qcow,qcow2,qed,vmdk"),
                     text("backing-vol", "the backing volume if taking a snapshot"),
                     text("backing-vol-format", "format of backing volume if taking a snapshot"), preallocated(),
                     flag("print-xml", "print XML document, but don't define/create")},
         .run = create_as},
        {.name = "vol-create-from",
         .group = Group::volume,
         .help = "create a vol, using another volume as input",
         .description = "Create a vol from an existing volume.",
         .options = {need("pool", "pool name or uuid", Complete::pool),
                     need("file", "file containing an XML vol description", Complete::file), the_volume(),
                     text("inputpool", "pool name or uuid of the input volume's pool").completed(Complete::pool), preallocated(),
                     reflink(), flag("validate", "validate the XML against the schema")},
         .run = create_from},
        {.name = "vol-clone",
         .group = Group::volume,
         .help = "clone a volume.",
         .description = "Clone an existing volume within the parent pool.",
         .options = {the_volume(), need("newname", "clone name"), of_pool(), preallocated(), reflink(),
                     flag("print-xml", "print XML document rather than clone the volume")},
         .run = clone},
        {.name = "vol-resize",
         .group = Group::volume,
         .help = "resize a vol",
         .description = "Resizes a storage volume. This is safe only for storage volumes not in use by an active guest.\n"
                        "See blockresize for live resizing.",
         .options = {the_volume(), need("capacity", "new capacity for the vol, as scaled integer (default bytes)"), of_pool(),
                     flag("allocate", "allocate the new capacity, rather than leaving it sparse"),
                     flag("delta", "use capacity as a delta to current size, rather than the new size"),
                     flag("shrink", "allow the resize to shrink the volume")},
         .run = resize},
        {.name = "vol-wipe",
         .group = Group::volume,
         .help = "wipe a vol",
         .description = "Ensure data previously on a volume is not accessible to future reads",
         .options = {the_volume(), of_pool(),
                     text("algorithm", "perform selected wiping algorithm")
                         .choices("zero nnsa dod bsi gutmann schneier pfitzner7 pfitzner33 random trim")},
         .run = wipe},
    };
    return rows;
}

} // namespace lodge::cli
