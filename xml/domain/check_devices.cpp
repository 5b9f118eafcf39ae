// What single devices get wrong, asked by their descriptions.
#include "xml/domain/check.hpp"
#include "xml/network.hpp"
#include <algorithm>

namespace lodge::xml {

// ---- USB, which may be switched off ----

namespace {

bool is_off(const Controller& controller) { return controller.is(ControllerType::usb, ControllerModel::none); }
bool has_no_usb(const Domain& d) { return std::ranges::any_of(d.devices.controllers, is_off); }

bool is_companion(const Controller& controller) { // of an EHCI controller, which is their master
    using enum ControllerModel;
    return controller.info.master || controller.model == ich9_uhci1 || controller.model == ich9_uhci2 ||
           controller.model == ich9_uhci3;
}

} // namespace

void check_usb_controllers(const Domain& d) {
    std::size_t all = 0, companions = 0;
    for (const auto& controller : d.devices.controllers) {
        if (controller.type != ControllerType::usb) continue;
        ++all;
        companions += is_companion(controller);
    }
    if (has_no_usb(d) && all > 1) inconsistent("Can't add another USB controller: USB is disabled for this domain");
    if (all && companions == all) inconsistent("No master USB controller specified");
}

void check_usb_inputs(const Domain& d) {
    for (const auto& input : d.devices.inputs)
        if (has_no_usb(d) && input.bus == InputBus::usb) unsupported("Can't add USB input device. USB bus is disabled");
}

void check_usb_hostdevs(const Domain& d) {
    for (const auto& hostdev : d.devices.hostdevs)
        if (has_no_usb(d) && hostdev.mode == HostdevMode::subsystem && hostdev.type == HostdevType::usb)
            unsupported("Can't add host USB device: USB is disabled in this host");
}

void check_usb_hubs(const Domain& d) {
    for (const auto& hub : d.devices.hubs)
        if (has_no_usb(d) && hub.type == HubType::usb) unsupported("Can't add USB hub: USB is disabled for this domain");
}

// ---- character devices ----

void check_ends(Doc& doc, const CharSource& source) {
    doc.check("source", [&] {
        if (source.sources.size() > 2) broken("only two source elements are allowed for character device");
    });
}

void check_forward(const std::string& address) {
    if (address.empty()) broken("guestfwd channel does not define a target address");
    const IpAddress ip(address);
    if (!ip.valid()) rpc::fail(Code::system_error, "Cannot parse socket address '{}': Name or service not known", address);
    if (!ip.is_v4()) unsupported("guestfwd channel only supports IPv4 addresses");
}

void check_channel(Doc& doc, const Channel& channel) {
    const auto type = channel.target.type;
    doc.check("target", [&] {
        if (!type) broken("target type must be specified for channel device");
    });
    check_ends(doc, channel.source);
    doc.check("protocol", [&] {
        if (channel.source.type == CharType::spicevmc && type != ChannelTargetType::virtio)
            unsupported("spicevmc device type only supports virtio");
    });
}

void check_serial(Doc& doc, const Serial& serial) {
    check_ends(doc, serial.source);
    doc.check("protocol", [&] {
        if (serial.source.type == CharType::spicevmc) unsupported("spicevmc device type only supports virtio");
    });
    doc.check("", [&] {
        const bool usb = serial.target.type == SerialTargetType::usb_serial;
        if (usb && serial.info.address && !serial.info.is(AddressType::usb))
            unsupported("usb-serial requires address of usb type");
    });
}

void check_smartcard(Doc& doc, const Smartcard& smartcard) {
    if (smartcard.mode == SmartcardMode::passthrough) check_ends(doc, smartcard.source);
    doc.check("certificate", [&] {
        if (smartcard.mode == SmartcardMode::host_certificates && smartcard.certificates.size() != 3)
            broken("host-certificates mode needs exactly three certificates");
    });
    doc.check("database", [&] {
        if (!smartcard.database.empty() && !smartcard.database.starts_with('/'))
            broken("expecting absolute path: {}", smartcard.database);
    });
}

void check_rng(Doc& doc, const Rng& rng) {
    doc.check("backend", [&] {
        if (!rng.backend) broken("only one RNG backend is supported");
        if (rng.backend == RngBackend::egd && rng.source.sources.size() > 2)
            broken("only two source elements are allowed for character device");
    });
}

void check_tpm(Doc& doc, const Tpm& tpm) {
    doc.check("backend", [&] {
        if (!tpm.backend) broken("missing TPM device backend");
    });
}

// ---- network cards ----

namespace {

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

void check_ip(const NicIp& ip) {
    const bool right = ip.family == "ipv4" ? ip.address.is_v4() : ip.family == "ipv6" ? ip.address.is_v6() : ip.address.valid();
    if (!right) broken("Invalid address '{}' in <ip>", ip.address.text());
    if (ip.prefix && *ip.prefix > (ip.address.is_v6() ? 128U : 32U)) broken("Invalid prefix value '{}' in <ip>", *ip.prefix);
    if (!ip.peer.empty() && (!ip.peer.valid() || ip.peer.is_v6() != ip.address.is_v6()))
        rpc::fail(From::domain, Code::invalid_arg, "Invalid peer '{}' in <ip>", ip.peer.text());
}

void check_routes(const char* whose, const std::vector<NicRoute>& routes) {
    for (const auto& route : routes)
        check_route(whose, {route.family, route.address, route.netmask, route.prefix, route.gateway, route.metric});
}

// By what a switch knows a port is made up where the document leaves it open.
void name_port(VirtualPort& port) {
    if (port.type != "openvswitch" && port.type != "802.1Qbg") return;
    if (!port.parameters) port.parameters.emplace();
    auto& id = port.type == "openvswitch" ? port.parameters->interface_id : port.parameters->instance_id;
    if (!id) id = rpc::Uuid::random();
}

void check_port(Nic& nic) {
    if (!nic.virtual_port) return;
    if (!takes_virtual_port(nic.type)) unsupported("<virtualport> element unsupported for <interface type='{}'>", word(nic.type));
    check_virtual_port(*nic.virtual_port, nic.type == NicType::network ? PortNeeds::nothing : PortNeeds::everything);
    name_port(*nic.virtual_port);
}

void check_source(const Nic& nic) {
    for (const auto& ip : nic.source.ips) check_ip(ip);
    check_routes("interface host IP", nic.source.routes);
    if (nic.type == NicType::vhostuser && !lacks_source(nic)) {
        if (nic.source.type != "unix") unsupported("Type='{}' unsupported for <interface type='vhostuser'>", nic.source.type);
        check_enumerated("mode", "source", nic.source.socket_mode, {"server", "client"});
    }
    if (nic.type == NicType::udp && nic.source.port && !nic.source.local_port)
        broken("'<local>' element missing for 'udp' socket interface");
    if (lacks_source(nic)) broken("interface type='{}' requires a 'source' element", word(nic.type));
}

} // namespace

void check_nic(Doc& doc, Nic& nic) {
    doc.check("model", [&] {
        const auto is_word = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; };
        if (!std::ranges::all_of(nic.model, is_word))
            rpc::fail(From::domain, Code::invalid_arg, "Model name contains invalid characters");
    });
    doc.check("source", [&] { check_source(nic); });
    doc.check("virtualport", [&] { check_port(nic); });
    doc.check("bandwidth", [&] {
        check_bandwidth(nic.bandwidth, nic.type == NicType::network ? BandwidthOf::nic_on_network : BandwidthOf::other);
    });
    doc.check("vlan", [&] {
        if (nic.vlan) complete_vlan(*nic.vlan);
    });
    doc.check("ip", [&] {
        for (const auto& ip : nic.ips) check_ip(ip);
    });
    doc.check("route", [&] { check_routes("guest interface", nic.routes); });
    doc.check("mac", [&] {
        if (nic.mac.address && nic.mac.address->is_multicast())
            broken("expected unicast mac address, found multicast '{}'", nic.mac.address->text());
    });
    doc.check("teaming", [&] {
        if (nic.teaming && nic.teaming->type != "persistent" && nic.teaming->type != "transient")
            unsupported("unknown teaming type '{}'", nic.teaming->type.empty() ? "(null)" : nic.teaming->type);
    });
}

