// Packet filter and address translation of a network: one nftables table of its own, "inet lodge_BRIDGE", replaced and removed as
// a whole in one transaction, so no half of it is ever seen and nothing of it is left behind.
//
// What an own table cannot do: an "accept" there ends only our own chain; the verdict of a packet is the strictest of all tables.
// So restrictions of ours always hold, but a FORWARD chain of iptables with policy DROP (Docker sets it, ufw too) still eats our
// guests' packets. Where such a chain exists, the bridge is also let through there, in DOCKER-USER where Docker made it (Docker
// leaves that chain alone for ever) or else at the head of FORWARD; what guests may do is still decided by our table. The same
// for DHCP and DNS in INPUT. FirewallGuard sees others flush or create chains and puts ours back.
#pragma once
#include "rpc/task.hpp"
#include "xml/network.hpp"

namespace lodge::drivers {

// Whether a table of that name stands already. A ruleset for `no` is refused by the kernel where one does, and is three times as
// quick where none does: a transaction that also deletes waits until no processor looks at the old rules any more.
enum class TableThere { maybe, no };

// The whole ruleset for `nft -f -`; empty when the network needs none (forward mode open).
std::string firewall_rules(const xml::Network& network, TableThere there = TableThere::maybe);
std::string firewall_table(const std::string& bridge);

// Chains of iptables that drop what they do not know.
struct ForeignChains {
    bool input = false, forward = false, output = false;
    bool docker_user = false;
    bool legacy = false; // the kernel side from before nftables
    bool any() const { return input || forward || output; }
    bool operator==(const ForeignChains&) const = default;
};
struct FirewallState {
    ForeignChains v4, v6;
    std::vector<std::string> tables; // of family inet
};
// By netlink, without a child process.
FirewallState look_at_firewall();

// `table` false: only the rules in others' chains.
rpc::Task<> apply_firewall(xml::Network network, bool table = true);
// No error when it is gone already.
rpc::Task<> remove_firewall(std::string bridge);

// Tells when somebody changed nftables; a burst of changes is told once, when it has been quiet for a moment.
class FirewallGuard {
  public:
    FirewallGuard(rpc::Executor executor, std::function<void()> changed);
    ~FirewallGuard();

  private:
    struct Watch;
    std::shared_ptr<Watch> watch_;
};

} // namespace lodge::drivers
