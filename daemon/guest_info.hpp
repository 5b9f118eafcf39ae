// What a guest's agent tells, as clients read it: typed parameters and structs out of the agent's JSON. Pure; an agent that talks
// nonsense is Code::internal_error.
#pragma once
#include "rpc/generated/remote.hpp"
#include "xml/domain/domain.hpp"
#include <nlohmann/json_fwd.hpp>

namespace lodge::daemon::guest_info {

using Params = std::vector<rpc::TypedParam>;

void add_users(Params& out, const nlohmann::json& answer);                                  // guest-get-users
void add_os(Params& out, const nlohmann::json& answer);                                     // guest-get-osinfo
void add_timezone(Params& out, const nlohmann::json& answer);                               // guest-get-timezone
void add_filesystems(Params& out, const nlohmann::json& answer, const xml::Domain& domain); // guest-get-fsinfo
void add_disks(Params& out, const nlohmann::json& answer, const xml::Domain& domain);       // guest-get-disks
void add_interfaces(Params& out, const nlohmann::json& answer);                             // guest-network-get-interfaces

std::vector<rpc::remote::DomainFsinfo> filesystems(const nlohmann::json& answer, const xml::Domain& domain);
std::vector<rpc::remote::DomainInterface> interfaces(const nlohmann::json& answer);

} // namespace lodge::daemon::guest_info
