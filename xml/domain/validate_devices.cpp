// Each device by itself, and by what it needs of the rest.
#include "xml/domain/validate.hpp"
#include <bit>

namespace lodge::xml {

namespace {

bool has_usb(const Domain& d) {
    for (const auto& controller : d.devices.controllers)
        if (controller.is(ControllerType::usb, ControllerModel::none)) return false;
    return true;
}

// ---- character devices ----

void check_channel_name(const std::string& name) {
    if (name.empty()) unsupported("Missing source channel attribute for char device");
    const auto fits = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; };
    if (!std::ranges::all_of(name, fits))
        rpc::fail(From::domain, Code::invalid_arg, "Invalid character in source channel for char device");
}

void check_end(const CharSource& source, bool path_is_generated) {
    const auto& end = source.first();
    const auto needs = [](const std::string& value, const char* name) {
        if (value.empty()) malformed("Missing source {} attribute for char device", name);
    };
    switch (source.type) {
    case CharType::file:
    case CharType::dev:
    case CharType::pipe: return needs(end.path, "path");
    case CharType::nmdm:
        if (end.master.empty() != end.slave.empty())
            malformed("Should define both master and slave path attributes for nmdm device");
        return;
    case CharType::tcp: needs(end.host, "host"); return needs(end.service, "service");
    case CharType::udp: {
        const auto* connect = source.with_mode(CharMode::connect);
        return needs((connect ? *connect : end).service, "service");
    }
    case CharType::unix_:
        if (!path_is_generated) needs(end.path, "path");
        return;
    case CharType::spiceport:
    case CharType::dbus: return check_channel_name(end.channel);
    default: return;
    }
}

void check_source(const CharSource& source, const Domain& domain, bool path_is_generated = false) {
    check_end(source, path_is_generated);
    for (const auto& end : source.sources) {
        // A socket whose path is made up is one that the guest offers.
        const bool listens = end.mode == CharMode::bind || (source.type == CharType::unix_ && end.path.empty());
        if (end.reconnect && end.reconnect->enabled && listens) malformed("chardev reconnect is possible only for connect mode");
        validate_labels(end.labels, domain);
    }
}

} // namespace

void validate_device(const Serial& serial, const Domain& d) { check_source(serial.source, d); }
void validate_device(const Parallel& parallel, const Domain& d) { check_source(parallel.source, d); }
void validate_device(const Console& console, const Domain& d) { check_source(console.source, d); }

void validate_device(const Channel& channel, const Domain& d) {
    const auto type = channel.target.type;
    check_source(channel.source, d, type == ChannelTargetType::virtio || type == ChannelTargetType::xen);
}

void validate_device(const Redirdev& redirdev, const Domain& d) {
    if (!has_usb(d)) unsupported("cannot add redirected USB device: USB is disabled for this domain");
    check_source(redirdev.source, d);
}

void validate_device(const Rng& rng, const Domain& d) {
    if (rng.backend == RngBackend::egd) check_source(rng.source, d);
}

void validate_device(const Smartcard& smartcard, const Domain& d) {
    if (smartcard.info.address && !smartcard.info.is(AddressType::ccid))
        unsupported("Controllers must use the 'ccid' address type");
    if (smartcard.mode == SmartcardMode::passthrough) check_source(smartcard.source, d);
}

// ---- controllers ----

void validate_device(const Controller& controller, const Domain&) {
    if (controller.type != ControllerType::pci) return;
    const bool is_root = controller.model == ControllerModel::pci_root || controller.model == ControllerModel::pcie_root;
    if (is_root && controller.info.address) unsupported("pci-root and pcie-root controllers should not have an address");
    const auto index = controller.index.value_or(0);
    const auto& target = controller.target;
    if (index > 255) unsupported("PCI controller index {} too high, maximum is 255", index);
    const auto range = [](const auto& value, const char* name, std::int64_t least, std::int64_t most) {
        if (value && (static_cast<std::int64_t>(*value) < least || static_cast<std::int64_t>(*value) > most))
            unsupported("PCI controller {} '{}' out of range - must be {}-{}", name, static_cast<std::int64_t>(*value), least,
                        most);
    };
    range(target.index, "target index", 0, 30);
    if (target.index && (index == 0) != (*target.index == 0))
        unsupported("Only the PCI controller with index 0 can have target index 0, and vice versa");
    range(target.chassis_nr, "chassisNr", 1, 255);
    range(target.chassis, "chassis", 0, 255);
    range(target.port, "port", 0, 255);
    range(target.bus_nr, "busNr", 1, 254);
    if (target.node && index == 0) unsupported("The PCI controller with index=0 can't be associated with a NUMA node");
}

