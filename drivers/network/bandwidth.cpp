// <bandwidth> by the kernel's traffic control: what goes out of a device is shaped, what comes in is policed.
#include "drivers/network/network_driver.hpp"
#include "drivers/process/process.hpp"
#include "rpc/error.hpp"

namespace lodge::drivers {

// Documents count kilobytes per second, and so does tc's "kbps". `inbound` is the guest's view: out of the bridge or tap.
std::string bandwidth_batch(const std::string& device, const xml::Bandwidth& bandwidth) {
    std::string batch;
    if (bandwidth.inbound && bandwidth.inbound->average) {
        const auto& rate = *bandwidth.inbound;
        batch += fmt::format("qdisc add dev {0} root handle 1: htb default 1\n"
                             "class add dev {0} parent 1: classid 1:1 htb rate {1}kbps ceil {2}kbps",
                             device, rate.average->value, rate.peak ? rate.peak->value : rate.average->value);
        if (rate.burst) batch += fmt::format(" burst {}kb", rate.burst->value);
        batch += '\n';
    }
    if (bandwidth.outbound && bandwidth.outbound->average) {
        const auto& rate = *bandwidth.outbound;
        // A burst below a second's tenth would let TCP starve.
        const auto burst = rate.burst ? rate.burst->value : std::max<std::uint64_t>(rate.average->value, 64);
        batch += fmt::format("qdisc add dev {0} ingress\n"
                             "filter add dev {0} parent ffff: protocol all u32 match u32 0 0 police rate {1}kbps burst {2}kb "
                             "mtu 64kb drop flowid :1\n",
                             device, rate.average->value, burst);
    }
    return batch;
}

static Command tc(std::vector<std::string> words) {
    Command command;
    command.program = "tc";
    command.args = std::move(words);
    return command;
}

rpc::Task<> clear_bandwidth(std::string device) {
    // Not there is no error: only the end counts.
    co_await run(tc({"qdisc", "del", "dev", device, "root"}));
    co_await run(tc({"qdisc", "del", "dev", device, "ingress"}));
}

rpc::Task<> set_bandwidth(std::string device, xml::Bandwidth bandwidth) {
    auto command = tc({"-batch", "-"});
    command.input = bandwidth_batch(device, bandwidth);
    if (command.input.empty()) co_return;
    const auto result = co_await run(std::move(command));
    if (result.exit.success()) co_return;
    co_await clear_bandwidth(device);
    rpc::fail(rpc::Code::internal_error, "cannot limit the bandwidth of '{}': {}", device, result.reason());
}

} // namespace lodge::drivers
