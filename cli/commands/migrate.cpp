// A guest's move to another host, and what sets its pace.
#include "cli/commands.hpp"
#include "cli/event_watch.hpp"
#include "cli/lookup.hpp"
#include "cli/parameters.hpp"

#include <bit>
#include <thread>

namespace lodge::cli {

namespace {

struct FlagRow {
    std::string_view option;
    unsigned flag;
    std::string_view help;
};
constexpr FlagRow flag_rows[] = {
    {"live", VIR_MIGRATE_LIVE, "live migration"},
    {"offline", VIR_MIGRATE_OFFLINE, "offline migration"},
    {"p2p", VIR_MIGRATE_PEER2PEER, "peer-2-peer migration"},
    {"direct", 0, "direct migration"},
    {"tunnelled", VIR_MIGRATE_TUNNELLED, "tunnelled migration"},
    {"persistent", VIR_MIGRATE_PERSIST_DEST, "persist VM on destination"},
    {"undefinesource", VIR_MIGRATE_UNDEFINE_SOURCE, "undefine VM on source"},
    {"suspend", VIR_MIGRATE_PAUSED, "do not restart the domain on the destination host"},
    {"copy-storage-all", VIR_MIGRATE_NON_SHARED_DISK, "migration with non-shared storage with full disk copy"},
    {"copy-storage-inc", VIR_MIGRATE_NON_SHARED_INC,
     "migration with non-shared storage with incremental copy (same base image shared between source and destination)"},
    {"copy-storage-synchronous-writes", VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES,
     "force guest disk writes to be synchronously written to the destination to improve storage migration convergence"},
    {"change-protection", VIR_MIGRATE_CHANGE_PROTECTION, "prevent any configuration changes to domain until migration ends"},
    {"unsafe", VIR_MIGRATE_UNSAFE, "force migration even if it may be unsafe"},
    {"verbose", 0, "display the progress of migration"},
    {"compressed", VIR_MIGRATE_COMPRESSED, "compress repeated pages during live migration"},
    {"auto-converge", VIR_MIGRATE_AUTO_CONVERGE, "force convergence during live migration"},
    {"rdma-pin-all", VIR_MIGRATE_RDMA_PIN_ALL, "pin all memory before starting RDMA live migration"},
    {"abort-on-error", VIR_MIGRATE_ABORT_ON_ERROR, "abort on soft errors during migration"},
    {"postcopy", VIR_MIGRATE_POSTCOPY, "enable post-copy migration; switch to it using migrate-postcopy command"},
    {"postcopy-after-precopy", 0, "automatically switch to post-copy migration after one pass of pre-copy"},
    {"postcopy-resume", VIR_MIGRATE_POSTCOPY_RESUME, "resume failed post-copy migration"},
    {"zerocopy", VIR_MIGRATE_ZEROCOPY, "use zero-copy mechanism for migrating memory pages"},
};

enum class Value { text, list, file, integer, size };
struct ParameterRow {
    std::string_view option;
    const char* parameter; // null: the command's own
    Value value;
    std::string_view help;
};
constexpr ParameterRow parameter_rows[] = {
    {"migrateuri", VIR_MIGRATE_PARAM_URI, Value::text, "migration URI, usually can be omitted"},
    {"graphicsuri", VIR_MIGRATE_PARAM_GRAPHICS_URI, Value::text, "graphics URI to be used for seamless graphics migration"},
    {"listen-address", VIR_MIGRATE_PARAM_LISTEN_ADDRESS, Value::text,
     "listen address that destination should bind to for incoming migration"},
    {"dname", VIR_MIGRATE_PARAM_DEST_NAME, Value::text, "rename to new name during migration (if supported)"},
    {"timeout", nullptr, Value::integer,
     "run action specified by --timeout-* option (suspend by default) if live migration exceeds timeout (in seconds)"},
    {"xml", VIR_MIGRATE_PARAM_DEST_XML, Value::file, "filename containing updated XML for the target"},
    {"migrate-disks", VIR_MIGRATE_PARAM_MIGRATE_DISKS, Value::list, "comma separated list of disks to be migrated"},
    {"disks-port", VIR_MIGRATE_PARAM_DISKS_PORT, Value::integer, "port to use by target server for incoming disks migration"},
    {"disks-uri", VIR_MIGRATE_PARAM_DISKS_URI, Value::text, "URI to use for disks migration (overrides --disks-port)"},
    {"comp-methods", VIR_MIGRATE_PARAM_COMPRESSION, Value::list, "comma separated list of compression methods to be used"},
    {"comp-mt-level", VIR_MIGRATE_PARAM_COMPRESSION_MT_LEVEL, Value::integer, "compress level for multithread compression"},
    {"comp-mt-threads", VIR_MIGRATE_PARAM_COMPRESSION_MT_THREADS, Value::integer,
     "number of compression threads for multithread compression"},
    {"comp-mt-dthreads", VIR_MIGRATE_PARAM_COMPRESSION_MT_DTHREADS, Value::integer,
     "number of decompression threads for multithread compression"},
    {"comp-xbzrle-cache", VIR_MIGRATE_PARAM_COMPRESSION_XBZRLE_CACHE, Value::size, "page cache size for xbzrle compression"},
    {"auto-converge-initial", VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, Value::integer,
     "initial CPU throttling rate for auto-convergence"},
    {"auto-converge-increment", VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT, Value::integer,
     "CPU throttling rate increment for auto-convergence"},
    {"persistent-xml", VIR_MIGRATE_PARAM_PERSIST_XML, Value::file, "filename containing updated persistent XML for the target"},
    {"postcopy-bandwidth", VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY, Value::size, "post-copy migration bandwidth limit in MiB/s"},
    {"parallel-connections", VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, Value::integer,
     "number of connections for parallel migration"},
    {"bandwidth", VIR_MIGRATE_PARAM_BANDWIDTH, Value::size, "migration bandwidth limit in MiB/s"},
    {"tls-destination", VIR_MIGRATE_PARAM_TLS_DESTINATION, Value::text,
     "override the destination host name used for TLS verification"},
};
// What virsh lists after options with a value.
constexpr FlagRow late_flag_rows[] = {
    {"timeout-suspend", 0, "suspend the guest after timeout"},
    {"timeout-postcopy", 0, "switch to post-copy after timeout"},
    {"tls", VIR_MIGRATE_TLS, "use TLS for migration"},
    {"parallel", VIR_MIGRATE_PARALLEL, "enable parallel migration"},
};

void add_parameter(Parameters& out, const ParameterRow& row, const Arguments& arguments) {
    if (!row.parameter || !arguments.has(row.option)) return;
    const std::string text = arguments.required(row.option);
    switch (row.value) {
    case Value::text: out.add(row.parameter, text); break;
    case Value::file: out.add(row.parameter, read_document(text)); break;
    case Value::integer: out.add(row.parameter, arguments.number<int>(row.option).value_or(0)); break;
    case Value::size: out.add(row.parameter, arguments.number<unsigned long long>(row.option).value_or(0)); break;
    case Value::list:
        for (std::size_t at = 0; at <= text.size();) {
            const auto comma = std::min(text.find(',', at), text.size());
            out.add(row.parameter, text.substr(at, comma - at));
            at = comma + 1;
        }
    }
}

unsigned flags_of(const Arguments& arguments) {
    unsigned flags = 0;
    for (const auto& row : flag_rows)
        if (arguments.has(row.option)) flags |= row.flag;
    for (const auto& row : late_flag_rows)
        if (arguments.has(row.option)) flags |= row.flag;
    if ((flags & VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES) != 0 &&
        (flags & (VIR_MIGRATE_NON_SHARED_DISK | VIR_MIGRATE_NON_SHARED_INC)) == 0)
        fail("'--copy-storage-synchronous-writes' requires one of '--copy-storage-all', 'copy-storage-inc'");
    return flags;
}

// After the first pass over memory the guest may go on over there.
void second_pass(virConnectPtr, virDomainPtr domain, int iteration, void*) {
    if (iteration == 2) virDomainMigrateStartPostCopy(domain, 0);
}

// The move itself blocks: it has a thread, and this one shows how far it is, and ends it when told to.
class Move {
  public:
    Move(virDomainPtr domain, const Arguments& arguments)
        : domain_(domain)
        , verbose_(arguments.has("verbose"))
        , postcopy_(arguments.has("timeout-postcopy")) {
        if (const auto seconds = arguments.number<unsigned>("timeout"); seconds && *seconds)
            until_ = std::chrono::steady_clock::now() + std::chrono::seconds(*seconds);
    }

