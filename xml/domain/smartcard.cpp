#include "xml/domain/check.hpp"

namespace lodge::xml {

// libvirt's order of reading.
static constexpr std::string_view smartcard_order[] = {"@mode", "certificate", "database", "@type", "source", "log", "protocol"};

void describe(Doc& doc, Smartcard& smartcard) {
    doc.read_in_order(smartcard_order);
    doc.required("mode", smartcard.mode);
    if (doc.when(smartcard.mode == SmartcardMode::host_certificates)) {
        doc.list("certificate", smartcard.certificates);
        doc.text_child("database", smartcard.database);
    }
    if (doc.when(smartcard.mode == SmartcardMode::passthrough)) {
        describe_char_type(doc, smartcard.source);
        describe_char_source(doc, smartcard.source);
    }
    describe_info(doc, smartcard.info);
    check_smartcard(doc, smartcard);
}

} // namespace lodge::xml
