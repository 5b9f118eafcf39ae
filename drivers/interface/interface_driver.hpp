// The host's own network interfaces: what `virsh iface-*` shows and changes. Configuration lives in the files of whatever runs
// the host (ifupdown or systemd-networkd); the live state in the kernel. Called by the daemon from its control thread.
//
// A change of the running network moves addresses and routes along, and is undone by itself when a step fails.
#pragma once
#include "rpc/task.hpp"
#include "xml/interface.hpp"
#include <filesystem>

namespace lodge::drivers {

struct InterfacePaths {
    std::filesystem::path root = "/";                           // of /etc/network, /etc/systemd/network, /run/network
    std::filesystem::path state = "/var/lib/libvirt/interface"; // the copy that changeRollback restores
};

struct InterfaceInfo {
    std::string name;
    std::string mac; // as virInterface carries it: may be empty
    bool active = false;
};

class InterfaceDriver {
  public:
    explicit InterfaceDriver(InterfacePaths paths);
    ~InterfaceDriver();

    // Configured or present, without the ports of bridges and bonds, taps and container ends.
    rpc::Task<std::vector<InterfaceInfo>> list();
    rpc::Task<InterfaceInfo> by_name(std::string name); // throws no_interface
    rpc::Task<InterfaceInfo> by_mac(std::string mac);   // throws no_interface, multiple_interfaces
    // From the kernel; with `inactive` from the configuration.
    rpc::Task<xml::Interface> document(std::string name, bool inactive);

    rpc::Task<InterfaceInfo> define(xml::Interface document);
    rpc::Task<> undefine(std::string name);
    rpc::Task<> create(std::string name);  // up; bridges take over the addresses of their ports
    rpc::Task<> destroy(std::string name); // down; a bridge gives its addresses back to its only port

    // A change that is tried first: begin keeps a copy of the configuration, rollback brings it back to files and kernel.
    rpc::Task<> change_begin();
    rpc::Task<> change_commit();
    rpc::Task<> change_rollback();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace lodge::drivers
