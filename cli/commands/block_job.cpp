// Jobs that move a disk's data below a running guest: pull, commit, copy; and what else concerns one disk's size.
#include "cli/commands.hpp"
#include "cli/device_facts.hpp"
#include "cli/event_watch.hpp"
#include "cli/lookup.hpp"
#include "cli/parameters.hpp"
#include "cli/words.hpp"
#include "cli/xml_query.hpp"

#include <bit>
#include <limits>

namespace lodge::cli {

namespace {

void print_progress(std::string_view label, unsigned long long left, unsigned long long total) {
    int percent = 100;
    if (left) percent = std::min(99, static_cast<int>(100.0 - static_cast<double>(left) * 100.0 / static_cast<double>(total)));
    std::fflush(stdout);
    fmt::print(stderr, "\r{}: [{:3} %]", label, percent);
    std::fflush(stderr);
}

// ---- waiting for a job's end, or until it only mirrors ----

class Wait {
  public:
    Wait(Session& session, virDomainPtr domain, std::string disk, const char* label, const Arguments& arguments)
        : domain_(domain)
        , disk_(std::move(disk))
        , label_(label)
        , verbose_(arguments.has("verbose"))
        , abort_flags_(arguments.has("async") ? VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC : 0)
        , registered_(session.connection()) {
        if (const auto seconds = arguments.number<unsigned>("timeout"))
            until_ = std::chrono::steady_clock::now() + std::chrono::seconds(*seconds);
        for (const int kind : {VIR_DOMAIN_EVENT_ID_BLOCK_JOB, VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2})
            registered_.add(check(virConnectDomainEventRegisterAny(session.connection(), domain, kind,
                                                                   std::bit_cast<virConnectDomainEventGenericCallback>(&heard),
                                                                   this, nullptr)),
                            virConnectDomainEventDeregisterAny);
    }

    // The status of the event that ended it; a job that time or ^C ended was canceled.
    int run() {
        using namespace std::chrono_literals;
        using Clock = std::chrono::steady_clock;
        InterruptGuard guard;
        bool over = false;
        while (!over) {
            const auto next = Clock::now() + 500ms;
            over = waiter_.wait(until_ ? std::min(next, *until_) : next, [&] { return status_.has_value(); });
            if (over) break;
            virDomainBlockJobInfo info{};
            check(virDomainGetBlockJobInfo(domain_, disk_.c_str(), &info, 0), "failed to query job for disk {}", disk_);
            if (verbose_ && info.end) print_progress(label_, info.end - info.cur, info.end);
            if (InterruptGuard::interrupted() || (until_ && Clock::now() >= *until_)) {
                check(virDomainBlockJobAbort(domain_, disk_.c_str(), abort_flags_), "failed to abort job for disk '{}'", disk_);
                return VIR_DOMAIN_BLOCK_JOB_CANCELED;
            }
        }
        const int status = *status_;
        if (verbose_ && (status == VIR_DOMAIN_BLOCK_JOB_COMPLETED || status == VIR_DOMAIN_BLOCK_JOB_READY))
            print_progress(label_, 0, 1);
        return status;
    }

  private:
    static void heard(virConnectPtr, virDomainPtr, const char* disk, int, int status, void* opaque) {
        auto& self = *static_cast<Wait*>(opaque);
        if (self.disk_ != disk) return;
        std::lock_guard lock(self.waiter_.mutex);
        self.status_ = status;
        self.waiter_.wake();
    }