// ---- folders ----

void check_filesystem(Doc& doc, const Filesystem& fs) {
    doc.check("@fmode", [&] {
        if (fs.fmode.bits > 0777) broken("invalid fmode: '0{:o}'", fs.fmode.bits);
    });
    doc.check("@dmode", [&] {
        if (fs.dmode.bits > 0777) broken("invalid dmode: '0{:o}'", fs.dmode.bits);
    });
    doc.check("source", [&] {
        const bool reads = !fs.source.empty() || !fs.socket.empty() || fs.ram_kib || !fs.pool.empty();
        if (!reads) rpc::fail(From::domain, Code::no_source, "{}", fs.target);
    });
}

// ---- what the user sees, hears and touches ----

void check_input(Doc& doc, const Input& input) {
    doc.check("", [&] {
        const auto bus = input.bus.value_or(input.type == InputType::tablet ? InputBus::usb : InputBus::none);
        if (bus == InputBus::usb && input.info.address && !input.info.is(AddressType::usb))
            broken("Invalid address for a USB device");
        if (input.type == InputType::passthrough && input.source.evdev.empty()) broken("Missing evdev path for input device");
    });
}

namespace {

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

// The attributes listen= and socket= repeat the first <listen>; older documents have only them.
void check_listens(const Graphics& graphics) {
    const bool local = graphics.is(GraphicsType::vnc) || graphics.is(GraphicsType::spice);
    for (const auto& listen : graphics.listens)
        if (!local && (listen.type == ListenType::socket || listen.type == ListenType::none))
            unsupported("listen type '{}' is not available for graphics type '{}'", word(listen.type), word(graphics.type));
    if (graphics.listens.empty()) return;
    const auto& first = graphics.listens.front();
    if (first.type == ListenType::address && !graphics.listen.empty() && !first.address.empty() &&
        graphics.listen != first.address)
        unsupported("graphics 'listen' attribute '{}' must match 'address' attribute of first listen element (found '{}')",
                    graphics.listen, first.address);
    if (first.type == ListenType::socket && !graphics.socket.empty() && !first.socket.empty() && graphics.socket != first.socket)
        unsupported("graphics 'socket' attribute '{}' must match 'socket' attribute of first listen element (found '{}')",
                    graphics.socket, first.socket);
}

} // namespace

