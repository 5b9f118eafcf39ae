#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

Json smartcard_json(const Smartcard& card) {
    switch (card.mode) {
    case SmartcardMode::host: return {{"driver", "ccid-card-emulated"}, {"backend", "nss-emulated"}};
    case SmartcardMode::host_certificates: {
        Json json{{"driver", "ccid-card-emulated"}, {"backend", "certificates"}};
        unsigned number = 1;
        for (const auto& certificate : card.certificates) json[fmt::format("cert{}", number++)] = certificate;
        json["db"] = card.database.empty() ? "/etc/pki/nssdb" : card.database;
        return json;
    }
    case SmartcardMode::passthrough: break;
    }
    return {{"driver", "ccid-card-passthru"}, {"chardev", "char" + card.info.alias}};
}

} // namespace

void add_smartcards(Builder& builder) {
    for (const auto& card : builder.domain.devices.smartcards) {
        if (card.mode == SmartcardMode::passthrough) add_chardev(builder, card.source, card.info.alias, "smartcard");
        Json json = smartcard_json(card);
        json["id"] = card.info.alias;
        put_address(json, builder.domain, card.info);
        builder.device(json);
    }
}

} // namespace lodge::drivers::qemu
