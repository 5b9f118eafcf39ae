// The devices of the host by name. They are looked for when somebody first asks; from then on the list follows what udev tells.
// Control thread only.
#pragma once
#include "daemon/host.hpp"
#include "drivers/nodedev/device_watch.hpp"
#include "rpc/generated/remote.hpp"
#include <deque>

namespace lodge::daemon {

using NodeDevicePtr = std::shared_ptr<const xml::NodeDevice>;

class NodeDevices {
  public:
    explicit NodeDevices(Host& host);
    ~NodeDevices();

    // Waits for the first look to end. Before everything else.
    Task<> ready();

    // Throws Code::no_node_device.
    NodeDevicePtr find(const std::string& name) const;
    // The same, looked at anew: drivers are bound and links go up without anybody saying so.
    Task<NodeDevicePtr> look(std::string name);
    // By VIR_CONNECT_LIST_NODE_DEVICES_*; 0: all.
    std::vector<NodeDevicePtr> list(unsigned filter) const;
    std::vector<NodeDevicePtr> with_capability(const std::string& word) const; // empty: all; unknown: none

    // Subscriptions to one object know it by UUID; devices have names only, which make one.
    static rpc::Uuid event_key(const std::string& name);

  private:
    void put(xml::NodeDevice device);
    void remove(const std::string& path);
    std::string parent_of(const std::string& path) const;
    void on_change(drivers::DeviceChange change);
    Task<> follow();
    Task<> apply(drivers::DeviceChange change);
    void emit_lifecycle(const std::string& name, int event);
    void emit_update(const std::string& name);

    Host& host_;
    std::map<std::string, NodeDevicePtr> devices_;
    std::map<std::string, std::string> names_; // by path of /sys
    std::unique_ptr<drivers::DeviceWatch> watch_;
    std::deque<drivers::DeviceChange> changes_; // not looked at yet, in order
    bool following_ = false;
    rpc::Signal found_;
};

// The words of virNodeDeviceListCaps: what a device can do, and what follows from that.
std::vector<std::string> capability_words(const xml::NodeDevice& device);

} // namespace lodge::daemon
