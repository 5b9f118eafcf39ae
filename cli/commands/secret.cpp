#include "cli/commands.hpp"
#include "cli/event_watch.hpp"
#include "cli/lookup.hpp"
#include "cli/xpath.hpp"

#include <bit>
#include <openssl/evp.h>
#include <unistd.h>

namespace lodge::cli {

namespace {

Secret named(Session& session, const Arguments& arguments) {
    const auto& word = arguments.required("secret");
    Secret secret(virSecretLookupByUUIDString(session.connection(), word.c_str()));
    if (!secret) fail_with_cause("failed to get secret '{}'", word);
    return secret;
}

std::string uuid_text(virSecretPtr secret) {
    char text[VIR_UUID_STRING_BUFLEN] = {};
    check(virSecretGetUUIDString(secret, text), "{}", "Failed to get uuid of secret");
    return text;
}

// "ceph client.admin"
std::string usage_text(virSecretPtr secret) {
    static constexpr std::string_view types[] = {"none", "volume", "ceph", "iscsi", "tls", "vtpm"};
    const auto type = static_cast<std::size_t>(virSecretGetUsageType(secret));
    if (type == 0) return "Unused";
    return fmt::format("{} {}", type < std::size(types) ? types[type] : "unknown", virSecretGetUsageID(secret));
}

void show_list(Session& session, const Arguments& arguments) {
    unsigned flags = 0;
    if (arguments.has("ephemeral")) flags |= VIR_CONNECT_LIST_SECRETS_EPHEMERAL;
    if (arguments.has("no-ephemeral")) flags |= VIR_CONNECT_LIST_SECRETS_NO_EPHEMERAL;
    if (arguments.has("private")) flags |= VIR_CONNECT_LIST_SECRETS_PRIVATE;
    if (arguments.has("no-private")) flags |= VIR_CONNECT_LIST_SECRETS_NO_PRIVATE;
    auto found = collect<Secret>(virConnectListAllSecrets, session.connection(), flags, "Failed to list secrets");
    std::map<std::string, std::string> usages; // by UUID
    for (const auto& secret : found) usages[uuid_text(secret.get())] = usage_text(secret.get());
    Table table({{"uuid", "UUID"}, {"usage", "Usage"}});
    for (const auto& [uuid, usage] : usages) table.add({uuid, usage});
    session.show(table);
}

void define(Session& session, const Arguments& arguments) {
    const auto& file = arguments.required("file");
    auto xml = read_document(file);
    Secret secret(
        virSecretDefineXML(session.connection(), xml.c_str(), arguments.has("validate") ? VIR_SECRET_DEFINE_VALIDATE : 0));
    if (!secret) fail_with_cause("Failed to set attributes from {}", file);
    session.extra("Secret {} created\n", uuid_text(secret.get()));
}

void dumpxml(Session& session, const Arguments& arguments) {
    auto secret = named(session, arguments);
    Text xml(virSecretGetXMLDesc(secret.get(), 0));
    if (!xml) fail_with_cause();
    show_document(session, arguments, xml.get());
}

void undefine(Session& session, const Arguments& arguments) {
    auto secret = named(session, arguments);
    const auto uuid = uuid_text(secret.get());
    check(virSecretUndefine(secret.get()), "Failed to delete secret {}", uuid);
    session.extra("Secret {} deleted\n", uuid);
}

// ---- values ----

std::string to_base64(const std::string& bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    text.resize(static_cast<std::size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                                         reinterpret_cast<const unsigned char*>(bytes.data()),
                                                         static_cast<int>(bytes.size()))));
    return text;
}

std::string from_base64(std::string text) {
    std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
    std::string bytes(text.size() + 1, '\0');
    const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                       reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
    if (length < 0) fail("{}", "the secret's value is no base64; --plain takes it as it is");
    bytes.resize(static_cast<std::size_t>(length) - static_cast<std::size_t>(std::ranges::count(text, '=')));
    return bytes;
}

void set_value(Session& session, const Arguments& arguments) {
    for (const char* other : {"file", "plain", "interactive"}) arguments.exclusive(other, "base64");
    arguments.exclusive("interactive", "plain");
    arguments.exclusive("interactive", "file");
    auto secret = named(session, arguments);
    std::string value;
    bool plain = arguments.has("plain");
    if (auto text = arguments.text("base64")) {
        session.error("Passing secret value as command-line argument is insecure!");
        value = *text;
    } else if (auto file = arguments.text("file")) {
        value = read_document(*file);
    } else if (arguments.has("interactive")) {
        session.flush();
        const char* typed = ::getpass("Enter new value for secret:");
        if (!typed) fail("{}", "Failed to read secret");
        value = typed;
        plain = true;
    } else {
        fail("{}", "Input secret value is missing");
    }
    if (!plain) value = from_base64(std::move(value));
    check(virSecretSetValue(secret.get(), reinterpret_cast<const unsigned char*>(value.data()), value.size(), 0), "{}",
          "Failed to set secret value");
    session.extra("{}", "Secret value set\n");
}

