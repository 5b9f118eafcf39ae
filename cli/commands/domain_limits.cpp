// Limits and events of a guest that are typed parameters: block I/O, NUMA, a card's traffic, perf.
#include "cli/commands.hpp"
#include "cli/device_facts.hpp"
#include "cli/lookup.hpp"
#include "cli/parameters.hpp"
#include "cli/words.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace lodge::cli {

namespace {

// ---- block I/O ----

void blkiotune(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    Parameters wanted;
    if (arguments.has("weight")) {
        const int weight = arguments.number<int>("weight").value_or(0);
        if (weight <= 0) fail("Invalid value of {} for I/O weight", weight);
        wanted.add(VIR_DOMAIN_BLKIO_WEIGHT, static_cast<unsigned>(weight));
    }
    for (const auto& [option, field] : std::initializer_list<std::pair<const char*, const char*>>{
             {"device-weights", VIR_DOMAIN_BLKIO_DEVICE_WEIGHT},
             {"device-read-iops-sec", VIR_DOMAIN_BLKIO_DEVICE_READ_IOPS},
             {"device-write-iops-sec", VIR_DOMAIN_BLKIO_DEVICE_WRITE_IOPS},
             {"device-read-bytes-sec", VIR_DOMAIN_BLKIO_DEVICE_READ_BPS},
             {"device-write-bytes-sec", VIR_DOMAIN_BLKIO_DEVICE_WRITE_BPS}})
        if (const auto list = arguments.text(option)) wanted.add(field, *list);
    if (wanted.count()) {
        check(virDomainSetBlkioParameters(domain.get(), wanted.list(), wanted.count(), affect.flags()),
              "Unable to change blkio parameters");
        return;
    }
    int count = 0;
    check(virDomainGetBlkioParameters(domain.get(), nullptr, &count, affect.flags()), "Unable to get number of blkio parameters");
    Parameters now;
    check(virDomainGetBlkioParameters(domain.get(), now.room_for(count), &count, affect.flags()),
          "Unable to get blkio parameters");
    now.filled(count);
    show_parameters(session, now);
}

// ---- NUMA ----

constexpr std::string_view numa_modes[] = {"strict", "preferred", "interleave", "restrictive"};

// Words, or the number of a mode that a newer daemon knows.
int numa_mode(const std::string& word) {
    const auto* known = std::ranges::find(numa_modes, word);
    if (known != std::end(numa_modes)) return static_cast<int>(known - numa_modes);
    int number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size()) fail("Invalid mode: {}", word);
    return number;
}

void numatune(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    Parameters wanted;
    if (const auto nodes = arguments.text("nodeset")) wanted.add(VIR_DOMAIN_NUMA_NODESET, *nodes);
    if (const auto mode = arguments.text("mode")) wanted.add(VIR_DOMAIN_NUMA_MODE, numa_mode(*mode));
    if (wanted.count()) {
        check(virDomainSetNumaParameters(domain.get(), wanted.list(), wanted.count(), affect.flags()),
              "Unable to change numa parameters");
        return;
    }
    int count = 0;
    check(virDomainGetNumaParameters(domain.get(), nullptr, &count, affect.flags()), "Unable to get number of memory parameters");
    Parameters now;
    check(virDomainGetNumaParameters(domain.get(), now.room_for(count), &count, affect.flags()), "Unable to get numa parameters");
    now.filled(count);
    Parameters shown;
    for (const auto& one : now)
        if (one.type == VIR_TYPED_PARAM_INT)
            shown.add(one.field, std::string(word_at(numa_modes, one.value.i)));
        else
            shown.add(one.field, std::string(one.value.s));
    show_parameters(session, shown);
}

// ---- a card's traffic ----

void add_rate(Parameters& wanted, const char* direction, const Rate& rate) {
    const auto one = [&](const char* what, unsigned long long value, bool always) {
        if (value || always) wanted.add(fmt::format("{}.{}", direction, what).c_str(), static_cast<unsigned>(value));
    };
    one("average", rate.average, true);
    one("peak", rate.peak, false);
    one("burst", rate.burst, false);
    one("floor", rate.floor, false);
}

bool too_large(const Rate& rate) {
    return std::max({rate.average, rate.peak, rate.burst}) > std::numeric_limits<unsigned>::max();
}

