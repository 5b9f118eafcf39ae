// Single questions and orders to a domain: foreign formats, metadata, what it does at its end, signals, sleep, secrets of its
// launch.
#include "cli/commands.hpp"
#include "cli/editor.hpp"
#include "cli/lookup.hpp"
#include "cli/parameters.hpp"
#include "cli/xml_query.hpp"

#include <algorithm>
#include <charconv>
#include <libvirt/virterror.h>

namespace lodge::cli {

namespace {

// ---- foreign formats ----

void from_native(Session& session, const Arguments& arguments) {
    const std::string config = read_document(arguments.required("config"));
    Text xml(virConnectDomainXMLFromNative(session.connection(), arguments.required("format").c_str(), config.c_str(), 0));
    if (!xml) fail_with_cause();
    session.write(xml.get());
}

void to_native(Session& session, const Arguments& arguments) {
    arguments.exclusive("domain", "xml");
    std::string xml;
    if (arguments.has("domain")) {
        Text text(virDomainGetXMLDesc(find_domain(session, arguments).get(), 0));
        if (!text) fail_with_cause("failed to retrieve XML");
        xml = text.get();
    } else if (const auto file = arguments.text("xml")) {
        xml = read_document(*file);
    } else {
        fail("need either domain or domain XML");
    }
    Text config(virConnectDomainXMLToNative(session.connection(), arguments.required("format").c_str(), xml.c_str(), 0));
    if (!config) fail_with_cause();
    session.write(config.get());
}

// ---- metadata ----

void metadata(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    arguments.exclusive("edit", "set");
    arguments.exclusive("remove", "set");
    arguments.exclusive("remove", "edit");
    auto domain = find_domain(session, arguments);
    const char* uri = arguments.required("uri").c_str();
    const auto key = arguments.text("key"), text = arguments.text("set");
    const bool remove = arguments.has("remove"), edit = arguments.has("edit");
    if ((text || edit) && !key) fail("namespace key is required when modifying metadata");
    const auto store = [&](const char* value) {
        check(virDomainSetMetadata(domain.get(), VIR_DOMAIN_METADATA_ELEMENT, value, key ? key->c_str() : nullptr, uri,
                                   affect.flags()));
    };
    const auto fetch = [&] { return Text(virDomainGetMetadata(domain.get(), VIR_DOMAIN_METADATA_ELEMENT, uri, affect.flags())); };
    if (text || remove) {
        store(text ? text->c_str() : nullptr);
        session.extra("Metadata {}\n", remove ? "removed" : "modified");
    } else if (edit) {
        const auto fetch_or_empty = [&] {
            const Text now = fetch();
            if (!now && cause_code() != VIR_ERR_NO_DOMAIN_METADATA) fail_with_cause();
            forget_cause();
            return std::string(now ? now.get() : "\n");
        };
        edit_object(session, {.fetch = fetch_or_empty,
                              .store = [&](const std::string& xml) { store(xml.c_str()); },
                              .unchanged = "Metadata not changed",
                              .edited = "Metadata modified"});
    } else {
        const Text now = fetch();
        if (!now) fail_with_cause();
        session.print("{}\n", now.get());
    }
}

// ---- a guest's end, signals, sleep ----

constexpr std::string_view ends[] = {"poweroff", "reboot", "crash"};
constexpr std::string_view actions[] = {"destroy",  "restart",          "rename-restart",
                                        "preserve", "coredump-destroy", "coredump-restart"};

template<std::size_t n> unsigned number_of(const std::string_view (&words)[n], const std::string& word, const char* what) {
    const auto* known = std::ranges::find(words, word);
    if (known == std::end(words)) fail("Invalid lifecycle {} '{}'.", what, word);
    return static_cast<unsigned>(known - words);
}

void set_lifecycle_action(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    const unsigned end = number_of(ends, arguments.required("type"), "type");
    const unsigned action = number_of(actions, arguments.required("action"), "action");
    auto domain = find_domain(session, arguments);
    check(virDomainSetLifecycleAction(domain.get(), end, action, affect.flags()), "Unable to change lifecycle action.");
}

constexpr std::string_view signals[] = {"nop",    "hup",  "int",    "quit", "ill",   "trap", "abrt", "bus",
                                        "fpe",    "kill", "usr1",   "segv", "usr2",  "pipe", "alrm", "term",
                                        "stkflt", "chld", "cont",   "stop", "tstp",  "ttin", "ttou", "urg",
                                        "xcpu",   "xfsz", "vtalrm", "prof", "winch", "poll", "pwr",  "sys"};
constexpr int first_realtime_signal = std::size(signals), realtime_signals = 33;

// "9", "kill", "SIGKILL", "VIR_DOMAIN_PROCESS_SIGNAL_KILL", "sig_kill"
unsigned signal_number(const std::string& text) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
    std::string name = text;
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    std::string_view word = name;
    for (const std::string_view prefix : {"vir_domain_process_signal_", "sig_", "sig"})
        if (word.starts_with(prefix)) {
            word.remove_prefix(prefix.size());
            break;
        }
    const auto* known = std::ranges::find(signals, word);
    if (known != std::end(signals)) return static_cast<unsigned>(known - signals);
    for (int i = 0; i < realtime_signals; ++i)
        if (word == fmt::format("rt{}", i)) return static_cast<unsigned>(first_realtime_signal + i);
    fail("malformed signal name: {}", text);
}

void send_signal(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto pid = arguments.number<long long>("pid").value_or(0);
    check(virDomainSendProcessSignal(domain.get(), pid, signal_number(arguments.required("signame")), 0));
}

void pm_suspend(Session& session, const Arguments& arguments) {
    static constexpr std::string_view targets[] = {"mem", "disk", "hybrid"};
    auto domain = find_domain(session, arguments);
    const auto duration = arguments.number<unsigned long long>("duration").value_or(0);
    const auto* target = std::ranges::find(targets, arguments.required("target"));
    if (target == std::end(targets)) fail("Invalid target");
    const char* name = virDomainGetName(domain.get());
    check(virDomainPMSuspendForDuration(domain.get(), static_cast<unsigned>(target - targets), duration, 0),
          "Domain '{}' could not be suspended", name);
    session.extra("Domain '{}' successfully suspended", name);
}

void pm_wakeup(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const char* name = virDomainGetName(domain.get());
    check(virDomainPMWakeup(domain.get(), 0), "Domain '{}' could not be woken up", name);
    session.extra("Domain '{}' successfully woken up", name);
}

// ---- launch security ----

void launch_info(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    Parameters info;
    check(virDomainGetLaunchSecurityInfo(domain.get(), info.list_out(), info.count_out(), 0),
          "Unable to get launch security parameters");
    show_parameters(session, info);
}

void set_launch_state(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto header = arguments.text("secrethdr"), secret = arguments.text("secret");
    if (!header || !secret) fail("Both secret and the secret header are required");
    Parameters state;
    state.add(VIR_DOMAIN_LAUNCH_SECURITY_SEV_SECRET_HEADER, read_document(*header));
    state.add(VIR_DOMAIN_LAUNCH_SECURITY_SEV_SECRET, read_document(*secret));
    if (const auto address = arguments.number<unsigned long long>("set-address"))
        state.add(VIR_DOMAIN_LAUNCH_SECURITY_SEV_SECRET_SET_ADDRESS, *address);
    check(virDomainSetLaunchSecurityState(domain.get(), state.list(), state.count(), 0), "Unable to set launch security state");
}

// ---- memory devices ----

void update_memory_device(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    arguments.exclusive("node", "alias");
    auto domain = find_domain(session, arguments);
    const auto document = document_of(domain.get(), affect.config ? VIR_DOMAIN_XML_INACTIVE : 0);
    const auto node = arguments.number<unsigned>("node");
    const auto alias = arguments.text("alias");
    std::vector<pugi::xml_node> found;
    for (const auto device : document.child("domain").child("devices").children("memory")) {
        const auto target_node = device.child("target").child("node");
        if (node && (!target_node || target_node.text().as_uint() != *node)) continue;
        if (!node && alias && *alias != device.child("alias").attribute("name").value()) continue;
        found.push_back(device);
    }
    if (found.empty()) fail("no memory device found");
    if (found.size() > 1) fail("multiple memory devices found, use --alias or --node to select one");
    if (const auto bytes = arguments.scaled("requested-size", 1024)) {
        auto requested = found[0].child("target").child("requested");
        if (!requested) fail("virtio-mem device is missing <requested/>");
        requested.text() = *bytes / 1024 + (*bytes % 1024 != 0);
    }
    if (arguments.has("print-xml")) {
        const auto shown = format_shown(found[0], '"');
        return session.write(shown.substr(0, shown.find_last_not_of('\n') + 1));
    }
    check(virDomainUpdateDeviceFlags(domain.get(), format_document(found[0]).c_str(), affect.flags()));
}

} // namespace