// ---- network cards ----

void validate_device(const Nic& nic, const Domain&) {
    const auto mac = nic.mac.address ? nic.mac.address->text() : std::string();
    const auto type = word(nic.type);
    const bool ethernet = nic.type == NicType::ethernet;
    if (!ethernet && (!nic.source.ips.empty() || !nic.source.routes.empty()))
        unsupported("Invalid attempt to set network interface host-side IP route and/or address info on interface of type '{}'. "
                    "This is only supported on interfaces of type 'ethernet'",
                    type);
    if (is_no(nic.target.managed) && !ethernet)
        unsupported("unmanaged target dev is not supported on interfaces of type '{}'", type);
    if (nic.teaming && nic.teaming->type == "transient" && nic.teaming->persistent.empty())
        unsupported("teaming persistent attribute must be set if teaming type is 'transient'");
    if (nic.teaming && nic.teaming->type != "transient" && !nic.teaming->persistent.empty())
        unsupported("teaming persistent attribute not allowed if teaming type is '{}'", nic.teaming->type);
    if (is_yes(nic.port_isolated)) {
        if (nic.type != NicType::network && nic.type != NicType::bridge)
            unsupported("interface {} - <port isolated='yes'/> is not supported for network interfaces with type='{}'", mac,
                        type);
        if (nic.virtual_port && !nic.virtual_port->type.empty())
            unsupported(
                "interface {} - <port isolated='yes'/> is not supported for network interfaces with virtualport type='{}'", mac,
                nic.virtual_port->type);
    }
    if (!nic.is_virtio()) refuse_virtio_options(nic.driver.virtio);
    if (nic.type != NicType::vhostuser) return;
    if (!nic.is_virtio())
        malformed("Wrong or no <model> 'type' attribute specified with <interface type='vhostuser'/>. vhostuser requires the "
                  "virtio-net* frontend");
    if (nic.source.socket_mode == "server" && nic.source.reconnect && nic.source.reconnect->enabled)
        unsupported("'reconnect' attribute unsupported 'server' mode for <interface type='vhostuser'>");
}

// ---- the host's devices ----

void validate_device(const Hostdev& hostdev, const Domain&) {
    const bool subsystem = hostdev.mode == HostdevMode::subsystem;
    const auto is = [&](HostdevType type) { return subsystem && hostdev.type == type; };
    const auto stands = [&](AddressType type) { return !hostdev.info.address || hostdev.info.is(type); };
    if (is(HostdevType::pci) && !stands(AddressType::pci) && !stands(AddressType::unassigned))
        malformed("PCI host devices must use 'pci' or 'unassigned' address type");
    apply({{is(HostdevType::scsi) && !stands(AddressType::drive), "SCSI host device must use 'drive' address type"},
           {is(HostdevType::scsi) && hostdev.sgio == Sgio::unfiltered, "unfiltered sgio is no longer supported"},
           {is(HostdevType::scsi_host) && !stands(AddressType::pci) && !stands(AddressType::ccw),
            "SCSI_host host device must use 'pci' or 'ccw' address type"},
           {is(HostdevType::usb) && !stands(AddressType::usb), "USB host device must use 'usb' address type"}});
    if (!hostdev.teaming) return;
    apply({{hostdev.teaming->type != "transient", "teaming hostdev devices must have type='transient'"},
           {hostdev.teaming->persistent.empty(), "missing required persistent attribute in hostdev teaming element"},
           {!is(HostdevType::pci), "teaming is only supported for pci hostdev devices"}});
}

