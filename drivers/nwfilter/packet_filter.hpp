// The packet filter of one interface of a guest: an nftables table of its own, "bridge lodge_DEVICE", replaced and removed as a
// whole in one transaction, so no packet ever meets half of it.
//
// What the guest sends goes through chains named out_…, what it gets through in_…; each begins at a root chain, in which rules
// and the jumps to other chains stand by priority. Rules about connections (tcp, icmp, all …) have root chains of their own
// behind these, because a frame must please both.
#pragma once
#include "drivers/nwfilter/expand.hpp"
#include "rpc/task.hpp"

namespace lodge::drivers {

// The whole ruleset for `nft -f -`. `mac` is the guest's: whose address is learned where a rule wants that.
std::string packet_filter_rules(const std::string& device, const std::string& mac, const std::vector<PlacedRule>& rules);

rpc::Task<> apply_packet_filter(std::string ruleset);
// No error when there is none.
rpc::Task<> remove_packet_filter(std::string device);

} // namespace lodge::drivers
