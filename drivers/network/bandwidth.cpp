// What goes out of a device is shaped, what comes in is policed.
#include "drivers/network/bandwidth.hpp"
#include "drivers/process/process.hpp"
#include "rpc/error.hpp"

namespace lodge::drivers {

namespace {

constexpr unsigned first_promise = 3;

std::uint64_t ceiling(const xml::BandwidthRate& rate) { return rate.peak ? rate.peak->value : rate.average->value; }

// Documents count kilobytes per second, and so does tc's "kbps". `inbound` is the guest's view: out of the bridge or tap.
std::string inbound_batch(const std::string& device, const xml::BandwidthRate& rate, unsigned default_class) {
    std::string batch = fmt::format("qdisc add dev {0} root handle 1: htb default {1}\n"
                                    "class add dev {0} parent 1: classid 1:1 htb rate {2}kbps ceil {3}kbps",
                                    device, default_class, rate.average->value, ceiling(rate));
    if (rate.burst) batch += fmt::format(" burst {}kb", rate.burst->value);
    return batch + '\n';
}

std::string outbound_batch(const std::string& device, const xml::BandwidthRate& rate) {
    // A burst below a second's tenth would let TCP starve.
    const auto burst = rate.burst ? rate.burst->value : std::max<std::uint64_t>(rate.average->value, 64);
    return fmt::format("qdisc add dev {0} ingress\n"
                       "filter add dev {0} parent ffff: protocol all u32 match u32 0 0 police rate {1}kbps burst {2}kb "
                       "mtu 64kb drop flowid :1\n",
                       device, rate.average->value, burst);
}

bool has_average(const std::optional<xml::BandwidthRate>& rate) { return rate && rate->average; }

// Class 2 is of all guests to which nothing was promised: it shrinks as promises grow, to next to nothing.
std::string rest_line(const char* verb, const std::string& bridge, const xml::BandwidthRate& limit, std::uint64_t promised) {
    const auto all = ceiling(limit);
    const auto rest = promised ? std::max<std::uint64_t>(all - std::min(all, promised), 1) : limit.average->value;
    return fmt::format("class {} dev {} parent 1:1 classid 1:2 htb rate {}kbps ceil {}kbps\n", verb, bridge, rest, all);
}

std::string class_line(const char* verb, const std::string& bridge, const xml::BandwidthRate& limit, const Promise& promise) {
    return fmt::format("class {} dev {} parent 1:1 classid 1:{:x} htb rate {}kbps ceil {}kbps\n", verb, bridge, promise.class_id,
                       promise.floor, ceiling(limit));
}

Command tc(std::vector<std::string> words) {
    Command command;
    command.program = "tc";
    command.args = std::move(words);
    return command;
}

rpc::Task<RunResult> run_batch(std::string batch) {
    auto command = tc({"-batch", "-"});
    command.input = std::move(batch);
    co_return co_await run(std::move(command));
}

[[noreturn]] void fail(const std::string& device, const RunResult& result) {
    rpc::fail(rpc::Code::internal_error, "cannot limit the bandwidth of '{}': {}", device, result.reason());
}

rpc::Task<> apply(std::string device, std::string batch) {
    if (batch.empty()) co_return;
    const auto result = co_await run_batch(std::move(batch));
    if (result.exit.success()) co_return;
    co_await clear_bandwidth(device);
    fail(device, result);
}

} // namespace

std::string bandwidth_batch(const std::string& device, const xml::Bandwidth& bandwidth) {
    std::string batch;
    if (has_average(bandwidth.inbound)) batch += inbound_batch(device, *bandwidth.inbound, 1);
    if (has_average(bandwidth.outbound)) batch += outbound_batch(device, *bandwidth.outbound);
    return batch;
}

std::string shared_bandwidth_batch(const std::string& bridge, const xml::Bandwidth& bandwidth) {
    std::string batch;
    if (has_average(bandwidth.inbound))
        batch += inbound_batch(bridge, *bandwidth.inbound, 2) + rest_line("add", bridge, *bandwidth.inbound, 0);
    if (has_average(bandwidth.outbound)) batch += outbound_batch(bridge, *bandwidth.outbound);
    return batch;
}

// The guest's frames are known by the address that they go to, which stands before the header that u32 counts from. One priority
// for each promise, so that its filter can be named again.
std::string promise_batch(const std::string& bridge, const xml::BandwidthRate& limit, const Promise& promise,
                          std::uint64_t promised) {
    const auto& b = promise.mac.bytes;
    return class_line("add", bridge, limit, promise) +
           fmt::format("filter add dev {0} parent 1: protocol all prio {1} u32 match u16 0x{2:02x}{3:02x} 0xffff at -14 "
                       "match u32 0x{4:02x}{5:02x}{6:02x}{7:02x} 0xffffffff at -12 flowid 1:{1:x}\n",
                       bridge, promise.class_id, b[0], b[1], b[2], b[3], b[4], b[5]) +
           rest_line("change", bridge, limit, promised);
}

rpc::Task<> clear_bandwidth(std::string device) {
    // Not there is no error: only the end counts.
    co_await run(tc({"qdisc", "del", "dev", device, "root"}));
    co_await run(tc({"qdisc", "del", "dev", device, "ingress"}));
}

rpc::Task<> set_bandwidth(std::string device, xml::Bandwidth bandwidth) {
    co_await apply(device, bandwidth_batch(device, bandwidth));
}

rpc::Task<> set_shared_bandwidth(std::string bridge, xml::Bandwidth bandwidth) {
    co_await apply(bridge, shared_bandwidth_batch(bridge, bandwidth));
}

rpc::Task<> add_promise(std::string bridge, xml::BandwidthRate limit, Promise promise, std::uint64_t promised) {
    if (promise.class_id < first_promise) rpc::fail(rpc::Code::internal_error, "Invalid class ID {}", promise.class_id);
    const auto result = co_await run_batch(promise_batch(bridge, limit, promise, promised));
    if (result.exit.success()) co_return;
    co_await remove_promise(bridge, limit, promise.class_id, promised - promise.floor);
    fail(bridge, result);
}

rpc::Task<> change_promise(std::string bridge, xml::BandwidthRate limit, Promise promise, std::uint64_t promised) {
    const auto result =
        co_await run_batch(class_line("change", bridge, limit, promise) + rest_line("change", bridge, limit, promised));
    if (!result.exit.success()) fail(bridge, result);
}

rpc::Task<> remove_promise(std::string bridge, xml::BandwidthRate limit, unsigned class_id, std::uint64_t promised) {
    auto command = tc({"-force", "-batch", "-"});
    command.input = fmt::format("filter del dev {0} parent 1: prio {1}\nclass del dev {0} classid 1:{1:x}\n", bridge, class_id) +
                    rest_line("change", bridge, limit, promised);
    co_await run(std::move(command));
}

} // namespace lodge::drivers
