#include "xml/domain/check.hpp"

namespace lodge::xml {

void describe(Doc& doc, SecLabel& s) {
    doc.attribute("type", s.type);
    doc.attribute("model", s.model);
    doc.attribute("relabel", s.relabel);
    if (doc.when(s.type == SecLabelType::static_)) doc.text_child("label", s.label);
    if (doc.when(s.type != SecLabelType::static_)) doc.text_child("label", s.label, Mark::live); // the host gave it
    doc.text_child("imagelabel", s.image_label, Mark::live);
    doc.text_child("baselabel", s.base_label);
}

void describe(Doc& doc, LaunchSecurity& l) {
    doc.required("type", l.type);
    doc.attribute("kernelHashes", l.kernel_hashes);
    doc.text_child("cbitpos", l.cbitpos);
    doc.text_child("reducedPhysBits", l.reduced_phys_bits);
    doc.text_child("policy", l.policy);
    doc.text_child("dhCert", l.dh_cert);
    doc.text_child("session", l.session);
}

static void describe(Doc& doc, KeyCipher& c) {
    doc.required("name", c.name);
    doc.required("state", c.state);
}
void describe(Doc& doc, KeyWrap& k) {
    doc.list("cipher", k.ciphers);
    doc.check("cipher", [&] {
        std::set<std::string> names;
        for (const auto& [name, state] : k.ciphers) {
            if (name != "aes" && name != "dea")
                rpc::fail(From::xml, Code::xml_error, "Invalid value for attribute 'name' in element 'cipher': '{}'.", name);
            if (!names.insert(name).second)
                malformed("A domain definition can have no more than one cipher node with name {}", name);
        }
    });
}

static void describe(Doc& doc, IdRange& r) {
    doc.required("start", r.start);
    doc.required("target", r.target);
    doc.required("count", r.count);
}
void describe(Doc& doc, IdMap& m) {
    doc.list("uid", m.uids);
    doc.list("gid", m.gids);
}

} // namespace lodge::xml
