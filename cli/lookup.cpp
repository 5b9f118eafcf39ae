#include "cli/lookup.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <libvirt/virterror.h>
#include <sstream>

namespace lodge::cli {

namespace {

bool looks_like_uuid(const std::string& word) { return word.size() == VIR_UUID_STRING_BUFLEN - 1; }

// "no such domain" says nothing that our own line does not; any other cause is worth telling.
[[noreturn]] void not_found(const char* what, const std::string& word) {
    if (cause_code() == VIR_ERR_NO_DOMAIN) fail("failed to get {} '{}'", what, word);
    fail_with_cause("failed to get {} '{}'", what, word);
}

} // namespace

Domain find_domain(virConnectPtr connection, const std::string& word, By by) {
    Domain found;
    int id = -1;
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    bool numeric = error == std::errc() && end == word.data() + word.size() && id >= 0;
    if (by != By::name_or_uuid && numeric) found.reset(virDomainLookupByID(connection, id));
    if (!found && by != By::id_or_name && looks_like_uuid(word))
        found.reset(virDomainLookupByUUIDString(connection, word.c_str()));
    if (!found && by != By::id_or_uuid) found.reset(virDomainLookupByName(connection, word.c_str()));
    if (!found) not_found("domain", word);
    forget_cause();
    return found;
}

Domain find_domain(Session& session, const Arguments& arguments, By by) {
    return find_domain(session.connection(), arguments.required("domain"), by);
}

Network find_network(Session& session, const Arguments& arguments, By by) {
    const auto& word = arguments.required("network");
    Network found;
    if (by != By::id_or_name && looks_like_uuid(word))
        found.reset(virNetworkLookupByUUIDString(session.connection(), word.c_str()));
    if (!found && by != By::id_or_uuid) found.reset(virNetworkLookupByName(session.connection(), word.c_str()));
    if (!found) not_found("network", word);
    forget_cause();
    return found;
}

Interface find_interface(Session& session, const std::string& word, By by) {
    Interface found;
    if (by != By::id_or_uuid) found.reset(virInterfaceLookupByName(session.connection(), word.c_str()));
    bool is_mac = std::ranges::count(word, ':') == 5;
    if (!found && by != By::id_or_name && (is_mac || by == By::id_or_uuid))
        found.reset(virInterfaceLookupByMACString(session.connection(), word.c_str()));
    if (!found) not_found("interface", word);
    forget_cause();
    return found;
}

NodeDevice find_node_device(Session& session, const Arguments& arguments) {
    const auto& word = arguments.required("device");
    NodeDevice device;
    const auto comma = word.find(',');
    if (comma == std::string::npos)
        device.reset(virNodeDeviceLookupByName(session.connection(), word.c_str()));
    else
        device.reset(virNodeDeviceLookupSCSIHostByWWN(session.connection(), word.substr(0, comma).c_str(),
                                                      word.substr(comma + 1).c_str(), 0));
    if (!device) fail_with_cause("Could not find matching device '{}'", word);
    return device;
}

Pool find_pool(Session& session, const Arguments& arguments, By by) { return find_pool(session, arguments.required("pool"), by); }

Pool find_pool(Session& session, const std::string& word, By by) {
    Pool found;
    if (by != By::id_or_name && looks_like_uuid(word))
        found.reset(virStoragePoolLookupByUUIDString(session.connection(), word.c_str()));
    if (!found && by != By::id_or_uuid) found.reset(virStoragePoolLookupByName(session.connection(), word.c_str()));
    if (!found) not_found("pool", word);
    forget_cause();
    return found;
}

Volume find_volume(Session& session, const Arguments& arguments, bool advise_pool, std::string_view pool_option) {
    const auto& word = arguments.required("vol");
    Volume found;
    if (arguments.has(pool_option)) {
        auto pool = find_pool(session, arguments.required(pool_option));
        check(virStoragePoolIsActive(pool.get()));
        found.reset(virStorageVolLookupByName(pool.get(), word.c_str()));
    }
    if (!found) found.reset(virStorageVolLookupByKey(session.connection(), word.c_str()));
    if (!found) found.reset(virStorageVolLookupByPath(session.connection(), word.c_str()));
    if (!found && advise_pool && !arguments.has(pool_option))
        fail_with_cause("failed to get vol '{}', specifying --{} might help", word, pool_option);
    if (!found) not_found("vol", word);
    forget_cause();
    return found;
}

std::string read_document(const std::string& path, bool inline_too) {
    if (inline_too && path.starts_with('<')) return path;
    std::ifstream file(path, std::ios::binary);
    if (!file) fail("Failed to open file '{}': {}", path, std::strerror(errno));
    std::ostringstream text;
    if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
    if (file.bad()) fail("Failed to read file '{}': {}", path, std::strerror(errno));
    return text.str();
}

unsigned Affect::flags() const { return (live ? VIR_DOMAIN_AFFECT_LIVE : 0u) | (config ? VIR_DOMAIN_AFFECT_CONFIG : 0u); }

Affect affect_of(const Arguments& arguments) {
    arguments.exclusive("current", "live");
    arguments.exclusive("current", "config");
    return {arguments.has("current"), arguments.has("live"), arguments.has("config")};
}

unsigned device_flags(const Arguments& arguments, virDomainPtr domain) {
    arguments.exclusive("persistent", "current");
    auto flags = affect_of(arguments).flags();
    if (arguments.has("persistent")) {
        flags |= VIR_DOMAIN_AFFECT_CONFIG;
        if (check(virDomainIsActive(domain)) == 1) flags |= VIR_DOMAIN_AFFECT_LIVE;
    }
    return flags;
}

} // namespace lodge::cli