// ---- memory ----

namespace {

constexpr std::uint64_t huge_page_kib = 2048; // of every host that this runs on

void check_virtio_mem(const MemoryTarget& target) {
    const std::uint64_t requested = target.requested ? target.requested->value : 0;
    const std::uint64_t block = target.block ? target.block->value : 0;
    if (requested > target.size) inconsistent("requested size must be smaller than or equal to @size ({}KiB)", target.size.value);
    if (block & (block - 1)) inconsistent("block size must be a power of two");
    if (block < huge_page_kib) inconsistent("block size too small, must be at least {}KiB", huge_page_kib);
    if (requested % block) inconsistent("requested size must be an integer multiple of block size");
}

} // namespace

void validate_device(const MemoryDevice& memory, const Domain& d) {
    const std::size_t cells = d.cpu ? d.cpu->cells.size() : 0;
    const auto& node = memory.target.node;
    const auto model = word(memory.model);
    if (node && cells == 0) inconsistent("can't add memory backend as guest has no NUMA nodes configured");
    if (node && *node >= cells)
        inconsistent("can't add memory backend for guest node '{}' as the guest has only '{}' NUMA nodes configured", *node,
                     cells);
    switch (memory.model) {
    case MemoryModel::nvdimm:
        if (memory.path.empty()) inconsistent("path is required for model '{}'", model);
        return apply({{is_yes(memory.discard), "discard is not supported for nvdimms"},
                      {!memory.uuid.is_nil(), "UUID is not supported for NVDIMM device"}});
    case MemoryModel::virtio_pmem:
        if (memory.path.empty()) inconsistent("path is required for model '{}'", model);
        if (is_yes(memory.discard)) unsupported("discard is not supported for model '{}'", model);
        return apply({{memory.access.value_or(MemoryAccess::shared) != MemoryAccess::shared,
                       "shared access mode required for virtio-pmem device"},
                      {node.has_value(), "virtio-pmem does not support NUMA nodes"}});
    case MemoryModel::virtio_mem: return check_virtio_mem(memory.target);
    case MemoryModel::sgx_epc:
        if (memory.info.address) unsupported("memory device address is not supported for model '{}'", model);
        return;
    default: return;
    }
}

// ---- what the user sees, hears and touches ----

void validate_device(const Video& video, const Domain& d) {
    const auto& model = video.model;
    const auto backend = video.driver.name.value_or(VideoBackend::default_);
    const bool qxl = model.type == VideoType::qxl;
    apply({{model.type == VideoType::none && d.devices.videos.size() > 1,
            "a 'none' video type must be the only video device defined for the domain"},
           {backend == VideoBackend::vhostuser && model.type != VideoType::virtio,
            "'vhostuser' driver is only supported with 'virtio' device"},
           {backend != VideoBackend::vhostuser && !model.acceleration.rendernode.empty(),
            "unsupported rendernode accel attribute without 'vhostuser'"},
           {model.resolution && (model.resolution->x == 0 || model.resolution->y == 0),
            "video resolution values must be greater than 0"},
           {!qxl && model.ram.value_or(0), "ram attribute only supported for video type qxl"},
           {!qxl && model.vram64.value_or(0), "vram64 attribute only supported for video type qxl"},
           {!qxl && model.vgamem.value_or(0), "vgamem attribute only supported for video type qxl"},
           {model.type == VideoType::ramfb && video.info.address, "address not supported for video type ramfb"}});
    if (model.type != VideoType::virtio) refuse_virtio_options(video.driver.virtio);
}

