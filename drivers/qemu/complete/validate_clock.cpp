#include "drivers/qemu/complete/validate.hpp"

namespace lodge::drivers::qemu {

using rpc::From;
using xml::TickPolicy;
using xml::TimerName;

namespace {

void check_timer(const xml::Timer& timer, const xml::Domain& domain) {
    const auto name = xml::word(timer.name);
    const auto policy = timer.tick_policy;
    switch (timer.name) {
    case TimerName::platform: unsupported(From::qemu, "unsupported timer type (name) '{}'", name);
    case TimerName::rtc:
        if (timer.track == xml::TimerTrack::boot)
            unsupported(From::qemu, "unsupported rtc timer track '{}'", xml::word(*timer.track));
        if (policy == TickPolicy::merge || policy == TickPolicy::discard)
            unsupported(From::qemu, "unsupported rtc timer tickpolicy '{}'", xml::word(*policy));
        return;
    case TimerName::pit:
        if (policy == TickPolicy::merge) unsupported(From::qemu, "unsupported pit tickpolicy '{}'", xml::word(*policy));
        return;
    case TimerName::armvtimer:
        unsupported(From::qemu, "Configuring the '{}' timer is not supported for virtType={} arch={} machine={} guests", name,
                    xml::word(domain.type), domain.os.type.arch, domain.os.type.machine);
    default: return;
    }
}

} // namespace

void validate_clock(const xml::Domain& domain) {
    if (!domain.clock) return;
    constexpr std::int64_t end_of_year_9999 = 253402300799;
    for (const auto& timer : domain.clock->timers) check_timer(timer, domain);
    apply({{domain.clock->offset == xml::ClockOffset::absolute && domain.clock->start.value_or(0) > end_of_year_9999,
            "The maximum 'start' value for <clock offset='absolute'> is 253402300799"}});
}

} // namespace lodge::drivers::qemu
