#include "xml/domain/smartcard.hpp"

namespace lodge::xml {

void describe(Doc& doc, Smartcard& smartcard) {
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
}

} // namespace lodge::xml
