#include "daemon/secrets.hpp"
#include "daemon/store.hpp"
#include "rpc/base64.hpp"
#include "rpc/generated/constants.hpp"
#include "rpc/log.hpp"
#include <cstring>

namespace lodge::daemon {

namespace api = rpc::api;
namespace remote = rpc::remote;

template<class... Args> [[noreturn]] static void fail_secret(Code code, fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(From::secret, code, format, std::forward<Args>(args)...);
}

// ---- one secret ----

remote::NonnullSecret Secret::wire() const {
    return {document.uuid, static_cast<std::int32_t>(document.usage_type()), document.usage_id()};
}

const std::string& Secret::value() const {
    if (!value_) fail_secret(Code::no_secret, "secret '{}' does not have a value", uuid().text());
    return *value_;
}

void Secret::set_value(std::optional<std::string> value) {
    if (value_) explicit_bzero(value_->data(), value_->size());
    value_ = std::move(value);
}

// ---- look-ups ----

SecretPtr Secrets::find(const rpc::Uuid& uuid) const {
    const auto found = secrets_.find(uuid);
    if (found == secrets_.end()) fail_secret(Code::no_secret, "no secret with matching uuid '{}'", uuid.text());
    return found->second;
}

// Secrets without usage are not to be found by it.
SecretPtr Secrets::with_usage(xml::SecretUsage type, const std::string& id) const {
    if (type == xml::SecretUsage::none) return nullptr;
    for (const auto& [uuid, secret] : secrets_)
        if (secret->document.usage_type() == type && secret->document.usage_id() == id) return secret;
    return nullptr;
}

SecretPtr Secrets::find_usage(xml::SecretUsage type, const std::string& id) const {
    auto secret = with_usage(type, id);
    if (!secret) fail_secret(Code::no_secret, "no secret with matching usage '{}'", id);
    return secret;
}

// A group of filters of which none is set, or both are, asks for nothing.
static bool matches(unsigned filter, unsigned yes, unsigned no, bool fact) {
    return (filter & (yes | no)) == 0 || (filter & (fact ? yes : no)) != 0;
}

std::vector<SecretPtr> Secrets::list(unsigned filter) const {
    std::vector<SecretPtr> found;
    for (const auto& [uuid, secret] : secrets_)
        if (matches(filter, api::connect_list_secrets_ephemeral, api::connect_list_secrets_no_ephemeral,
                    secret->document.ephemeral) &&
            matches(filter, api::connect_list_secrets_private, api::connect_list_secrets_no_private, secret->document.private_))
            found.push_back(secret);
    return found;
}

std::string Secrets::by_uuid(const rpc::Uuid& uuid, xml::SecretUsage type) const {
    const auto secret = find(uuid);
    const auto own = secret->document.usage_type();
    if (own != xml::SecretUsage::none && own != type)
        fail_secret(Code::invalid_arg, "secret with uuid {} is of type '{}' not expected '{}' type", uuid.text(), xml::word(own),
                    xml::word(type));
    return secret->value();
}

std::string Secrets::by_usage(xml::SecretUsage type, const std::string& id) const { return find_usage(type, id)->value(); }

// ---- changes ----

void Secrets::emit(const Secret& secret, int event) {
    host_.events().emit<remote::SecretEventLifecycleCall>(
        EventKind::secret, api::secret_event_id_lifecycle, nullptr, secret.uuid(),
        {.callbackID = 0, .secret = secret.wire(), .event = event, .detail = 0});
}

// What a secret is for stays as it is, and nobody else has the same; what was private does not become public.
void Secrets::check_conflict(const xml::Secret& document) const {
    if (const auto found = secrets_.find(document.uuid); found != secrets_.end()) {
        const auto& before = found->second->document;
        if (before.usage_id() != document.usage_id())
            fail_secret(Code::internal_error, "a secret with UUID {} is already defined for use with {}", document.uuid.text(),
                        before.usage_id());
        if (before.private_ && !document.private_)
            fail_secret(Code::internal_error, "cannot change private flag on existing secret");
        return;
    }
    if (const auto other = with_usage(document.usage_type(), document.usage_id()))
        fail_secret(Code::internal_error, "a secret with UUID {} already defined for use with {}", other->uuid().text(),
                    other->document.usage_id());
}

// A value stands on disk only beside its definition: written before it, removed after it.
Task<> Secrets::store(xml::Secret document, SecretPtr before) {
    const bool was_stored = before && !before->document.ephemeral;
    if (document.ephemeral) {
        if (!was_stored) co_return;
        co_await store::remove(definition_file(document.uuid));
        co_await store::remove(value_file(document.uuid));
        co_return;
    }
    if (before && !was_stored && before->has_value())
        co_await store::replace(value_file(document.uuid), rpc::to_base64(before->value()));
    co_await store::replace(definition_file(document.uuid), xml::format_secret(document));
}

Task<SecretPtr> Secrets::define(xml::Secret document) {
    auto job = co_await acquire("virSecretDefineXML");
    check_conflict(document);
    const auto found = secrets_.find(document.uuid);
    auto secret = found == secrets_.end() ? nullptr : found->second;
    co_await store(document, secret);
    if (secret)
        secret->document = std::move(document);
    else
        secret = secrets_[document.uuid] = std::make_shared<Secret>(document);
    emit(*secret, api::secret_event_defined);
    co_return secret;
}

Task<> Secrets::undefine(rpc::Uuid uuid) {
    auto job = co_await acquire("virSecretUndefine");
    const auto secret = find(uuid);
    co_await store::remove(definition_file(uuid));
    co_await store::remove(value_file(uuid));
    secrets_.erase(uuid);
    emit(*secret, api::secret_event_undefined);
}

Task<> Secrets::set_value(rpc::Uuid uuid, std::string value) {
    auto job = co_await acquire("virSecretSetValue");
    const auto secret = find(uuid);
    if (!secret->document.ephemeral) co_await store::replace(value_file(uuid), rpc::to_base64(value));
    secret->set_value(std::move(value));
    host_.events().emit<remote::SecretEventValueChangedCall>(EventKind::secret, api::secret_event_id_value_changed, nullptr, uuid,
                                                             {.callbackID = 0, .secret = secret->wire()});
}

// ---- files ----

std::string Secrets::definition_file(const rpc::Uuid& uuid) const {
    return host_.paths().etc + "/secrets/" + uuid.text() + ".xml";
}
std::string Secrets::value_file(const rpc::Uuid& uuid) const { return host_.paths().etc + "/secrets/" + uuid.text() + ".base64"; }

void Secrets::load_one(const std::string& text, const std::string& name, const std::string& path) {
    auto document = xml::parse_secret(text, {.from = From::secret, .where = path});
    if (document.uuid.text() != name) fail_secret(Code::internal_error, "<uuid> does not match secret file name '{}.xml'", name);
    check_conflict(document);
    secrets_[document.uuid] = std::make_shared<Secret>(std::move(document));
}

Task<> Secrets::load() {
    const std::string folder = host_.paths().etc + "/secrets";
    const auto [definitions, values] = co_await rpc::blocking_result(
        [folder] { return std::pair(store::read_folder(folder), store::read_folder(folder, ".base64")); });
    for (const auto& file : definitions) {
        try {
            if (!file.error.empty()) fail_secret(Code::internal_error, "{}", file.error);
            load_one(file.text, file.name, file.path);
        } catch (const std::exception& error) {
            log::error("cannot load secret {}: {}", file.path, error.what());
        }
    }
    for (const auto& file : values) {
        const auto uuid = rpc::Uuid::parse(file.name);
        const auto secret = uuid ? secrets_.find(*uuid) : secrets_.end();
        if (secret == secrets_.end()) continue; // left behind by an undefine that was broken off
        auto value = file.error.empty() ? rpc::from_base64(file.text) : std::nullopt;
        if (!value)
            log::error("cannot load the value of secret {}: {}", file.path, file.error.empty() ? "no base64" : file.error);
        secret->second->set_value(std::move(value));
    }
}

} // namespace lodge::daemon