void get_value(Session& session, const Arguments& arguments) {
    auto secret = named(session, arguments);
    std::size_t size = 0;
    std::unique_ptr<unsigned char, Releaser<::free>> value(virSecretGetValue(secret.get(), &size, 0));
    if (!value) fail_with_cause();
    const std::string bytes(reinterpret_cast<const char*>(value.get()), size);
    if (arguments.has("plain"))
        session.write(bytes);
    else
        session.show_value(to_base64(bytes), "");
}

// ---- events ----

void lifecycle(virConnectPtr, virSecretPtr secret, int event, int, void* opaque) {
    constexpr std::string_view words[] = {"Defined", "Undefined"};
    const auto word = event >= 0 && event < 2 ? words[event] : "unknown";
    static_cast<Watch*>(opaque)->tell("secret", "lifecycle", uuid_text(secret), fmt::format(": {}", word), false);
}
void value_changed(virConnectPtr, virSecretPtr secret, void* opaque) {
    static_cast<Watch*>(opaque)->tell("secret", "value-changed", uuid_text(secret), "", false);
}

void event(Session& session, const Arguments& arguments) {
    const auto wanted = wanted_event(session, arguments, {"lifecycle", "value-changed"});
    if (!wanted) return;
    const bool changes = *wanted == "value-changed";
    Secret secret = arguments.has("secret") ? named(session, arguments) : nullptr;
    Watch watch(session, arguments);
    Registrations registered(session.connection());
    registered.add(
        check(virConnectSecretEventRegisterAny(session.connection(), secret.get(),
                                               changes ? VIR_SECRET_EVENT_ID_VALUE_CHANGED : VIR_SECRET_EVENT_ID_LIFECYCLE,
                                               changes ? std::bit_cast<virConnectSecretEventGenericCallback>(&value_changed)
                                                       : std::bit_cast<virConnectSecretEventGenericCallback>(&lifecycle),
                                               &watch, nullptr)),
        virConnectSecretEventDeregisterAny);
    if (!watch.wait()) throw NothingReceived();
}

} // namespace

const std::vector<Command>& secret_commands() {
    static const std::vector<Command> rows = {
        {.name = "secret-define",
         .group = Group::secret,
         .help = "define or modify a secret from an XML file",
         .description = "Define or modify a secret.",
         .options = {need("file", "file containing secret attributes in XML", Complete::file),
                     flag("validate", "validate the XML against the schema")},
         .run = define},
        {.name = "secret-dumpxml",
         .group = Group::secret,
         .help = "secret attributes in XML",
         .description = "Output attributes of a secret as an XML dump to stdout.",
         .options = {need("secret", "secret UUID", Complete::secret),
                     text("xpath", "xpath expression to filter the XML document").named(),
                     flag("wrap", "wrap xpath results in an common root element")},
         .run = dumpxml},
        {.name = "secret-event",
         .group = Group::secret,
         .help = "Secret Events",
         .description = "List event types, or wait for secret events to occur",
         .options = {text("secret", "filter by secret name or uuid").completed(Complete::secret),
                     text("event", "which event type to wait for").choices("lifecycle value-changed"),
                     flag("loop", "loop until timeout or interrupt, rather than one-shot"), number("timeout", "timeout seconds"),
                     flag("list", "list valid event types"), flag("timestamp", "show timestamp for each printed event")},
         .run = event,
         .needs = Need::events},
        {.name = "secret-get-value",
         .group = Group::secret,
         .help = "Output a secret value",
         .description = "Output a secret value to stdout.",
         .options = {need("secret", "secret UUID", Complete::secret), flag("plain", "get value without converting to base64")},
         .run = get_value},
        {.name = "secret-list",
         .group = Group::secret,
         .help = "list secrets",
         .description = "Returns a list of secrets",
         .options = {flag("ephemeral", "list ephemeral secrets"), flag("no-ephemeral", "list non-ephemeral secrets"),
                     flag("private", "list private secrets"), flag("no-private", "list non-private secrets")},
         .run = show_list},
        {.name = "secret-set-value",
         .group = Group::secret,
         .help = "set a secret value",
         .description = "Set a secret value.",
         .options = {need("secret", "secret UUID", Complete::secret),
                     text("file", "read secret from file").completed(Complete::file).named(),
                     flag("plain", "read the secret from file without converting from base64"),
                     flag("interactive", "read the secret from the terminal"), text("base64", "base64-encoded secret value")},
         .run = set_value},
        {.name = "secret-undefine",
         .group = Group::secret,
         .help = "undefine a secret",
         .description = "Undefine a secret.",
         .options = {need("secret", "secret UUID", Complete::secret)},
         .run = undefine},
    };
    return rows;
}

} // namespace lodge::cli
