// The guest's clocks, and what its power states do.
#include "drivers/qemu/command_line/builder.hpp"
#include <chrono>

namespace lodge::drivers::qemu {

using namespace xml;

namespace {

const Clock& clock_of(const Domain& domain) {
    static const Clock utc;
    return domain.clock ? *domain.clock : utc;
}

std::string date_text(std::int64_t seconds) {
    const std::chrono::sys_seconds time{std::chrono::seconds(seconds)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                       static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(),
                       clock.seconds().count());
}

// The host's clock and what the guest was away from it when it last ran.
std::string variable_base(const Builder& builder) {
    const Clock& clock = clock_of(builder.domain);
    const std::int64_t now = builder.ctx.now.value_or(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count());
    std::int64_t adjustment = 0;
    parse_signed(clock.adjustment, adjustment); // "reset" is none
    const bool local = clock.basis == ClockBasis::localtime;
    return date_text(now + adjustment + (local ? builder.ctx.local_offset_s : 0));
}

std::string rtc_base(const Builder& builder) {
    switch (clock_of(builder.domain).offset) {
    case ClockOffset::utc: return "utc";
    case ClockOffset::localtime: return "localtime";
    case ClockOffset::timezone: return "localtime"; // and TZ in the environment
    case ClockOffset::variable: return variable_base(builder);
    case ClockOffset::absolute: return date_text(clock_of(builder.domain).start.value_or(0));
    }
    return "utc";
}

void add_rtc(Builder& builder) {
    const Clock& clock = clock_of(builder.domain);
    std::string words = "base=" + rtc_base(builder);
    for (const auto& timer : clock.timers) {
        if (timer.name != TimerName::rtc) continue;
        if (timer.track == TimerTrack::wall) words += ",clock=host";
        if (timer.track == TimerTrack::guest) words += ",clock=vm";
        if (timer.track == TimerTrack::realtime) words += ",clock=rt";
        if (timer.tick_policy == TickPolicy::catchup) words += ",driftfix=slew";
    }
    builder.option("-rtc", words);
}

void add_timer(Builder& builder, const Timer& timer) {
    if (timer.name == TimerName::pit) {
        if (timer.tick_policy == TickPolicy::delay) builder.option("-global", "kvm-pit.lost_tick_policy=delay");
        if (timer.tick_policy == TickPolicy::discard) builder.option("-global", "kvm-pit.lost_tick_policy=discard");
    }
    if (timer.name == TimerName::hpet && timer.present && !*timer.present && builder.ctx.emulator.version < 8'000'000)
        builder.option("-no-hpet");
}

void add_sleep_state(Builder& builder, const char* name, const std::optional<SleepState>& state) {
    if (!state || !state->enabled) return;
    builder.option("-global",
                   fmt::format("{}.{}={}", is_q35(builder.domain) ? "ICH9-LPC" : "PIIX4_PM", name, *state->enabled ? 0 : 1));
}

} // namespace

void add_clock(Builder& builder) {
    add_rtc(builder);
    for (const auto& timer : clock_of(builder.domain).timers) add_timer(builder, timer);
}

void add_power(Builder& builder) {
    builder.option("-no-shutdown");
    if (!features_of(builder.domain).acpi && builder.ctx.emulator.version < 9'000'000) builder.option("-no-acpi");
    if (!builder.domain.pm) return;
    add_sleep_state(builder, "disable_s3", builder.domain.pm->suspend_to_mem);
    add_sleep_state(builder, "disable_s4", builder.domain.pm->suspend_to_disk);
}

} // namespace lodge::drivers::qemu
