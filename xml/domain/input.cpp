#include "xml/domain/check.hpp"
#include "xml/storage_parts.hpp"

namespace lodge::xml {

namespace {

void describe_source(Doc& doc, Input& input) {
    if (doc.when(input.type == InputType::passthrough)) doc.attribute("evdev", input.source.evdev);
    if (doc.when(input.type == InputType::evdev)) {
        doc.attribute("dev", input.source.evdev);
        doc.attribute("grab", input.source.grab, Mark::positive);
        doc.attribute("grabToggle", input.source.grab_toggle, Mark::positive);
        doc.attribute("repeat", input.source.repeat);
    }
}

} // namespace

void describe(Doc& doc, Input& input) {
    doc.required("type", input.type, Mark::guest);
    doc.attribute("bus", input.bus, Mark::guest);
    doc.attribute("model", input.model, Mark::guest);
    doc.group("driver", [&] { describe_virtio(doc, input.virtio); });
    doc.group("source", [&] { describe_source(doc, input); });
    if (doc.reading()) input.source.evdev = clean_path(input.source.evdev);
    describe_info(doc, input.info);
    check_input(doc, input);
}

} // namespace lodge::xml
