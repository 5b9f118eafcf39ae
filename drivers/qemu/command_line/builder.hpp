// What the files of this folder share: the growing command line, and the members that many devices have in common (address, boot
// order, virtio options).
#pragma once
#include "drivers/qemu/command_line/command_line.hpp"

namespace lodge::drivers::qemu {

class Builder {
  public:
    Builder(const xml::Domain& d, const BuildContext& c)
        : domain(d)
        , ctx(c) {}

    const xml::Domain& domain;
    const BuildContext& ctx;
    CommandLine line;

    void option(std::string name) { line.args.push_back(std::move(name)); }
    void option(std::string name, std::string value) {
        line.args.push_back(std::move(name));
        line.args.push_back(std::move(value));
    }
    void json(std::string name, const Json& value);
    void object(const Json& value) { json("-object", value); }
    void device(const Json& value);
    void blockdev(const Json& value) { json("-blockdev", value); }
    // Remembers that QEMU needs this descriptor; gives its number as text.
    std::string pass(int fd);
};

// The steps of build(), each in the file of its name.
void add_machine(Builder&); // machine.cpp
void add_accel(Builder&);
void add_tseg(Builder&);
void add_vmcoreinfo(Builder&);
void add_deprecation(Builder&);                        // passthrough.cpp
void add_pflash(Builder&, std::string& machine_words); // firmware.cpp
bool firmware_needs_smm(const Builder&);
bool has_hmat(const xml::Domain&); // hmat.cpp
unsigned hmat_initiator(const xml::Domain&, unsigned node);
void add_hmat(Builder&);
const xml::Features& features_of(const xml::Domain&);
bool is_on(const std::optional<xml::Switch>&);
void add_firmware_nodes(Builder&); // firmware.cpp
void add_firmware(Builder&);       // firmware.cpp: -bios, -global …pflash…
void add_cpu(Builder&);            // cpu.cpp
void add_memory(Builder&);         // memory.cpp: -m, pc.ram
void add_smp(Builder&);            // cpu.cpp
void add_iothreads(Builder&);      // iothread.cpp
void add_numa(Builder&);           // numa.cpp
void add_sysinfo(Builder&);        // sysinfo.cpp: -smbios, -fw_cfg
void add_generation_id(Builder&);
void add_monitor(Builder&);     // monitor.cpp
void add_clock(Builder&);       // clock.cpp: -rtc and timers
void add_power(Builder&);       // clock.cpp: -no-shutdown, sleep states
void add_boot(Builder&);        // boot.cpp: -boot -kernel …
void add_iommu(Builder&);       // iommu.cpp
void add_controllers(Builder&); // controller.cpp
void add_ccid_controllers(Builder&);
void add_hubs(Builder&);        // input.cpp
void add_disks(Builder&);       // disk.cpp
void add_filesystems(Builder&); // filesystem.cpp
void add_nics(Builder&);        // nic.cpp
void add_smartcards(Builder&);  // smartcard.cpp
void add_serials(Builder&);     // chardev.cpp
void add_parallels(Builder&);
void add_channels(Builder&);
void add_consoles(Builder&);
void add_tpms(Builder&);           // tpm.cpp
void add_inputs(Builder&);         // input.cpp
void add_audio(Builder&);          // audio.cpp
void add_graphics(Builder&);       // graphics.cpp
void add_videos(Builder&);         // video.cpp
void add_sounds(Builder&);         // audio.cpp
void add_watchdogs(Builder&);      // watchdog.cpp
void add_redirdevs(Builder&);      // redirdev.cpp
void add_hostdevs(Builder&);       // hostdev.cpp
void add_memballoon(Builder&);     // memballoon.cpp
void add_rngs(Builder&);           // rng.cpp
void add_cryptos(Builder&);        // rng.cpp
void add_panics(Builder&);         // panic.cpp
void add_shmems(Builder&);         // shmem.cpp
void add_vsock(Builder&);          // vsock.cpp
void add_memory_devices(Builder&); // memory_device.cpp
void add_sandbox(Builder&);        // sandbox.cpp
void add_passthrough(Builder&);    // passthrough.cpp: <qemu:commandline>

// ---- members of a device's JSON ----

// "driver" for a virtio device on its bus: virtio-blk + pci -> "virtio-blk-pci", transitional ones too.
std::string virtio_driver(const std::string& base, const xml::DeviceInfo& info,
                          std::optional<xml::VirtioModel> model = std::nullopt);
void put_virtio(Json& json, const xml::VirtioOptions& options);
// bus, addr, port, nr …, whatever the kind of address needs.
void put_address(Json& json, const xml::Domain& domain, const xml::DeviceInfo& info);
void put_boot(Json& json, const xml::Domain& domain, const xml::DeviceInfo& info);
void put_rom(Json& json, const xml::DeviceInfo& info);
template<class T> void put(Json& json, const char* name, const std::optional<T>& value) {
    if (value) json[name] = *value;
}
inline void put(Json& json, const char* name, const std::optional<xml::OnOff>& value) {
    if (value) json[name] = value->value;
}
inline void put(Json& json, const char* name, const std::optional<xml::YesNo>& value) {
    if (value) json[name] = value->value;
}
inline void put(Json& json, const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
}

// Name of the bus that a controller provides: alias of the controller, or what QEMU calls a built-in one.
std::string controller_alias(const xml::Domain& domain, xml::ControllerType type, unsigned index);
const xml::Controller* find_controller(const xml::Domain& domain, xml::ControllerType type, unsigned index);
std::string default_controller_alias(const xml::Domain& domain, const xml::Controller& controller);

// Commas in values of -option a=b,c=d are doubled.
std::string escape(std::string_view value);
const char* on_off(bool value);

// "0-3,5" as pairs of first and last.
std::vector<std::pair<unsigned, unsigned>> ranges(std::string_view set);

bool is_pc(const xml::Domain& domain);  // pc-i440fx-…
bool is_q35(const xml::Domain& domain); // pc-q35-…

// One channel and one unit per target: the old parallel SCSI buses.
bool is_parallel_scsi(xml::ControllerModel model);
xml::ControllerModel scsi_model(const xml::Domain& domain, unsigned index);

// Boot order of the devices that <os><boot dev='…'/> names, by alias; empty when devices have their own order.
std::map<std::string, unsigned> boot_order(const xml::Domain& domain);

// ---- character devices, for all who have one ----

// -chardev …; `alias` without "char": "serial0".
// `kind` tells whose it is ("serial", "channel", "redir", …).
void add_chardev(Builder& builder, const xml::CharSource& source, const std::string& alias, const std::string& kind);

// ---- secrets ----

// -object secret for this reference under this id.
Json secret_json(const BuildContext& ctx, const xml::SecretReference& secret, const std::string& id);
Json sealed_json(const BuildContext& ctx, const std::string& plain, const std::string& id);

// The credentials of a TLS connection, under `id`; its key's passphrase, if any, is sealed under `secret_id`.
std::vector<Json> tls_objects(const BuildContext& ctx, const Tls& tls, const std::string& id, const std::string& secret_id,
                              bool server);
void add_tls(Builder& builder, const Tls& tls, const std::string& id, const std::string& secret_id, bool server);
// Whether a network disk's bytes go through TLS.
bool uses_tls(const xml::StorageSource& source, const BuildContext& ctx);

// ---- block nodes ----

// Nodes of firmware variables and code, which have names of their own: libvirt-pflash0.
BlockNodes named_nodes(const xml::StorageSource& source, const std::string& name, xml::StorageFormat format, bool readonly,
                       const BuildContext& ctx);
Json storage_json(const xml::StorageSource& source, const std::string& node, const BuildContext& ctx);

// ---- memory ----

struct MemoryBackend {
    std::string id;
    std::uint64_t kib = 0;
    std::optional<unsigned> cell;            // guest NUMA cell
    std::optional<xml::MemoryAccess> access; // of the cell or device, else of <memoryBacking>
    std::optional<bool> discard;
    std::optional<std::uint64_t> page_kib; // of a memory device
    std::string nodes;                     // host nodes, of a memory device
    std::string file;                      // its name among the guest's memory files, if not `id`
    std::string path;                      // nvdimm, virtio-pmem
    bool pmem = false, prealloc = false, never_prealloc = false;
    bool reserve_nothing = false; // virtio-mem takes host memory as the guest does
    bool system = false;          // the memory of -m, whose name in migration streams is fixed
};
// The memory of a guest without NUMA cells; nothing when cells hold it, or the machine has none.
std::optional<MemoryBackend> system_memory(const xml::Domain& domain, const BuildContext& ctx);
// Throws Code::config_unsupported when the host has no such NUMA nodes.
void require_host_nodes(const BuildContext& ctx, const std::string& nodes);
std::uint64_t rounded_to_mib(std::uint64_t kib);
const xml::MemoryBacking& memory_backing(const xml::Domain& domain); // of an empty one when there is none
bool allocates_at_once(const xml::Domain& domain);
const std::vector<xml::NumaCell>& numa_cells(const xml::Domain& domain);
Json memory_backend_json(const xml::Domain& domain, const MemoryBackend& backend, const BuildContext& ctx);
// False when the plain memory-backend-ram would do.
bool memory_is_special(const xml::Domain& domain, const MemoryBackend& backend);

} // namespace lodge::drivers::qemu