void check_graphics(Doc& doc, const Graphics& graphics) {
    doc.check("listen", [&] { check_listens(graphics); });
    doc.check("@passwd", [&] { check_passwords(graphics); });
}

static void check_audio_settings(const AudioDirection& direction) {
    const bool fixed = direction.fixed_settings && *direction.fixed_settings;
    const auto& settings = direction.settings;
    if (!fixed && (settings.frequency || settings.channels || settings.format))
        unsupported("audio settings specified without fixed settings flag");
}

void check_audio(Doc& doc, const Audio& audio) {
    doc.check("input", [&] { check_audio_settings(audio.input); });
    doc.check("output", [&] { check_audio_settings(audio.output); });
}

// ---- the rest ----

void check_memory(Doc& doc, const MemoryDevice& memory) {
    doc.check("source", [&] {
        const bool pins =
            memory.model == MemoryModel::dimm || memory.model == MemoryModel::virtio_mem || memory.model == MemoryModel::sgx_epc;
        if (pins && !memory.nodemask.empty()) numbers_of(memory.nodemask, "nodemask");
    });
    doc.check("target", [&] {
        if (!memory.target.size) broken("missing <target> element for <memory> device");
        if (memory.model != MemoryModel::nvdimm || !memory.target.label) return;
        const auto label = memory.target.label->value;
        if (label && label < 128) broken("nvdimm label must be at least 128KiB");
        if (label >= memory.target.size) broken("label size must be smaller than NVDIMM size");
    });
}

void check_shmem(Doc& doc, const Shmem& shmem) {
    doc.check("msi", [&] {
        if (shmem.msi && !shmem.server) broken("msi option is only supported with a server");
    });
}

void check_lease(Doc& doc, const Lease& lease) {
    doc.check("", [&] {
        if (lease.key.empty()) broken("Missing 'key' element for lease");
        if (lease.path.empty()) broken("Missing 'target' element for lease");
    });
}

} // namespace lodge::xml
