#include "xml/domain/check.hpp"

namespace lodge::xml {

namespace {

void describe_banks(Doc& doc, Tpm& tpm) {
    doc.flag("sha1", tpm.sha1, Mark::guest);
    doc.flag("sha256", tpm.sha256, Mark::guest);
    doc.flag("sha384", tpm.sha384, Mark::guest);
    doc.flag("sha512", tpm.sha512, Mark::guest);
}

void describe_emulator(Doc& doc, Tpm& tpm) {
    doc.attribute("version", tpm.version, Mark::guest | Mark::positive);
    doc.attribute("persistent_state", tpm.persistent_state);
    doc.group("encryption", [&] { doc.attribute("secret", tpm.encryption_secret); });
    doc.group("active_pcr_banks",
              [&] { doc.only(Code::config_unsupported, "Unsupported PCR banks '{}'", [&] { describe_banks(doc, tpm); }); });
    if (doc.reading()) tpm.has_active_pcr_banks = tpm.sha1 || tpm.sha256 || tpm.sha384 || tpm.sha512;
}

// The socket of a TPM that runs outside; a <source> that names its type itself.
void describe_external(Doc& doc, Tpm& tpm) {
    const auto describe_source = [&] {
        describe_char_type(doc, tpm.source);
        describe_char_end(doc, tpm.source.edit_first(), tpm.source.type);
    };
    doc.group("source", describe_source, Mark::required);
}

void describe_backend(Doc& doc, Tpm& tpm) {
    doc.required("type", tpm.backend, Mark::guest);
    const auto is = [&](TpmBackendType type) { return doc.when(tpm.backend == type); };
    if (is(TpmBackendType::emulator)) describe_emulator(doc, tpm);
    if (is(TpmBackendType::passthrough)) doc.group("device", [&] { doc.attribute("path", tpm.device); });
    if (is(TpmBackendType::external)) describe_external(doc, tpm);
}

} // namespace

// libvirt's order of reading.
static constexpr std::string_view tpm_order[] = {"@model", "backend"};

void describe(Doc& doc, Tpm& tpm) {
    doc.read_in_order(tpm_order);
    doc.attribute("model", tpm.model, Mark::guest | Mark::positive);
    doc.group("backend", [&] { describe_backend(doc, tpm); }, Mark::single);
    describe_info(doc, tpm.info);
    check_tpm(doc, tpm);
}

} // namespace lodge::xml
