// <secret>: what a secret is for and how it is kept. Its value is no part of the document.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

enum class SecretUsage { none, volume, ceph, iscsi, tls, vtpm }; // VIR_SECRET_USAGE_TYPE_*
std::span<const std::string_view> enum_words(SecretUsage);

struct SecretUse { // <usage type='ceph'><name>client.admin</name></usage>
    SecretUsage type = SecretUsage::none;
    std::string id; // volume path, name or iSCSI target, by type
};
struct Secret {
    YesNo ephemeral; // never written to disk
    YesNo private_;  // its value is told to nobody but drivers
    rpc::Uuid uuid;
    std::string description;
    std::optional<SecretUse> use;

    SecretUsage usage_type() const { return use ? use->type : SecretUsage::none; }
    std::string usage_id() const { return use ? use->id : std::string(); }
};
void describe(Doc& doc, SecretUse& use);
void describe(Doc& doc, Secret& secret);

// A document without UUID gets one.
Secret parse_secret(const std::string& text, const ReadOptions& options = {});
std::string format_secret(const Secret& secret);

} // namespace lodge::xml
