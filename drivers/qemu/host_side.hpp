// The host's side of a guest's devices, made ready before QEMU runs: paths filled in, sockets and files opened and passed by
// descriptor, so that an unprivileged QEMU needs no rights of its own.
#pragma once
#include "drivers/driver.hpp"
#include "drivers/qemu/command_line/command_line.hpp"
#include "drivers/qemu/runtime.hpp"

namespace lodge::drivers::qemu {

// A listening socket that a guest's QEMU or helper gets; the path is the identity's. Throws Code::system_error.
Fd listen_on(const std::string& path, const std::optional<Identity>& identity);

class HostSide {
  public:
    // Sockets that QEMU listens on, and files that its character devices write. Sockets are noted in `runtime`, which removes
    // them. On the worker pool.
    void open_devices(xml::Domain& domain, Runtime& runtime);
    // The kernel's vsock and SCSI targets. Gives a vsock its number where the document leaves it open.
    void open_vhosts(xml::Domain& domain);
    void open_vsock(xml::Vsock& vsock);
    void open_scsi_host(const xml::Hostdev& hostdev);
    // The same for one character device, to be known as "char" + `alias`.
    void open_chardev(const xml::CharSource& source, const std::string& alias, Runtime& runtime);
    // Taps of the daemon's, and vhost-net for guests under KVM.
    void add_nics(const xml::Domain& domain, const std::vector<NicBackend>& backends);
    std::map<std::string, int> named_fds() const;
    void keep(Fd fd) { others_.push_back(std::move(fd)); }
    void close();

    std::map<std::string, NicFds> nics;

  private:
    std::map<std::string, Fd> named_;
    std::vector<Fd> others_;
};

// The generic devices of SCSI devices that are passed through, by alias.
std::map<std::string, std::string> scsi_generics(const xml::Domain& domain);
// Sockets of channels that have none in the document.
void fill_channel_paths(xml::Domain& domain, const BuildContext& context);
void fill_channel_path(xml::Channel& channel, const xml::Domain& domain, const BuildContext& context);
// Images, kernels, variables, devices and other programs' sockets that QEMU's user has to own while the guest runs.
std::vector<OwnedPath> paths_to_own(const xml::Domain& domain, const std::map<std::string, std::string>& generics);
std::vector<OwnedPath> paths_to_own(const xml::Disk& disk);
std::vector<OwnedPath> paths_to_own(const xml::CharSource& source);
// `generics`: as of the whole guest.
std::vector<OwnedPath> paths_to_own(const xml::Hostdev& hostdev, const std::map<std::string, std::string>& generics);
// QEMU touches all of the guest's memory before it answers.
bool needs_memory_at_once(const xml::Domain& domain);
// Devices passed through pin all of the guest's memory.
bool needs_locked_memory(const xml::Domain& domain);

} // namespace lodge::drivers::qemu