    void run(const std::function<bool()>& call) {
        InterruptGuard guard;
        std::jthread worker([&] {
            bool done = false;
            std::string why;
            done = call();
            if (!done) why = cause(); // libvirt keeps it by thread
            std::lock_guard lock(waiter_.mutex);
            succeeded_ = done;
            why_ = why;
            over_ = true;
            waiter_.wake();
        });
        watch();
        worker.join();
        if (!succeeded_) fail("{}", why_);
        if (verbose_) print(0, 1), fmt::print(stderr, "\n");
    }

  private:
    void watch() {
        using namespace std::chrono_literals;
        using Clock = std::chrono::steady_clock;
        bool aborted = false;
        while (!waiter_.wait(Clock::now() + 500ms, [&] { return over_; })) {
            if (InterruptGuard::interrupted() && !std::exchange(aborted, true)) virDomainAbortJob(domain_);
            if (until_ && Clock::now() >= *until_) {
                until_.reset();
                postcopy_ ? virDomainMigrateStartPostCopy(domain_, 0) : virDomainSuspend(domain_);
            }
            virDomainJobInfo info{};
            if (verbose_ && virDomainGetJobInfo(domain_, &info) == 0 && info.dataTotal) print(info.dataRemaining, info.dataTotal);
            forget_cause();
        }
    }
    static void print(unsigned long long left, unsigned long long total) {
        const int percent =
            left ? std::min(99, static_cast<int>(100.0 - static_cast<double>(left) * 100.0 / static_cast<double>(total))) : 100;
        fmt::print(stderr, "\rMigration: [{:3} %]", percent);
        std::fflush(stderr);
    }

