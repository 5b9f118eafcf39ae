// <clock>, <pm> and <perf>.
#pragma once
#include "xml/describe.hpp"

namespace lodge::xml {

enum class ClockOffset { utc, localtime, variable, timezone, absolute };
inline std::span<const std::string_view> enum_words(ClockOffset) {
    static constexpr std::string_view w[] = {"utc", "localtime", "variable", "timezone", "absolute"};
    return w;
}
enum class ClockBasis { utc, localtime };
inline std::span<const std::string_view> enum_words(ClockBasis) {
    static constexpr std::string_view w[] = {"utc", "localtime"};
    return w;
}
enum class TimerName { platform, pit, rtc, hpet, tsc, kvmclock, hypervclock, armvtimer };
inline std::span<const std::string_view> enum_words(TimerName) {
    static constexpr std::string_view w[] = {"platform", "pit", "rtc", "hpet", "tsc", "kvmclock", "hypervclock", "armvtimer"};
    return w;
}
enum class TimerTrack { boot, guest, wall, realtime };
inline std::span<const std::string_view> enum_words(TimerTrack) {
    static constexpr std::string_view w[] = {"boot", "guest", "wall", "realtime"};
    return w;
}
enum class TickPolicy { delay, catchup, merge, discard };
inline std::span<const std::string_view> enum_words(TickPolicy) {
    static constexpr std::string_view w[] = {"delay", "catchup", "merge", "discard"};
    return w;
}
enum class TimerMode { auto_, native, emulate, paravirt, smpsafe };
inline std::span<const std::string_view> enum_words(TimerMode) {
    static constexpr std::string_view w[] = {"auto", "native", "emulate", "paravirt", "smpsafe"};
    return w;
}

struct Catchup {
    std::optional<unsigned> threshold, slew, limit;
};
struct Timer {
    TimerName name = TimerName::rtc;
    std::optional<YesNo> present;
    std::optional<TickPolicy> tick_policy;
    std::optional<TimerTrack> track;
    std::optional<std::uint64_t> frequency; // Hz
    std::optional<TimerMode> mode;
    std::optional<Catchup> catchup;
};
struct Clock {
    ClockOffset offset = ClockOffset::utc;
    std::string adjustment; // seconds, or "reset"
    std::optional<ClockBasis> basis;
    std::string timezone;
    std::optional<std::int64_t> start; // seconds since the epoch: absolute
    std::vector<Timer> timers;
};
void describe(Doc&, Clock&);

struct SleepState {
    std::optional<YesNo> enabled;
};
struct PowerManagement {
    std::optional<SleepState> suspend_to_mem, suspend_to_disk;
};
void describe(Doc&, PowerManagement&);

// The counters that a guest can have, in libvirt's order.
std::span<const std::string_view> perf_event_names();
struct PerfEvent {
    std::string name;
    YesNo enabled;
};
void describe(Doc&, PerfEvent&);

} // namespace lodge::xml