void validate_device(const Input& input, const Domain&) {
    const auto type = input.type;
    const bool classic = type == InputType::mouse || type == InputType::keyboard;
    if (input.bus == InputBus::ps2 && !classic) malformed("ps2 bus does not support {} input device", word(type));
    if (input.bus == InputBus::xen || input.bus == InputBus::parallels) malformed("unsupported input bus {}", word(*input.bus));
    apply({{type != InputType::passthrough && type != InputType::evdev && !input.source.evdev.empty(),
            "setting source evdev path only supported for passthrough input devices"},
           {type == InputType::passthrough && input.bus != InputBus::virtio,
            "only bus 'virtio' is supported for 'passthrough' input devices"},
           {type == InputType::evdev && input.bus && *input.bus != InputBus::none, "input evdev doesn't support bus element"}});
    if (input.model && input.bus != InputBus::virtio)
        unsupported("only bus 'virtio' is supported for input model '{}'", word(*input.model));
}

static void check_audio_id(const Domain& d, const std::optional<std::uint32_t>& id) {
    if (!id || *id == 0) return;
    for (const auto& audio : d.devices.audios)
        if (audio.id == *id) return;
    broken("no audio device with ID {}", *id);
}

void validate_device(const Sound& sound, const Domain& d) { check_audio_id(d, sound.audio_id); }

void validate_device(const Audio& audio, const Domain& d) {
    for (const auto& other : d.devices.audios)
        if (&other != &audio && other.id == audio.id) broken("audio ID {} is used multiple times", audio.id);
}

void validate_device(const Graphics& graphics, const Domain& d) {
    for (const auto& listen : graphics.listens)
        if (listen.type == ListenType::network && listen.network.empty())
            broken("'network' attribute is required for listen type 'network'");
    if (graphics.is(GraphicsType::vnc)) check_audio_id(d, graphics.audio_id);
    if (graphics.is(GraphicsType::dbus) && is_yes(graphics.p2p) && !graphics.address.empty())
        broken("D-Bus p2p with an address is not supported");
}

// ---- the rest ----

void validate_device(const Iommu& iommu, const Domain&) {
    const auto model = word(iommu.model);
    const bool tuned = iommu.intremap || iommu.caching_mode || iommu.eim || iommu.iotlb || iommu.aw_bits.value_or(0);
    if (iommu.model != IommuModel::intel && tuned) broken("iommu model '{}' doesn't support additional attributes", model);
    if (iommu.model != IommuModel::virtio && iommu.info.address) broken("iommu model '{}' can't have address", model);
}

void validate_device(const Tpm& tpm, const Domain&) {
    if (tpm.backend == TpmBackendType::emulator && tpm.has_active_pcr_banks && tpm.version != TpmVersion::v2_0)
        broken("<active_pcr_banks/> requires TPM version '2.0'");
    if (tpm.backend != TpmBackendType::external) return;
    apply({{tpm.source.type != CharType::unix_, "only source type 'unix' is supported for external TPM device"},
           {tpm.source.first().mode == CharMode::bind, "only 'client' mode is supported for external TPM device"},
           {tpm.source.first().path.empty(), "missing socket path for external TPM device"}},
          Code::xml_error);
}

void validate_device(const Shmem& shmem, const Domain&) {
    apply({{shmem.name.find('/') != std::string::npos, "shmem name cannot include '/' character"},
           {shmem.name == ".", "shmem name cannot be equal to '.'"},
           {shmem.name == "..", "shmem name cannot be equal to '..'"}});
}

void validate_device(const Filesystem& fs, const Domain&) {
    if (fs.target.empty()) rpc::fail(From::domain, Code::no_target, "{}", fs.source.empty() ? fs.socket : fs.source);
    if (fs.info.boot && fs.driver != FilesystemDriver::virtiofs) unsupported("boot order is only supported for virtiofs");
}

void validate_device(const Vsock& vsock, const Domain&) {
    if (const auto cid = vsock.cid.address.value_or(0); cid > 0 && cid <= 2) unsupported("guest CIDs must be >= 3");
    if (!vsock.model) refuse_virtio_options(vsock.virtio);
}

void validate_place(const DeviceInfo& info) {
    if (info.is(AddressType::unassigned)) unsupported("address of type 'unassigned' is supported only for hostdevs");
}

} // namespace lodge::xml
