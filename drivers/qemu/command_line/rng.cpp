// Sources of random bytes, and virtio's crypto device.
#include "drivers/qemu/command_line/builder.hpp"

namespace lodge::drivers::qemu {

using namespace xml;

Json backend_json(const Rng& rng) {
    const std::string id = "obj" + rng.info.alias;
    switch (rng.backend.value_or(RngBackend::random)) {
    case RngBackend::random: return {{"qom-type", "rng-random"}, {"id", id}, {"filename", rng.file}};
    case RngBackend::egd: return {{"qom-type", "rng-egd"}, {"id", id}, {"chardev", "char" + rng.info.alias}};
    case RngBackend::builtin: return {{"qom-type", "rng-builtin"}, {"id", id}};
    }
    return {};
}

Json device_json(const Domain& domain, const Rng& rng, const BuildContext&) {
    Json json{{"driver", virtio_driver("virtio-rng", rng.info, rng.model)}};
    put_virtio(json, rng.virtio);
    json["rng"] = "obj" + rng.info.alias;
    json["id"] = rng.info.alias;
    if (rng.rate && rng.rate->bytes) {
        json["max-bytes"] = rng.rate->bytes;
        json["period"] = rng.rate->period.value_or(1000);
    }
    put_address(json, domain, rng.info);
    return json;
}

void add_rngs(Builder& builder) {
    for (const auto& rng : builder.domain.devices.rngs) {
        if (rng.backend == RngBackend::egd) add_chardev(builder, rng.source, rng.info.alias, "rng");
        builder.object(backend_json(rng));
        builder.device(device_json(builder.domain, rng, builder.ctx));
    }
}

void add_cryptos(Builder& builder) {
    for (const auto& crypto : builder.domain.devices.cryptos) {
        const std::string id = "obj" + crypto.info.alias;
        const bool kernel = crypto.backend == CryptoBackend::lkcf;
        Json backend{{"qom-type", kernel ? "cryptodev-backend-lkcf" : "cryptodev-backend-builtin"}, {"id", id}};
        put(backend, "queues", crypto.queues);
        builder.object(backend);
        Json json{{"driver", virtio_driver("virtio-crypto", crypto.info)}};
        put_virtio(json, crypto.virtio);
        json["cryptodev"] = id;
        json["id"] = crypto.info.alias;
        put_address(json, builder.domain, crypto.info);
        builder.device(json);
    }
}

} // namespace lodge::drivers::qemu