    virDomainPtr domain_;
    bool verbose_, postcopy_;
    std::optional<std::chrono::steady_clock::time_point> until_;
    Waiter waiter_;
    bool over_ = false, succeeded_ = false;
    std::string why_;
};

void check_options(const Arguments& arguments) {
    arguments.exclusive("live", "offline");
    arguments.exclusive("timeout-suspend", "timeout-postcopy");
    arguments.requires_option("postcopy-after-precopy", "postcopy");
    arguments.requires_option("postcopy-resume", "postcopy");
    arguments.requires_option("timeout-postcopy", "postcopy");
    arguments.requires_option("persistent-xml", "persistent");
    arguments.requires_option("tls-destination", "tls");
}

void migrate(Session& session, const Arguments& arguments) {
    check_options(arguments);
    auto domain = find_domain(session, arguments);
    const auto timeout = arguments.number<unsigned>("timeout").value_or(0);
    if (timeout && !arguments.has("live")) fail("migrate: Unexpected timeout for offline migration");
    if (!timeout && (arguments.has("timeout-suspend") || arguments.has("timeout-postcopy")))
        fail("migrate: Unexpected --timeout-* option without --timeout");
    Registrations registered(session.connection());
    if (arguments.has("postcopy-after-precopy"))
        registered.add(check(virConnectDomainEventRegisterAny(
                           session.connection(), domain.get(), VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION,
                           std::bit_cast<virConnectDomainEventGenericCallback>(&second_pass), nullptr, nullptr)),
                       virConnectDomainEventDeregisterAny);
    const std::string uri = arguments.required("desturi");
    const bool by_daemons = arguments.has("p2p") || arguments.has("direct");
    Connection target;
    if (!by_daemons) {
        target.reset(virConnectOpenAuth(uri.c_str(), virConnectAuthPtrDefault, 0));
        if (!target) fail_with_cause();
    }
    Parameters parameters;
    for (const auto& row : parameter_rows) add_parameter(parameters, row, arguments);
    const unsigned flags = flags_of(arguments);
    Move(domain.get(), arguments).run([&] {
        const auto count = static_cast<unsigned>(parameters.count());
        if (by_daemons) return virDomainMigrateToURI3(domain.get(), uri.c_str(), parameters.list(), count, flags) == 0;
        return Domain(virDomainMigrate3(domain.get(), target.get(), parameters.list(), count, flags)) != nullptr;
    });
}

// ---- pace ----

void get_speed(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    unsigned long speed = 0;
    check(virDomainMigrateGetMaxSpeed(domain.get(), &speed,
                                      arguments.has("postcopy") ? VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY : 0u));
    session.show_value(speed);
}

void set_speed(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    check(virDomainMigrateSetMaxSpeed(domain.get(), arguments.number<unsigned long>("bandwidth").value_or(0),
                                      arguments.has("postcopy") ? VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY : 0u));
}

void get_downtime(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    unsigned long long milliseconds = 0;
    check(virDomainMigrateGetMaxDowntime(domain.get(), &milliseconds, 0));
    session.show_value(milliseconds);
}

void set_downtime(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    const auto milliseconds = arguments.number<long long>("downtime").value_or(0);
    if (milliseconds < 1) fail("migrate: Invalid downtime");
    check(virDomainMigrateSetMaxDowntime(domain.get(), static_cast<unsigned long long>(milliseconds), 0));
}

void compression_cache(Session& session, const Arguments& arguments) {
    auto domain = find_domain(session, arguments);
    if (const auto size = arguments.number<unsigned long long>("size"))
        check(virDomainMigrateSetCompressionCache(domain.get(), *size, 0));
    unsigned long long bytes = 0;
    check(virDomainMigrateGetCompressionCache(domain.get(), &bytes, 0));
    if (session.json()) return session.show_value(bytes);
    double value = static_cast<double>(bytes);
    static constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    std::size_t unit = 0;
    for (; value >= 1024; ++unit) value /= 1024;
    session.print("Compression cache: {:.3f} {}", value, units[unit]);
}

void start_postcopy(Session& session, const Arguments& arguments) {
    check(virDomainMigrateStartPostCopy(find_domain(session, arguments).get(), 0));
}

std::vector<Option> migrate_options() {
    std::vector<Option> options = {
        the_domain(), need("desturi", "connection URI of the destination host as seen from the client(normal migration) or "
                                      "source(p2p migration)")};
    for (const auto& row : flag_rows) options.push_back(flag(row.option, row.help));
    const auto add_flag = [&](std::string_view name) {
        for (const auto& row : late_flag_rows)
            if (row.option == name) options.push_back(flag(row.option, row.help));
    };
    for (const auto& row : parameter_rows) {
        if (row.option == "parallel-connections") add_flag("parallel");
        options.push_back(row.value == Value::integer || row.value == Value::size ? number(row.option, row.help)
                                                                                  : text(row.option, row.help));
        if (row.option == "timeout") add_flag("timeout-suspend"), add_flag("timeout-postcopy");
        if (row.option == "persistent-xml") add_flag("tls");
    }
    return options;
}

} // namespace

const std::vector<Command>& migrate_commands() {
    static const std::vector<Command> rows = {
        {.name = "migrate",
         .group = Group::domain,
         .help = "migrate domain to another host",
         .description = "Migrate domain to another host.  Add --live for live migration.",
         .options = migrate_options(),
         .run = migrate,
         .needs = Need::events},
        {.name = "migrate-getspeed",
         .group = Group::domain,
         .help = "Get the maximum migration bandwidth",
         .description = "Get the maximum migration bandwidth (in MiB/s) for a domain.",
         .options = {the_domain(), flag("postcopy", "get post-copy migration bandwidth")},
         .run = get_speed},
        {.name = "migrate-setspeed",
         .group = Group::domain,
         .help = "Set the maximum migration bandwidth",
         .description = "Set the maximum migration bandwidth (in MiB/s) for a domain which is being migrated to another host.",
         .options = {the_domain(), need_number("bandwidth", "migration bandwidth limit in MiB/s"),
                     flag("postcopy", "set post-copy migration bandwidth")},
         .run = set_speed},
        {.name = "migrate-getmaxdowntime",
         .group = Group::domain,
         .help = "get maximum tolerable downtime",
         .description = "Get maximum tolerable downtime of a domain which is being live-migrated to another host.",
         .options = {the_domain()},
         .run = get_downtime},
        {.name = "migrate-setmaxdowntime",
         .group = Group::domain,
         .help = "set maximum tolerable downtime",
         .description = "Set maximum tolerable downtime of a domain which is being live-migrated to another host.",
         .options = {the_domain(), need_number("downtime", "maximum tolerable downtime (in milliseconds) for migration")},
         .run = set_downtime},
        {.name = "migrate-compcache",
         .group = Group::domain,
         .help = "get/set compression cache size",
         .description = "Get/set size of the cache (in bytes) used for compressing repeatedly transferred memory pages during "
                        "live migration.",
         .options = {the_domain(), number("size", "requested size of the cache (in bytes) used for compression").named()},
         .run = compression_cache},
        {.name = "migrate-postcopy",
         .group = Group::domain,
         .help = "Switch running migration from pre-copy to post-copy",
         .description = "Switch running migration from pre-copy to post-copy. The migration must have been started with "
                        "--postcopy option.",
         .options = {the_domain()},
         .run = start_postcopy},
    };
    return rows;
}

} // namespace lodge::cli
