// <bandwidth> by the kernel's traffic control. Rates are kB/s, as documents have them. Every call throws where the kernel cannot
// keep a limit, and leaves none of what it began.
#pragma once
#include "rpc/task.hpp"
#include "xml/network_parts.hpp"

namespace lodge::drivers {

// Of one tap or macvtap. A new limit needs clear before.
rpc::Task<> set_bandwidth(std::string device, xml::Bandwidth bandwidth);
rpc::Task<> clear_bandwidth(std::string device);

// Of a network's bridge. What it lets in is shared by its guests: to each what it was promised (<inbound floor>), and the rest to
// whoever asks.
rpc::Task<> set_shared_bandwidth(std::string bridge, xml::Bandwidth bandwidth);
struct Promise {
    unsigned class_id = 0; // 3…65535: the first are the bridge's own
    xml::MacAddress mac;
    std::uint64_t floor = 0;
};
// `limit` is the network's inbound rate, `promised` the sum of all floors with this one in it or, at the end, without.
rpc::Task<> add_promise(std::string bridge, xml::BandwidthRate limit, Promise promise, std::uint64_t promised);
rpc::Task<> change_promise(std::string bridge, xml::BandwidthRate limit, Promise promise, std::uint64_t promised);
// No error where its class is gone already.
rpc::Task<> remove_promise(std::string bridge, xml::BandwidthRate limit, unsigned class_id, std::uint64_t promised);

// What tc is told.
std::string bandwidth_batch(const std::string& device, const xml::Bandwidth& bandwidth);
std::string shared_bandwidth_batch(const std::string& bridge, const xml::Bandwidth& bandwidth);
std::string promise_batch(const std::string& bridge, const xml::BandwidthRate& limit, const Promise& promise,
                          std::uint64_t promised);

} // namespace lodge::drivers