    virDomainPtr domain_;
    std::string disk_;
    const char* label_;
    bool verbose_;
    unsigned abort_flags_;
    std::optional<std::chrono::steady_clock::time_point> until_;
    std::optional<int> status_;
    Waiter waiter_;
    Registrations registered_;
};

// Whether the command stays until the job ends; --verbose and --async make sense only then.
bool is_waiting(const Arguments& arguments, std::initializer_list<const char*> implying, std::string_view names) {
    bool waits = arguments.has("wait") || arguments.has("timeout");
    for (const char* option : implying) waits = waits || arguments.has(option);
    for (const char* option : {"verbose", "async"})
        if (!waits && arguments.has(option)) fail("--{} requires at least one of {}", option, names);
    return waits;
}

// Fails, without words for stderr, when the job did.
void require_success(Session& session, int status, const char* word) {
    if (status == VIR_DOMAIN_BLOCK_JOB_COMPLETED || status == VIR_DOMAIN_BLOCK_JOB_READY) return;
    session.extra("\n{} {}", word, status == VIR_DOMAIN_BLOCK_JOB_CANCELED ? "aborted" : "failed");
    throw NothingReceived();
}

unsigned abort_flags(const Arguments& arguments) {
    unsigned flags = 0;
    if (arguments.has("async")) flags |= VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC;
    if (arguments.has("pivot")) flags |= VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT;
    return flags;
}

unsigned long bandwidth_of(const Arguments& arguments) {
    if (!arguments.has("bytes")) return arguments.number<unsigned long>("bandwidth").value_or(0);
    return static_cast<unsigned long>(arguments.scaled("bandwidth", 1).value_or(0));
}

const char* or_null(const std::optional<std::string>& text) { return text ? text->c_str() : nullptr; }

// A mirroring job is left as it is, or ended one way or the other.
void conclude(Session& session, virDomainPtr domain, const Arguments& arguments, bool finish, const char* kept,
              const char* left) {
    const auto& path = arguments.required("path");
    if (arguments.has("pivot")) {
        check(virDomainBlockJobAbort(domain, path.c_str(), abort_flags(arguments)), "failed to pivot job for disk {}", path);
        session.extra("\nSuccessfully pivoted");
    } else if (finish) {
        check(virDomainBlockJobAbort(domain, path.c_str(), abort_flags(arguments)), "failed to finish job for disk {}", path);
        session.extra("\n{}", kept);
    } else {
        session.extra("\n{}", left);
    }
}

// ---- commands ----

void commit(Session& session, const Arguments& arguments) {
    arguments.exclusive("pivot", "keep-overlay");
    const bool finish = arguments.has("keep-overlay"), active = arguments.has("active") || arguments.has("pivot") || finish;
    const bool waits = is_waiting(arguments, {"pivot", "keep-overlay"}, "--timeout, --wait, --pivot, or --keep-overlay");
    unsigned flags = active ? VIR_DOMAIN_BLOCK_COMMIT_ACTIVE : 0u;
    if (arguments.has("bytes")) flags |= VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES;
    if (arguments.has("shallow")) flags |= VIR_DOMAIN_BLOCK_COMMIT_SHALLOW;
    if (arguments.has("delete")) flags |= VIR_DOMAIN_BLOCK_COMMIT_DELETE;
    if (arguments.has("keep-relative")) flags |= VIR_DOMAIN_BLOCK_COMMIT_RELATIVE;
    const auto bandwidth = bandwidth_of(arguments);
    const auto& path = arguments.required("path");
    const auto base = arguments.text("base"), top = arguments.text("top");
    auto domain = find_domain(session, arguments);
    std::optional<Wait> wait;
    if (waits) wait.emplace(session, domain.get(), path, "Block commit", arguments);
    check(virDomainBlockCommit(domain.get(), path.c_str(), or_null(base), or_null(top), bandwidth, flags));
    if (!wait) return session.extra("{}", active ? "Active Block Commit started" : "Block Commit started");
    require_success(session, wait->run(), "Commit");
    if (!active) return session.extra("\nCommit complete");
    conclude(session, domain.get(), arguments, finish, "Commit complete, overlay image kept", "Now in synchronized phase");
}

void pull(Session& session, const Arguments& arguments) {
    for (const char* option : {"verbose", "async", "timeout"}) arguments.requires_option(option, "wait");
    const bool waits = arguments.has("wait");
    const auto bandwidth = bandwidth_of(arguments);
    const auto& path = arguments.required("path");
    const auto base = arguments.text("base");
    const bool relative = arguments.has("keep-relative"), bytes = arguments.has("bytes");
    auto domain = find_domain(session, arguments);
    std::optional<Wait> wait;
    if (waits) wait.emplace(session, domain.get(), path, "Block Pull", arguments);
    if (base || relative) {
        const unsigned flags =
            (relative ? VIR_DOMAIN_BLOCK_REBASE_RELATIVE : 0u) | (bytes ? VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES : 0u);
        check(virDomainBlockRebase(domain.get(), path.c_str(), or_null(base), bandwidth, flags));
    } else {
        check(virDomainBlockPull(domain.get(), path.c_str(), bandwidth, bytes ? VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES : 0u));
    }
    if (!wait) return session.extra("Block Pull started");
    require_success(session, wait->run(), "Pull");
    session.extra("\nPull complete");
}

std::string copy_document(const Arguments& arguments) {
    if (const auto file = arguments.text("xml")) return read_document(*file);
    const bool device = arguments.has("blockdev");
    pugi::xml_document document;
    auto disk = document.append_child("disk");
    put(disk, "type", device ? "block" : "file");
    put(disk.append_child("source"), device ? "dev" : "file", arguments.text("dest"));
    if (const auto format = arguments.text("format")) put(disk.append_child("driver"), "type", format);
    return format_shown(disk);
}

void add_copy_parameters(Parameters& parameters, const Arguments& arguments) {
    unsigned long long bandwidth = bandwidth_of(arguments);
    if (bandwidth && !arguments.has("bytes")) {
        const auto limit = std::numeric_limits<unsigned long long>::max() >> 20;
        if (bandwidth > limit) fail("bandwidth must be less than {}", limit);
        bandwidth <<= 20;
    }
    if (bandwidth) parameters.add(VIR_DOMAIN_BLOCK_COPY_BANDWIDTH, bandwidth);
    if (const auto value = arguments.number<unsigned>("granularity").value_or(0))
        parameters.add(VIR_DOMAIN_BLOCK_COPY_GRANULARITY, value);
    if (const auto value = arguments.number<unsigned long long>("buf-size").value_or(0))
        parameters.add(VIR_DOMAIN_BLOCK_COPY_BUF_SIZE, value);
}

void copy(Session& session, const Arguments& arguments) {
    for (const char* option : {"dest", "format", "blockdev"}) arguments.exclusive(option, "xml");
    arguments.exclusive("pivot", "finish");
    const auto dest = arguments.text("dest"), format = arguments.text("format");
    if (!dest && !arguments.has("xml")) fail("need either --dest or --xml");
    const bool waits = is_waiting(arguments, {"pivot", "finish"}, "--timeout, --wait, --pivot, or --finish");
    const auto& path = arguments.required("path");
    unsigned flags = 0;
    if (arguments.has("shallow")) flags |= VIR_DOMAIN_BLOCK_COPY_SHALLOW;
    if (arguments.has("reuse-external")) flags |= VIR_DOMAIN_BLOCK_COPY_REUSE_EXT;
    if (arguments.has("transient-job")) flags |= VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB;
    if (arguments.has("synchronous-writes")) flags |= VIR_DOMAIN_BLOCK_COPY_SYNCHRONOUS_WRITES;
    auto domain = find_domain(session, arguments);
    const std::string xml = copy_document(arguments);
    if (arguments.has("print-xml")) return session.write(xml);
    Parameters parameters;
    add_copy_parameters(parameters, arguments);
    std::optional<Wait> wait;
    if (waits) wait.emplace(session, domain.get(), path, "Block Copy", arguments);
    check(virDomainBlockCopy(domain.get(), path.c_str(), xml.c_str(), parameters.list(), parameters.count(), flags));
    if (!wait) return session.extra("Block Copy started");
    require_success(session, wait->run(), "Copy");
    conclude(session, domain.get(), arguments, arguments.has("finish"), "Successfully copied", "Now in mirroring phase");
}

struct JobKind {
    std::string_view title, word;
};
constexpr JobKind job_kinds[] = {{"Unknown job", "unknown"},
                                 {"Block Pull", "pull"},
                                 {"Block Copy", "copy"},
                                 {"Block Commit", "commit"},
                                 {"Active Block Commit", "active-commit"},
                                 {"Backup", "backup"}};

void show_job(Session& session, const Arguments& arguments, virDomainPtr domain) {
    const auto& path = arguments.required("path");
    const bool raw = arguments.has("raw"), bytes = arguments.has("bytes") || !raw;
    virDomainBlockJobInfo info{};
    const int found =
        check(virDomainGetBlockJobInfo(domain, path.c_str(), &info, bytes ? VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES : 0u));
    const auto& kind = job_kinds[info.type > 0 && static_cast<std::size_t>(info.type) < std::size(job_kinds) ? info.type : 0];
    if (session.json())
        return session.show(found ? Json{{"type", kind.word}, {"bandwidth", info.bandwidth}, {"cur", info.cur}, {"end", info.end}}
                                  : Json());
    if (!found) return raw ? void() : session.extra("No current block job for {}", path);
    if (raw) return session.print(" type={}\n bandwidth={}\n cur={}\n end={}\n", kind.title, info.bandwidth, info.cur, info.end);
    print_progress(kind.title, info.end - info.cur, info.end);
    if (info.bandwidth) {
        const std::string size = size_cell(info.bandwidth).text;
        session.print("    Bandwidth limit: {} bytes/s ({}/s)", info.bandwidth, size);
    }
    session.print("\n");
}

void block_job(Session& session, const Arguments& arguments) {
    for (const char* asks : {"raw", "info"})
        for (const char* option : {"abort", "pivot", "async", "bandwidth"}) arguments.exclusive(asks, option);
    for (const char* option : {"abort", "pivot", "async"}) arguments.exclusive("bytes", option);
    auto domain = find_domain(session, arguments);
    const char* path = arguments.required("path").c_str();
    if (arguments.has("bandwidth"))
        check(virDomainBlockJobSetSpeed(domain.get(), path, bandwidth_of(arguments),
                                        arguments.has("bytes") ? VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES : 0u));
    else if (arguments.has("abort") || arguments.has("pivot") || arguments.has("async"))
        check(virDomainBlockJobAbort(domain.get(), path, abort_flags(arguments)));
    else
        show_job(session, arguments, domain.get());
}

void resize(Session& session, const Arguments& arguments) {
    auto size = arguments.scaled("size", 1024).value_or(0);
    const bool kib = size % 1024 == 0;
    auto domain = find_domain(session, arguments);
    const auto& path = arguments.required("path");
    check(virDomainBlockResize(domain.get(), path.c_str(), kib ? size / 1024 : size, kib ? 0u : VIR_DOMAIN_BLOCK_RESIZE_BYTES),
          "Failed to resize block device '{}'", path);
    session.extra("Block device '{}' is resized", path);
}

void set_threshold(Session& session, const Arguments& arguments) {
    const auto threshold = arguments.scaled("threshold", 1).value_or(0);
    auto domain = find_domain(session, arguments);
    check(virDomainSetBlockThreshold(domain.get(), arguments.required("dev").c_str(), threshold, 0));
}

Option the_disk(std::string_view help = "fully-qualified path of disk") { return need("path", help); }
Option in_bytes() { return flag("bytes", "the bandwidth limit is in bytes/s rather than MiB/s"); }
Option limit() { return number("bandwidth", "bandwidth limit in MiB/s"); }
Option verbose() { return flag("verbose", "with --wait, display the progress"); }
Option no_wait_for_cancel() { return flag("async", "with --wait, don't wait for cancel to finish"); }
Option keep_relative() { return flag("keep-relative", "keep the backing chain relatively referenced"); }

} // namespace

const std::vector<Command>& block_job_commands() {
    static const std::vector<Command> rows = {
        {.name = "blockcommit",
         .group = Group::domain,
         .help = "Start a block commit operation.",
         .description = "Commit changes from a snapshot down to its backing image.",
         .options = {the_domain(), the_disk(), limit(),
                     text("base", "path of base file to commit into (default bottom of chain)"),
                     flag("shallow", "use backing file of top as base"),
                     text("top", "path of top file to commit from (default top of chain)"),
                     flag("active", "trigger two-stage active commit of top file"),
                     flag("delete", "delete files that were successfully committed"),
                     flag("wait", "wait for job to complete (with --active, wait for job to sync)"), verbose(),
                     number("timeout", "implies --wait, abort if copy exceeds timeout (in seconds)"),
                     flag("pivot", "implies --active --wait, pivot when commit is synced"),
                     flag("keep-overlay", "implies --active --wait, quit when commit is synced"), no_wait_for_cancel(),
                     keep_relative(), in_bytes()},
         .run = commit,
         .needs = Need::events},
        {.name = "blockpull",
         .group = Group::domain,
         .help = "Populate a disk from its backing image.",
         .description = "Populate a disk from its backing image.",
         .options = {the_domain(), the_disk(), limit(), text("base", "path of backing file in chain for a partial pull"),
                     flag("wait", "wait for job to finish"), verbose(),
                     number("timeout", "with --wait, abort if pull exceeds timeout (in seconds)"), no_wait_for_cancel(),
                     keep_relative(), in_bytes()},
         .run = pull,
         .needs = Need::events},
        {.name = "blockcopy",
         .group = Group::domain,
         .help = "Start a block copy operation.",
         .description = "Copy a disk backing image chain to dest.",
         .options = {the_domain(),
                     the_disk("fully-qualified path of source disk"),
                     text("dest", "path of the copy to create"),
                     limit(),
                     flag("shallow", "make the copy share a backing chain"),
                     flag("reuse-external", "reuse existing destination"),
                     flag("blockdev", "copy destination is block device instead of regular file"),
                     flag("wait", "wait for job to reach mirroring phase"),
                     verbose(),
                     number("timeout", "implies --wait, abort if copy exceeds timeout (in seconds)"),
                     flag("pivot", "implies --wait, pivot when mirroring starts"),
                     flag("finish", "implies --wait, quit when mirroring starts"),
                     no_wait_for_cancel(),
                     text("xml", "filename containing XML description of the copy destination").completed(Complete::file),
                     text("format", "format of the destination file"),
                     number("granularity", "power-of-two granularity to use during the copy"),
                     number("buf-size", "maximum amount of in-flight data during the copy"),
                     in_bytes(),
                     flag("transient-job", "the copy job is not persisted if VM is turned off"),
                     flag("synchronous-writes",
                          "the copy job forces guest writes to be synchronously written to the destination"),
                     flag("print-xml", "print the XML used to start the copy job instead of starting the job")},
         .run = copy,
         .needs = Need::events},
        {.name = "blockjob",
         .group = Group::domain,
         .help = "Manage active block operations",
         .description = "Query, adjust speed, or cancel active block operations.",
         .options = {the_domain(), the_disk(), flag("abort", "abort the active job on the specified disk"),
                     flag("async", "implies --abort; request but don't wait for job end"),
                     flag("pivot", "implies --abort; conclude and pivot a copy or commit job"),
                     flag("info", "get active job information for the specified disk"),
                     flag("bytes", "get/set bandwidth in bytes rather than MiB/s"),
                     flag("raw", "implies --info; output details rather than human summary"),
                     number("bandwidth", "set the bandwidth limit in MiB/s")},
         .run = block_job},
        {.name = "blockresize",
         .group = Group::domain,
         .help = "Resize block device of domain.",
         .description = "Resize block device of domain.",
         .options = {the_domain(), the_disk("Fully-qualified path of block device"),
                     need_number("size", "New size of the block device, as scaled integer (default KiB)")},
         .run = resize},
        {.name = "domblkthreshold",
         .group = Group::domain,
         .help = "set the threshold for block-threshold event for a given block device or it's backing chain element",
         .description = "set threshold for block-threshold event for a block device",
         .options = {the_domain(), need("dev", "device to set threshold for"),
                     need_number("threshold", "threshold as a scaled number (by default bytes)")},
         .run = set_threshold},
    };
    return rows;
}

} // namespace lodge::cli
