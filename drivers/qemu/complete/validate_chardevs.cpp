#include "drivers/qemu/complete/validate.hpp"

namespace lodge::drivers::qemu {

using rpc::Code;
using rpc::From;
using xml::AddressType;
using xml::CharType;
using xml::SerialModel;
using xml::SerialTargetType;

namespace {

void check_source(const xml::CharSource& source, const Guest& guest) {
    for (const auto& end : source.sources)
        if ((source.type == CharType::tcp || source.type == CharType::unix_) && end.reconnect && end.reconnect->enabled &&
            end.reconnect->timeout == 0U)
            rpc::fail(From::qemu, Code::invalid_arg, "chardev reconnect source timeout cannot be '0'");
    if ((source.type == CharType::spicevmc || source.type == CharType::spiceport) && !has_spice(guest.domain.devices))
        unsupported(From::qemu, "chardev '{}' not supported without spice graphics", xml::word(source.type));
}

// ---- serial ports ----

std::optional<AddressType> bus_of(SerialTargetType type) {
    using enum SerialTargetType;
    switch (type) {
    case isa_serial:
    case isa_debug: return AddressType::isa;
    case usb_serial: return AddressType::usb;
    case pci_serial: return AddressType::pci;
    case spapr_vio_serial: return AddressType::spapr_vio;
    default: return std::nullopt;
    }
}

SerialTargetType type_of(SerialModel model) {
    switch (model) {
    case SerialModel::isa_serial: return SerialTargetType::isa_serial;
    case SerialModel::usb_serial: return SerialTargetType::usb_serial;
    case SerialModel::pci_serial: return SerialTargetType::pci_serial;
    case SerialModel::spapr_vty: return SerialTargetType::spapr_vio_serial;
    case SerialModel::pl011:
    case SerialModel::uart_16550a: return SerialTargetType::system_serial;
    case SerialModel::sclpconsole:
    case SerialModel::sclplmconsole: return SerialTargetType::sclp_serial;
    case SerialModel::isa_debugcon: return SerialTargetType::isa_debug;
    case SerialModel::none: break;
    }
    return SerialTargetType::none;
}

void check_serial(const xml::Serial& serial) {
    using enum SerialTargetType;
    const auto type = serial.target.type.value_or(none);
    const auto model = serial.target.model.value_or(SerialModel::none);
    const auto bus = bus_of(type);
    if (bus && serial.info.address && !serial.info.is(*bus))
        unsupported(From::qemu, "Target type '{}' requires address type '{}'", xml::word(type), xml::word(*bus));
    if ((type == system_serial || type == sclp_serial) && serial.info.address)
        unsupported(From::qemu, "Target type '{}' cannot have an associated address", xml::word(type));
    if (model != SerialModel::none && type != type_of(model))
        unsupported(From::qemu, "Target model '{}' requires target type '{}'", xml::word(model), xml::word(type_of(model)));
    // Hardware of other machines than PCs.
    const bool foreign = type == spapr_vio_serial || type == sclp_serial || model == SerialModel::spapr_vty ||
                         (type == system_serial && (model == SerialModel::pl011 || model == SerialModel::uart_16550a)) ||
                         model == SerialModel::sclpconsole || model == SerialModel::sclplmconsole;
    if (foreign)
        unsupported(
            From::qemu,
            "Serial device with target type '{}' and target model '{}' not compatible with guest architecture or machine type",
            xml::word(type), xml::word(model));
}

} // namespace

void validate_device(const xml::Smartcard& smartcard, const Guest& guest) {
    const bool first =
        smartcard.info.is(AddressType::ccid) && !smartcard.info.address->ccid.controller && !smartcard.info.address->ccid.slot;
    apply({{guest.domain.devices.smartcards.size() > 1 || !first, "this QEMU binary lacks multiple smartcard support"}});
    if (smartcard.mode == xml::SmartcardMode::passthrough) check_source(smartcard.source, guest);
}

void validate_device(const xml::Serial& serial, const Guest& guest) {
    check_source(serial.source, guest);
    check_serial(serial);
}

void validate_device(const xml::Parallel& parallel, const Guest& guest) { check_source(parallel.source, guest); }
void validate_device(const xml::Channel& channel, const Guest& guest) { check_source(channel.source, guest); }
void validate_device(const xml::Console& console, const Guest& guest) { check_source(console.source, guest); }
void validate_device(const xml::Redirdev& redirdev, const Guest& guest) { check_source(redirdev.source, guest); }

void validate_device(const xml::Rng& rng, const Guest& guest) {
    if (rng.backend == xml::RngBackend::egd) check_source(rng.source, guest);
}

} // namespace lodge::drivers::qemu
