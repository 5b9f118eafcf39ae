#include "xml/domain/check.hpp"
#include <algorithm>

namespace lodge::xml {

namespace {

// ---- start order ----

void check_boot_orders(const Domain& d) {
    std::set<unsigned> orders;
    const auto check = [&](const auto& devices) {
        for (const auto& device : devices)
            if (device.info.boot && !orders.insert(device.info.boot->order).second)
                unsupported("boot order '{}' used for more than one device", device.info.boot->order);
    };
    check(d.devices.disks);
    check(d.devices.interfaces);
    check(d.devices.hostdevs);
    check(d.devices.redirdevs);
    if (!orders.empty() && !d.os.boot.empty())
        unsupported("per-device boot elements cannot be used together with os/boot elements");
}

// ---- controllers ----

bool shares_index(const Controller& controller) { // UHCI companions stand beside their EHCI
    using enum ControllerModel;
    return controller.model == ich9_ehci1 || controller.model == ich9_uhci1 || controller.model == ich9_uhci2 ||
           controller.model == ich9_uhci3;
}

void check_controllers(const Domain& d) {
    std::set<std::pair<ControllerType, unsigned>> seen;
    bool companions = false, master = false;
    for (const auto& controller : d.devices.controllers) {
        master |= controller.model == ControllerModel::ich9_ehci1;
        companions |= shares_index(controller) && controller.model != ControllerModel::ich9_ehci1;
        if (!controller.index || shares_index(controller)) continue;
        if (!seen.emplace(controller.type, *controller.index).second)
            broken("Multiple '{}' controllers with index '{}'", word(controller.type), *controller.index);
    }
    if (companions && !master) inconsistent("No master USB controller specified");
}

// ---- character devices ----

void check_ends(const CharSource& source) {
    if (source.sources.size() > 2) broken("only two source elements are allowed for character device");
}

void check_channel(const Channel& channel) {
    const bool virtio = channel.target.type == ChannelTargetType::virtio;
    if (channel.target.type && channel.source.type == CharType::spicevmc && !virtio)
        unsupported("spicevmc device type only supports virtio");
    const auto type = channel.target.type;
    if (!type) broken("target type must be specified for channel device");
    if (type == ChannelTargetType::guestfwd && channel.target.address.empty())
        broken("guestfwd channel does not define a target address");
    check_ends(channel.source);
}

void check_smartcard(const Smartcard& smartcard) {
    if (smartcard.mode == SmartcardMode::passthrough) check_ends(smartcard.source);
    if (smartcard.mode == SmartcardMode::host_certificates && smartcard.certificates.size() != 3)
        broken("host-certificates mode needs exactly three certificates");
    if (!smartcard.database.empty() && !smartcard.database.starts_with('/'))
        broken("expecting absolute path: {}", smartcard.database);
}

void check_serial(const Serial& serial) {
    check_ends(serial.source);
    if (serial.source.type == CharType::spicevmc) unsupported("spicevmc device type only supports virtio");
    const bool usb = serial.target.type == SerialTargetType::usb_serial;
    if (usb && serial.info.address && !serial.info.is(AddressType::usb)) unsupported("usb-serial requires address of usb type");
}

void check_chardevs(const Domain& d) {
    for (const auto& serial : d.devices.serials) check_serial(serial);
    for (const auto& parallel : d.devices.parallels) check_ends(parallel.source);
    for (const auto& console : d.devices.consoles) check_ends(console.source);
    for (const auto& channel : d.devices.channels) check_channel(channel);
    for (const auto& redirdev : d.devices.redirdevs) check_ends(redirdev.source);
    for (const auto& smartcard : d.devices.smartcards) check_smartcard(smartcard);
    for (const auto& rng : d.devices.rngs) {
        if (!rng.backend) broken("only one RNG backend is supported");
        if (rng.backend == RngBackend::egd) check_ends(rng.source);
    }
    for (const auto& tpm : d.devices.tpms)
        if (!tpm.backend) broken("missing TPM device backend");
}

// ---- network cards ----

bool lacks_source(const Nic& nic) {
    const auto& source = nic.source;
    switch (nic.type) {
    case NicType::network: return source.network.empty();
    case NicType::bridge: return source.bridge.empty();
    case NicType::direct:
    case NicType::vdpa: return source.dev.empty();
    case NicType::vhostuser: return source.path.empty();
    case NicType::internal: return source.name.empty();
    case NicType::server:
    case NicType::client:
    case NicType::mcast:
    case NicType::udp: return !source.port;
    default: return false;
    }
}

bool takes_virtual_port(NicType type) {
    return type == NicType::network || type == NicType::bridge || type == NicType::direct || type == NicType::hostdev;
}

void check_nics(const Domain& d) {
    for (const auto& nic : d.devices.interfaces) {
        if (nic.type == NicType::vhostuser && !nic.source.type.empty() && nic.source.type != "unix")
            unsupported("Type='{}' unsupported for <interface type='vhostuser'>", nic.source.type);
        if (nic.type == NicType::udp && nic.source.port && !nic.source.local_port)
            broken("'<local>' element missing for 'udp' socket interface");
        if (lacks_source(nic)) broken("interface type='{}' requires a 'source' element", word(nic.type));
        if (nic.teaming && nic.teaming->type != "persistent" && nic.teaming->type != "transient")
            unsupported("unknown teaming type '{}'", nic.teaming->type);
        if (nic.virtual_port && !takes_virtual_port(nic.type))
            unsupported("<virtualport> element unsupported for <interface type='{}'>", word(nic.type));
        if (nic.mac.address && nic.mac.address->is_multicast())
            broken("expected unicast mac address, found multicast '{}'", nic.mac.address->text());
        const auto is_word = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; };
        if (!std::ranges::all_of(nic.model, is_word))
            rpc::fail(From::domain, Code::invalid_arg, "Model name contains invalid characters");
    }
}

// ---- the host's devices and folders ----

void check_filesystems(const Domain& d) {
    for (const auto& fs : d.devices.filesystems) {
        const bool reads = !fs.source.empty() || !fs.socket.empty() || fs.ram_kib || !fs.pool.empty();
        if (fs.fmode.bits > 0777) broken("invalid fmode: '0{:o}'", fs.fmode.bits);
        if (fs.dmode.bits > 0777) broken("invalid dmode: '0{:o}'", fs.dmode.bits);
        if (!reads) rpc::fail(From::domain, Code::no_source, "{}", fs.target);
    }
}

// ---- what the user sees, hears and touches ----

void check_inputs(const Domain& d) {
    for (const auto& input : d.devices.inputs) {
        const auto bus = input.bus.value_or(input.type == InputType::tablet ? InputBus::usb : InputBus::none);
        if (bus == InputBus::usb && input.info.address && !input.info.is(AddressType::usb))
            broken("Invalid address for a USB device");
    }
}

void check_passwords(const Graphics& graphics) {
    if (!graphics.passwd) return;
    int fields[6], length = 0;
    const auto& until = graphics.passwd_valid_to;
    const int found = std::sscanf(until.c_str(), "%d-%d-%dT%d:%d:%d%n", &fields[0], &fields[1], &fields[2], &fields[3],
                                  &fields[4], &fields[5], &length);
    if (!until.empty() && (found != 6 || static_cast<std::size_t>(length) != until.size()))
        malformed("cannot parse password validity time '{}', expect YYYY-MM-DDTHH:MM:SS", until);
    if (graphics.is(GraphicsType::vnc) && graphics.connected && *graphics.connected != PasswordConnected::keep)
        unsupported("VNC supports connected='keep' only");
}

void check_listens(const Graphics& graphics) {
    const bool local = graphics.is(GraphicsType::vnc) || graphics.is(GraphicsType::spice);
    for (const auto& listen : graphics.listens)
        if (!local && (listen.type == ListenType::socket || listen.type == ListenType::none))
            unsupported("listen type '{}' is not available for graphics type '{}'", word(listen.type), word(graphics.type));
    if (graphics.listens.empty()) return;
    const auto& first = graphics.listens.front();
    if (first.type == ListenType::socket && !graphics.socket.empty() && !first.socket.empty() && graphics.socket != first.socket)
        unsupported("graphics 'socket' attribute '{}' must match 'socket' attribute of first listen element (found '{}')",
                    graphics.socket, first.socket);
}

void check_audio_settings(const AudioDirection& direction) {
    const bool mixes = direction.mixing_engine && *direction.mixing_engine;
    const bool fixed = direction.fixed_settings && *direction.fixed_settings;
    const auto& settings = direction.settings;
    if (fixed && !mixes) unsupported("fixed audio settings requires mixing engine");
    if (!fixed && (settings.frequency || settings.channels || settings.format))
        unsupported("audio settings specified without fixed settings flag");
}

void check_display_and_sound(const Domain& d) {
    check_inputs(d);
    for (const auto& graphics : d.devices.graphics) {
        check_passwords(graphics);
        check_listens(graphics);
    }
    for (const auto& audio : d.devices.audios) {
        check_audio_settings(audio.input);
        check_audio_settings(audio.output);
    }
}

// ---- memory ----

void check_memory(const MemoryDevice& memory) {
    if (!memory.target.size) broken("missing <target> element for <memory> device");
    const bool pins =
        memory.model == MemoryModel::dimm || memory.model == MemoryModel::virtio_mem || memory.model == MemoryModel::sgx_epc;
    if (pins && !memory.nodemask.empty()) numbers_of(memory.nodemask, "nodemask");
    if (memory.model != MemoryModel::nvdimm || !memory.target.label) return;
    const auto label = memory.target.label->value;
    if (label && label < 128) broken("nvdimm label must be at least 128KiB");
    if (label >= memory.target.size) broken("label size must be smaller than NVDIMM size");
}

// ---- what needs USB, and what there may be only one of ----

void check_usb(const Domain& d) {
    const auto off = [](const Controller& c) { return c.is(ControllerType::usb, ControllerModel::none); };
    if (std::ranges::none_of(d.devices.controllers, off)) return;
    if (std::ranges::count_if(d.devices.controllers, [](const Controller& c) { return c.type == ControllerType::usb; }) > 1)
        inconsistent("Can't add another USB controller: USB is disabled for this domain");
    for (const auto& input : d.devices.inputs)
        if (input.bus == InputBus::usb) unsupported("Can't add USB input device. USB bus is disabled");
    for (const auto& hub : d.devices.hubs)
        if (hub.type == HubType::usb) unsupported("Can't add USB hub: USB is disabled for this domain");
}

void check_single(const Domain& d) {
    if (d.devices.watchdogs.size() > 1) malformed("only a single watchdog device is supported");
    for (const auto& console : d.devices.consoles)
        if (console.target.type == ConsoleTargetType::serial && &console != &d.devices.consoles.front())
            unsupported("Only the first console can be a serial port");
}

void check_others(const Domain& d) {
    const auto& devices = d.devices;
    for (const auto& shmem : devices.shmems)
        if (shmem.msi && !shmem.server) broken("msi option is only supported with a server");
    for (const auto& lease : devices.leases) {
        if (lease.key.empty()) broken("Missing 'key' element for lease");
        if (lease.path.empty()) broken("Missing 'target' element for lease");
    }
    for (const auto& memory : devices.memories) check_memory(memory);
}

} // namespace

void check_devices(const Domain& domain) {
    check_controllers(domain);
    check_chardevs(domain);
    check_nics(domain);
    check_hostdev_sources(domain);
    check_filesystems(domain);
    check_display_and_sound(domain);
    check_usb(domain);
    check_single(domain);
    check_others(domain);
    check_boot_orders(domain);
}

} // namespace lodge::xml
