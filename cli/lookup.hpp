// From the word a user typed to the object: by id, UUID or name, with virsh's words when there is none.
#pragma once
#include "cli/handles.hpp"
#include "cli/session.hpp"

namespace lodge::cli {

enum class By { any, id_or_name, id_or_uuid, name_or_uuid };

Domain find_domain(Session& session, const Arguments& arguments, By by = By::any);
Domain find_domain(virConnectPtr connection, const std::string& word, By by = By::any);
Network find_network(Session& session, const Arguments& arguments, By by = By::any);
Interface find_interface(Session& session, const std::string& word, By by = By::any);
// By name, or by "wwnn,wwpn" of a SCSI host.
NodeDevice find_node_device(Session& session, const Arguments& arguments);

Pool find_pool(Session& session, const Arguments& arguments, By by = By::any);
Pool find_pool(Session& session, const std::string& word, By by = By::any);
// By name within --pool, else by key or path; without --pool an error advises it, where the command has it. 'pool_option' is
// what the command calls it.
Volume find_volume(Session& session, const Arguments& arguments, bool advise_pool = true, std::string_view pool_option = "pool");

// A whole file of XML, or what follows '<' itself where 'inline_too' says so.
std::string read_document(const std::string& path, bool inline_too = false);

// --current, --live and --config as libvirt's flags, after virsh's checks.
struct Affect {
    bool current, live, config;
    unsigned flags() const;
};
Affect affect_of(const Arguments& arguments);
// The same for attach, detach and update, where --persistent means "now and later".
unsigned device_flags(const Arguments& arguments, virDomainPtr domain);

} // namespace lodge::cli
