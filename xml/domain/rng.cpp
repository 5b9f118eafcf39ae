#include "xml/domain/check.hpp"

namespace lodge::xml {

void describe(Doc& doc, RngRate& rate) {
    doc.required("bytes", rate.bytes);
    doc.attribute("period", rate.period, Mark::unless_zero);
}

namespace {

void describe_backend(Doc& doc, Rng& rng) {
    doc.required("model", rng.backend);
    if (doc.when(rng.backend == RngBackend::random)) doc.text(rng.file);
    if (doc.when(rng.backend == RngBackend::egd)) {
        describe_char_type(doc, rng.source);
        doc.has_end_tag();
        describe_char_source(doc, rng.source);
    }
}

} // namespace

// libvirt's order of reading.
static constexpr std::string_view rng_order[] = {"@model", "rate", "backend"};

void describe(Doc& doc, Rng& rng) {
    doc.read_in_order(rng_order);
    doc.required("model", rng.model, Mark::guest);
    doc.child("rate", rng.rate);
    doc.group("backend", [&] { describe_backend(doc, rng); }, Mark::single);
    doc.group("driver", [&] { describe_virtio(doc, rng.virtio); });
    describe_info(doc, rng.info);
    check_rng(doc, rng);
}

} // namespace lodge::xml
