// The dnsmasq of one network: started, adopted after a restart of the daemon, and started again when it dies by itself. It is no
// child of ours once it runs (it goes to the background when it is ready to serve), so it outlives the daemon; we watch its
// pidfd.
#pragma once
#include "drivers/network/dnsmasq_config.hpp"
#include "drivers/network/network_driver.hpp"
#include "drivers/process/process.hpp"

namespace lodge::drivers {

class Dnsmasq : public std::enable_shared_from_this<Dnsmasq> {
  public:
    Dnsmasq(Executor executor, NetworkPaths paths, xml::Network network);

    // Writes the files and starts it; returns when it serves.
    static Task<> start(std::shared_ptr<Dnsmasq> self);
    // Finds the one that runs already; starts it when there is none.
    static Task<> adopt(std::shared_ptr<Dnsmasq> self);
    static Task<> stop(std::shared_ptr<Dnsmasq> self);
    // Follows a changed document: reads its files again, or is started anew when that is not enough.
    static Task<> update(std::shared_ptr<Dnsmasq> self, xml::Network network);
    // No longer watched; goes on running.
    void forget() { abandoned_ = true; }

    const std::shared_ptr<Process>& process() const { return process_; }

  private:
    Task<> launch();
    static Task<> watch(std::weak_ptr<Dnsmasq> weak, std::shared_ptr<Process> process);
    static Task<> revive(std::weak_ptr<Dnsmasq> weak, std::chrono::milliseconds delay);
    std::shared_ptr<Process> find() const;
    void watch_process();

    Executor executor_;
    NetworkPaths paths_;
    xml::Network network_;
    DnsmasqFiles files_;
    std::shared_ptr<Process> process_;
    rpc::Signal idle_; // nobody is starting it just now
    bool stopped_ = false;
    bool abandoned_ = false; // stopped or forgotten: its end is no news
    std::chrono::milliseconds backoff_{0};
};

} // namespace lodge::drivers
