// From a completed domain to QEMU's argument list: pure, no I/O, the same answer for the same input. The driver's launch code
// opens files, sockets and taps first, says here which descriptors it will pass, and runs what comes back. Also what hot-plug
// needs: the JSON of one device, of its block nodes, of its network back end.
#pragma once
#include "drivers/qemu/tls.hpp"
#include "xml/domain/domain.hpp"
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace lodge::drivers::qemu {

// Keeps the order in which members were added, so that a command line reads as its author meant it.
using Json = nlohmann::ordered_json;

// What is known of the emulator. The defaults are QEMU 7.2's.
struct EmulatorFacts {
    unsigned version = 7'002'000;          // major * 1,000,000 + minor * 1,000 + micro
    std::string default_ram_id = "pc.ram"; // query-machines: where -m's memory lives; empty: the machine has none
    bool cpu_migratable = true;            // its host CPU has the property "migratable"
    bool numa_mem = false;                 // query-machines: this machine type takes -numa node,mem=
};

// A secret's value, encrypted with the guest's master key (AES-256-CBC); both in base64.
struct SealedSecret {
    std::string data, iv;
};

// Descriptors of one NIC, a pair per queue.
struct NicFds {
    std::vector<int> taps, vhosts;
    int vdpa = -1;
    int passt = -1; // a connection to the passt that serves it
};

struct Hugepages {
    std::uint64_t kib = 2048;
    std::string mount; // "/dev/hugepages"
};

// Descriptors that stand for an image's path.
struct LentFds {
    std::vector<int> fds;
    bool writable = false;
};
// The same where QEMU has them: "/dev/fdset/1001".
struct FdSet {
    unsigned number = 0;
    std::vector<int> fds;
    std::string opaque;
};

struct BuildContext {
    // For people to read (domxml-to-native): NICs are shown as taps with made-up descriptors, secrets as made-up bytes, sockets
    // as paths, and nothing has to exist.
    bool display = false;
    int id = -1;
    std::string lib = "/var/lib/libvirt"; // libvirt's state; QEMU's part of it is below qemu/
    std::string run = "/run/libvirt";
    EmulatorFacts emulator;
    std::vector<Hugepages> hugepages;                  // mounts; the first is the default size
    std::optional<std::string> host_nodes;             // NUMA nodes of the host, "0-3"; absent: whatever documents name
    std::string memory_dir;                            // of memory that is files; empty: LIB/qemu/ram
    std::string vnc_listen = "127.0.0.1";              // qemu.conf: where no address is given
    std::string spice_listen = "127.0.0.1";            // as above
    Tls vnc_tls, spice_tls, chardev_tls, nbd_tls;      // qemu.conf
    bool vnc_sasl = false, spice_sasl = false;         // qemu.conf
    std::string vnc_sasl_dir, spice_sasl_dir;          // qemu.conf
    bool vnc_auto_unix = false;                        // qemu.conf: VNC on a socket where the document has no address
    bool vnc_password = false, spice_password = false; // qemu.conf has a password for all
    std::vector<std::string> environment = {"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}; // that QEMU shares with the daemon
    bool sandbox = true, dump_guest_core = false;
    bool incoming = false;     // waits for its state to come over the monitor's word
    std::string load_snapshot; // or takes it from this snapshot inside its disks
    // For clocks that the document sets against the host's: seconds since the epoch (absent: look), and east of UTC.
    std::optional<std::int64_t> now;
    std::int64_t local_offset_s = 0;

    // Descriptors to pass, by what they are for: "monitor", a chardev's id ("charserial0": a listening socket or an open file),
    // its log ("charserial0-log"), "vsock0", "hostdev0". Absent: QEMU opens the path itself.
    std::map<std::string, int> fds;
    std::map<std::string, NicFds> nics;  // by alias
    std::map<std::string, LentFds> lent; // by the fdgroup= of images
    // The plain value of a secret (by UUID or usage), and what the master key makes of it.
    std::function<std::string(const xml::SecretReference&)> secret_value;
    std::function<SealedSecret(std::string_view)> seal;
    // Sockets of helpers that run beside QEMU, by alias: virtiofsd ("fs0"), swtpm ("tpm0"), vhost-user-gpu ("video0").
    std::map<std::string, std::string> helper_sockets;
    std::map<std::string, std::string> scsi_generics; // "/dev/sg0" of SCSI devices passed through, by alias
};

struct CommandLine {
    std::string program;
    std::vector<std::string> args; // without the program
    std::vector<std::string> env;  // "NAME=value"
    std::vector<int> fds;          // must be open under these numbers in QEMU

    std::string shell_line() const; // environment, program and arguments, quoted: what domxml-to-native prints
};

// Names every device as libvirt does (net0, virtio-disk0, pci.1, …); names that are there are kept. Numbers the block nodes of
// disks (source.index) where they have no number yet.
void assign_aliases(xml::Domain& domain);
void assign_disk_aliases(xml::Domain& domain); // names alone: before their images are known
// The first number for block nodes that no disk and no image below one has.
std::uint32_t next_block_node(const xml::Domain& domain);

// Throws Code::config_unsupported naming the object for what QEMU or this driver cannot do. Aliases must be assigned.
CommandLine build(const xml::Domain& domain, const BuildContext& context);

// ---- where things of a guest live ----

std::string short_name(const xml::Domain& domain, int id);                  // "1-name", the name cut at 20 characters
std::string domain_dir(const xml::Domain& domain, const BuildContext& ctx); // LIB/qemu/domain-1-name
std::string memory_files_dir(const xml::Domain& domain, const BuildContext& ctx);
std::string huge_pages_dir(const Hugepages& mount, const xml::Domain& domain, const BuildContext& ctx);
std::string channel_target(const xml::Domain& domain, const BuildContext& ctx, // socket of a virtio channel without a path
                           const xml::Channel& channel);

// ---- one device at a time, for hot-plug ----

// Under which names QEMU knows what was opened for a character device; empty: QEMU opens it itself.
struct ChardevFds {
    std::string socket;    // of getfd
    std::string file, log; // /dev/fdset/1
};
// Arguments of chardev-add. `kind` tells whose it is ("serial", "channel", "redir", …).
Json chardev_backend(const xml::CharSource& source, const std::string& id, const std::string& kind, const ChardevFds& fds);

struct BlockNodes {
    std::vector<Json> objects; // secrets, persistent-reservation helpers
    std::vector<FdSet> fd_sets;
    std::vector<Json> nodes; // blockdev-add, in order: bottom of the chain first
    std::string top;         // what the drive refers to; empty: no medium
};
BlockNodes block_nodes(const xml::Disk& disk, const BuildContext& ctx);
// A host's SCSI device that the guest gets has a node, too, which understands no format.
bool has_block_node(const xml::Hostdev& hostdev);
BlockNodes block_nodes(const xml::Hostdev& hostdev, const BuildContext& ctx);
// The number of the set that an image's lent descriptors have; those below are taken by character devices and others.
inline unsigned fd_set_of(const xml::StorageSource& source) { return 1000 + source.index.value_or(0); }
// How QEMU calls the block device of a disk: its id, or the path of the part of it that reads and writes.
std::string block_device_id(const xml::Disk& disk);
// <qemu:override>: what a person wants to be different in this device.
void override_device(const xml::Domain& domain, Json& device);
Json device_json(const xml::Domain& domain, const xml::Disk& disk, const BuildContext& ctx);
Json netdev_json(const xml::Domain& domain, const xml::Nic& nic, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::Nic& nic, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::Controller& controller, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::Input& input, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::Hostdev& hostdev, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::Redirdev& redirdev, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::Rng& rng, const BuildContext& ctx);
Json backend_json(const xml::Rng& rng); // its -object
Json backend_json(const xml::Shmem& shmem);
Json device_json(const xml::Domain& domain, const xml::Watchdog& watchdog, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::Shmem& shmem, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::Vsock& vsock, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::Filesystem& filesystem, const BuildContext& ctx); // of virtiofs
std::string virtiofs_socket(const xml::Domain& domain, const xml::Filesystem& filesystem, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::MemoryDevice& memory, const BuildContext& ctx);
Json backend_json(const xml::Domain& domain, const xml::MemoryDevice& memory, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::Channel& channel, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::Console& console, const BuildContext& ctx); // a virtio console
Json guest_forward_json(const xml::Channel& channel);                                              // -netdev
std::string doorbell_socket(const xml::Shmem& shmem, const BuildContext& ctx);
Json device_json(const xml::Domain& domain, const xml::Serial& serial, const BuildContext& ctx);

} // namespace lodge::drivers::qemu
