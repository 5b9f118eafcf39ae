#include "xml/secret.hpp"

namespace lodge::xml {

std::span<const std::string_view> enum_words(SecretUsage) {
    static constexpr std::string_view words[] = {"none", "volume", "ceph", "iscsi", "tls", "vtpm"};
    return words;
}

void describe(Doc& doc, SecretUse& use) {
    using enum SecretUsage;
    doc.required("type", use.type);
    if (doc.when(use.type == volume)) doc.text_child("volume", use.id);
    if (doc.when(use.type == ceph || use.type == tls || use.type == vtpm)) doc.text_child("name", use.id);
    if (doc.when(use.type == iscsi)) doc.text_child("target", use.id);
    if (!doc.reading() || use.type == none || !use.id.empty()) return;
    static constexpr const char* missing[] = {"",
                                              "volume usage specified, but volume path is missing",
                                              "Ceph usage specified, but name is missing",
                                              "iSCSI usage specified, but target is missing",
                                              "TLS usage specified, but name is missing",
                                              "vTPM usage specified, but name is missing"};
    rpc::fail(From::secret, Code::internal_error, "{}", missing[static_cast<std::size_t>(use.type)]);
}

void describe(Doc& doc, Secret& secret) {
    doc.attribute("ephemeral", secret.ephemeral);
    doc.attribute("private", secret.private_);
    doc.text_child("uuid", secret.uuid);
    doc.text_child("description", secret.description);
    doc.child("usage", secret.use);
}

Secret parse_secret(const std::string& text, const ReadOptions& options) {
    ReadOptions own = options;
    own.from = From::secret;
    if (own.where.empty()) own.where = "(definition_of_secret)";
    auto secret = parse<Secret>(text, "secret", own);
    if (secret.uuid.is_nil()) secret.uuid = rpc::Uuid::random();
    if (secret.usage_type() == SecretUsage::none) secret.use.reset();
    return secret;
}

std::string format_secret(const Secret& secret) { return format(secret, "secret"); }

} // namespace lodge::xml
