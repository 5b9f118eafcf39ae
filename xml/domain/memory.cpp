#include "xml/domain/check.hpp"

namespace lodge::xml {

void describe(Doc& doc, MemoryTarget& target) {
    doc.child("size", target.size, Mark::required | Mark::guest);
    doc.text_child("node", target.node, Mark::guest);
    doc.group("label", [&] { doc.child("size", target.label, Mark::guest); });
    doc.child("block", target.block, Mark::guest);
    doc.child("requested", target.requested, Mark::guest);
    doc.child("current", target.current, Mark::live);
    doc.flag("readonly", target.readonly, Mark::guest);
}

namespace {

void describe_source(Doc& doc, MemoryDevice& memory) {
    doc.text_child("nodemask", memory.nodemask);
    doc.child("pagesize", memory.pagesize);
    doc.text_child("path", memory.path);
    doc.child("alignsize", memory.alignsize, Mark::guest);
    doc.flag("pmem", memory.pmem, Mark::guest);
}

} // namespace

// libvirt's order of reading.
static constexpr std::string_view memory_order[] = {"@model", "uuid", "@access", "@discard", "source", "target"};

void describe(Doc& doc, MemoryDevice& memory) {
    doc.read_in_order(memory_order);
    doc.required("model", memory.model, Mark::guest | Mark::positive);
    doc.attribute("access", memory.access, Mark::positive);
    doc.attribute("discard", memory.discard);
    doc.text_child("uuid", memory.uuid, Mark::guest);
    doc.group("source", [&] { describe_source(doc, memory); });
    doc.child("target", memory.target);
    describe_info(doc, memory.info);
    check_memory(doc, memory);
}

} // namespace lodge::xml
