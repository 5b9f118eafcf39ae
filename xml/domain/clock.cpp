#include "xml/domain/clock.hpp"

namespace lodge::xml {

static void describe(Doc& doc, Catchup& c) {
    doc.attribute("threshold", c.threshold);
    doc.attribute("slew", c.slew);
    doc.attribute("limit", c.limit);
}
static void describe(Doc& doc, Timer& t) {
    doc.required("name", t.name, Mark::guest);
    doc.attribute("present", t.present, Mark::guest);
    doc.attribute("tickpolicy", t.tick_policy);
    doc.attribute("track", t.track);
    doc.attribute("frequency", t.frequency, Mark::guest);
    doc.attribute("mode", t.mode, Mark::guest);
    doc.child("catchup", t.catchup);
    const auto zero = [](const auto& value) { return value.value_or(0) == 0; };
    if (doc.reading() && t.catchup && zero(t.catchup->threshold) && zero(t.catchup->slew) && zero(t.catchup->limit))
        t.catchup.reset();
}
void describe(Doc& doc, Clock& c) {
    doc.attribute("offset", c.offset);
    doc.attribute("adjustment", c.adjustment);
    if (std::int64_t seconds = 0; doc.reading() && parse_signed(c.adjustment, seconds)) c.adjustment = std::to_string(seconds);
    doc.attribute("basis", c.basis);
    doc.attribute("timezone", c.timezone);
    doc.attribute("start", c.start);
    doc.list("timer", c.timers, Mark::guest);
}

static void describe(Doc& doc, SleepState& s) { doc.attribute("enabled", s.enabled); }
void describe(Doc& doc, PowerManagement& p) {
    doc.child("suspend-to-mem", p.suspend_to_mem, Mark::filled);
    doc.child("suspend-to-disk", p.suspend_to_disk, Mark::filled);
}

std::span<const std::string_view> perf_event_names() {
    static constexpr std::string_view names[] = {"cmt",
                                                 "mbmt",
                                                 "mbml",
                                                 "cpu_cycles",
                                                 "instructions",
                                                 "cache_references",
                                                 "cache_misses",
                                                 "branch_instructions",
                                                 "branch_misses",
                                                 "bus_cycles",
                                                 "stalled_cycles_frontend",
                                                 "stalled_cycles_backend",
                                                 "ref_cpu_cycles",
                                                 "cpu_clock",
                                                 "task_clock",
                                                 "page_faults",
                                                 "context_switches",
                                                 "cpu_migrations",
                                                 "page_faults_min",
                                                 "page_faults_maj",
                                                 "alignment_faults",
                                                 "emulation_faults"};
    return names;
}

void describe(Doc& doc, PerfEvent& e) {
    doc.required("name", e.name);
    doc.check("@name", [&] {
        if (std::ranges::find(perf_event_names(), e.name) == perf_event_names().end())
            rpc::fail(From::xml, Code::xml_error, "Invalid value for attribute 'name' in element 'event': '{}'.", e.name);
    });
    doc.required("enabled", e.enabled);
}

} // namespace lodge::xml