const std::vector<Command>& domain_misc_commands() {
    static const std::vector<Command> rows = {
        {.name = "domxml-from-native",
         .group = Group::domain,
         .help = "Convert native config to domain XML",
         .description = "Convert native guest configuration format to domain XML format.",
         .options = {need("format", "source config data format"),
                     need("config", "config data file to import from", Complete::file)},
         .run = from_native},
        {.name = "domxml-to-native",
         .group = Group::domain,
         .help = "Convert domain XML to native config",
         .description = "Convert domain XML config to a native guest configuration format.",
         .options = {need("format", "target config data type format"),
                     text("domain", "domain name, id or uuid").completed(Complete::domain).named(),
                     text("xml", "xml data file to export from").completed(Complete::file)},
         .run = to_native},
        {.name = "metadata",
         .group = Group::domain,
         .help = "show or set domain's custom XML metadata",
         .description = "Shows or modifies the XML metadata of a domain.",
         .options = {the_domain(), need("uri", "URI of the namespace"), flag("live", "modify/get running state"),
                     flag("config", "modify/get persistent configuration"),
                     flag("current", "modify/get current state configuration"),
                     flag("edit", "use an editor to change the metadata"),
                     text("key", "key to be used as a namespace identifier"), text("set", "new metadata to set"),
                     flag("remove", "remove the metadata corresponding to an uri")},
         .run = metadata},
        {.name = "set-lifecycle-action",
         .group = Group::domain,
         .help = "change lifecycle actions",
         .description = "Change lifecycle actions for the guest domain.",
         .options = with_affect({the_domain(), need("type", "lifecycle type to modify").choices("poweroff reboot crash"),
                                 need("action", "lifecycle action to set")
                                     .choices("destroy restart rename-restart preserve coredump-destroy coredump-restart")}),
         .run = set_lifecycle_action},
        {.name = "send-process-signal",
         .group = Group::domain,
         .help = "Send signals to processes",
         .description = "Send signals to processes in the guest",
         .options = {the_domain(), need("pid", "the process ID"), need("signame", "the signal number or name")},
         .run = send_signal},
        {.name = "dompmsuspend",
         .group = Group::domain,
         .help = "suspend a domain gracefully using power management functions",
         .description = "Suspends a running domain using guest OS's power management. (Note: This requires a guest agent "
                        "configured and running in the guest OS).",
         .options =
             {the_domain(),
              need("target", "mem(Suspend-to-RAM), disk(Suspend-to-Disk), hybrid(Hybrid-Suspend)").choices("mem disk hybrid"),
              number("duration", "duration in seconds").named()},
         .run = pm_suspend},
        {.name = "dompmwakeup",
         .group = Group::domain,
         .help = "wakeup a domain from pmsuspended state",
         .description = "Wakeup a domain that was previously suspended by power management.",
         .options = {the_domain()},
         .run = pm_wakeup},
        {.name = "domlaunchsecinfo",
         .group = Group::domain,
         .help = "Get domain launch security info",
         .description = "Get the launch security parameters for a guest domain",
         .options = {the_domain()},
         .run = launch_info},
        {.name = "domsetlaunchsecstate",
         .group = Group::domain,
         .help = "Set domain launch security state",
         .description = "Set a secret in the guest domain's memory",
         .options = {the_domain(),
                     text("secrethdr", "path to file containing the secret header").completed(Complete::file).named(),
                     text("secret", "path to file containing the secret").completed(Complete::file).named(),
                     number("set-address", "physical address within the guest domain's memory to set the secret")},
         .run = set_launch_state},
        {.name = "update-memory-device",
         .group = Group::domain,
         .help = "update memory device of a domain",
         .description = "Update values of a memory device of a domain",
         .options = {the_domain(), flag("config", "affect next boot"), flag("live", "affect running domain"),
                     flag("current", "affect current domain"),
                     flag("print-xml", "print updated memory device XML instead of executing the change"),
                     text("alias", "memory device alias"), number("node", "memory device target node"),
                     number("requested-size", "new value of <requested/> size, as scaled integer (default KiB)")},
         .run = update_memory_device},
    };
    return rows;
}

} // namespace lodge::cli