void domiftune(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    const char* card = arguments.required("interface").c_str();
    Parameters wanted;
    if (const auto text = arguments.text("inbound")) {
        const Rate rate = read_rate(*text);
        if (too_large(rate)) fail("inbound rate larger than maximum {}", std::numeric_limits<unsigned>::max());
        if (!rate.average && (rate.burst || rate.peak) && !rate.floor) fail("either inbound average or floor is mandatory");
        add_rate(wanted, "inbound", rate);
    }
    if (const auto text = arguments.text("outbound")) {
        const Rate rate = read_rate(*text);
        if (too_large(rate)) fail("outbound rate larger than maximum {}", std::numeric_limits<unsigned>::max());
        if (!rate.average && (rate.burst || rate.peak)) fail("outbound average is mandatory");
        if (rate.floor) fail("outbound floor is unsupported yet");
        add_rate(wanted, "outbound", rate);
    }
    if (wanted.count()) {
        check(virDomainSetInterfaceParameters(domain.get(), card, wanted.list(), wanted.count(), affect.flags()),
              "Unable to set interface parameters");
        return;
    }
    int count = 0;
    check(virDomainGetInterfaceParameters(domain.get(), card, nullptr, &count, affect.flags()),
          "Unable to get number of interface parameters");
    Parameters now;
    check(virDomainGetInterfaceParameters(domain.get(), card, now.room_for(count), &count, affect.flags()),
          "Unable to get interface parameters");
    now.filled(count);
    show_parameters(session, now);
}

// ---- perf events ----

void add_events(Parameters& wanted, const std::string& list, bool on) {
    for (std::size_t at = 0; at <= list.size();) {
        const auto comma = std::min(list.find(',', at), list.size());
        if (comma > at) wanted.add(list.substr(at, comma - at).c_str(), on);
        at = comma + 1;
    }
}

void perf(Session& session, const Arguments& arguments) {
    const auto affect = affect_of(arguments);
    auto domain = find_domain(session, arguments);
    Parameters events;
    if (const auto list = arguments.text("enable")) add_events(events, *list, true);
    if (const auto list = arguments.text("disable")) add_events(events, *list, false);
    if (events.count())
        check(virDomainSetPerfEvents(domain.get(), events.list(), events.count(), affect.flags()),
              "Unable to enable/disable perf events");
    else
        check(virDomainGetPerfEvents(domain.get(), events.list_out(), events.count_out(), affect.flags()),
              "Unable to get perf events");
    if (session.json()) return show_parameters(session, events);
    for (const auto& one : events)
        session.extra("{:<15}: {}\n", one.field, one.type == VIR_TYPED_PARAM_BOOLEAN && one.value.b ? "enabled" : "disabled");
}

} // namespace

const std::vector<Command>& domain_limits_commands() {
    static const std::vector<Command> rows = {
        {.name = "blkiotune",
         .group = Group::domain,
         .help = "Get or set blkio parameters",
         .description = "Get or set the current blkio parameters for a guest domain.\n"
                        "To get the blkio parameters use following command: \n\nvirsh # blkiotune <domain>",
         .options = with_affect({the_domain(), number("weight", "IO Weight"),
                                 text("device-weights", "per-device IO Weights, in the form of /path/to/device,weight,..."),
                                 text("device-read-iops-sec",
                                      "per-device read I/O limit per second, in the form of /path/to/device,read_iops_sec,..."),
                                 text("device-write-iops-sec",
                                      "per-device write I/O limit per second, in the form of /path/to/device,write_iops_sec,..."),
                                 text("device-read-bytes-sec",
                                      "per-device bytes read per second, in the form of /path/to/device,read_bytes_sec,..."),
                                 text("device-write-bytes-sec",
                                      "per-device bytes wrote per second, in the form of /path/to/device,write_bytes_sec,...")}),
         .run = blkiotune},
        {.name = "numatune",
         .group = Group::domain,
         .help = "Get or set numa parameters",
         .description = "Get or set the current numa parameters for a guest domain.\n"
                        "To get the numa parameters use following command: \n\nvirsh # numatune <domain>",
         .options = with_affect({the_domain(),
                                 text("mode", "NUMA mode, one of strict, preferred and interleave \n"
                                              "or a number from the virDomainNumatuneMemMode enum")
                                     .choices("strict preferred interleave restrictive"),
                                 text("nodeset", "NUMA node selections to set")}),
         .run = numatune},
        {.name = "domiftune",
         .group = Group::domain,
         .help = "get/set parameters of a virtual interface",
         .description = "Get/set parameters of a domain's virtual interface.",
         .options = with_affect({the_domain(), need("interface", "interface device (MAC Address)"),
                                 text("inbound", "control domain's incoming traffics"),
                                 text("outbound", "control domain's outgoing traffics")}),
         .run = domiftune},
        {.name = "perf",
         .group = Group::domain,
         .help = "Get or set perf event",
         .description = "Get or set the current perf events for a guest domain.\n"
                        "To get the perf events list use following command: \n\nvirsh # perf <domain>",
         .options = with_affect({the_domain(), text("enable", "perf events which will be enabled"),
                                 text("disable", "perf events which will be disabled")}),
         .run = perf},
    };
    return rows;
}

} // namespace lodge::cli
