#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

void add_panics(Builder& builder) {
    for (const auto& panic : builder.domain.devices.panics) {
        switch (panic.model.value_or(PanicModel::isa)) {
        case PanicModel::isa: {
            Json json{{"driver", "pvpanic"}};
            if (panic.info.is(AddressType::isa) && panic.info.address->isa.iobase)
                json["ioport"] = panic.info.address->isa.iobase->value;
            builder.device(json);
            break;
        }
        case PanicModel::pvpanic: {
            Json json{{"driver", "pvpanic-pci"}};
            put_address(json, builder.domain, panic.info);
            builder.device(json);
            break;
        }
        case PanicModel::hyperv: break; // a feature of the CPU
        default: rpc::fail(Code::config_unsupported, "the QEMU binary does not support the {} panic device", word(*panic.model));
        }
    }
}

} // namespace lodge::drivers::qemu
