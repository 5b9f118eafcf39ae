// Save images and core dumps: QEMU writes into a descriptor of ours and says when it is done.
#include "drivers/qemu/machine.hpp"
#include "drivers/qemu/state_keeper.hpp"
#include "rpc/log.hpp"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lodge::drivers::qemu {

namespace {

constexpr int job_operation_save = 2, job_operation_snapshot = 6, job_operation_dump = 8; // VIR_DOMAIN_JOB_OPERATION_*
constexpr std::uint64_t no_limit = 9223372036853727232; // bytes per second: a file takes what it can

// The file under way: gone again unless it becomes whole.
struct Output {
    std::string path;
    Fd file;
    bool made = false; // by us: there was no such file
};

Output open_output(const std::string& path) {
    struct stat status{};
    Output out{path, Fd(), ::lstat(path.c_str(), &status) != 0};
    out.file = Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!out.file) rpc::fail_errno(errno, fmt::format("Failed to create file '{}'", path));
    return out;
}

void write_all(int fd, std::string_view bytes, const std::string& path) {
    while (!bytes.empty()) {
        const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) rpc::fail_errno(errno, fmt::format("failed to write header to domain save file '{}'", path));
        bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
}

Fd duplicate(const Fd& fd) {
    Fd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!copy) rpc::fail_errno(errno, "cannot duplicate a descriptor");
    return copy;
}

// All of it is on the disk, and out of the page cache where that was asked for.
void settle(const Fd& file, bool bypass_cache, const std::string& path) {
    if (::fdatasync(file.get()) < 0 && errno != EINVAL && errno != EROFS)
        rpc::fail_errno(errno, fmt::format("cannot sync file '{}'", path));
    if (bypass_cache) ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
}

// Only now that the rest is durable may the image say that it is whole.
void complete_image(const Output& out, bool bypass_cache) {
    settle(out.file, bypass_cache, out.path);
    const std::string whole = magic(true);
    if (::pwrite(out.file.get(), whole.data(), whole.size(), 0) != static_cast<ssize_t>(whole.size()))
        rpc::fail_errno(errno, fmt::format("failed to write header to domain save file '{}'", out.path));
    settle(out.file, false, out.path);
}

void drop(const Output& out) {
    if (out.made) ::unlink(out.path.c_str());
}

} // namespace

Executor QemuStateKeeper::executor() const { return machine_.executor(); }

std::shared_ptr<QemuStateKeeper::Stream> QemuStateKeeper::begin(int operation) {
    if (stream_) rpc::fail(Code::operation_invalid, "another job writes the guest's state already");
    stream_ = std::make_shared<Stream>(executor());
    stream_->operation = operation;
    return stream_;
}

void QemuStateKeeper::end(const std::shared_ptr<Stream>& stream, bool success) {
    stream_.reset();
    // Its failure is the call's error; and of a dump of memory libvirt tells nothing once it is over.
    if (!success || stream->of_dump) return;
    stream->figures["time_elapsed"] = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - stream->began).count());
    machine_.report_job({stream->operation, true, false, "", stream->figures});
}

static std::map<std::string, std::uint64_t> figures_of(const json& migration) {
    std::map<std::string, std::uint64_t> out;
    const auto ram = migration.find("ram");
    if (ram == migration.end()) return out;
    const auto take = [&](const char* name, const char* key) {
        if (const auto at = ram->find(key); at != ram->end() && at->is_number())
            out[name] = static_cast<std::uint64_t>(std::max(0.0, at->get<double>()));
    };
    take("memory_total", "total");
    take("memory_processed", "transferred");
    take("memory_remaining", "remaining");
    take("memory_constant", "duplicate");
    take("memory_normal", "normal");
    take("memory_normal_bytes", "normal-bytes");
    take("memory_dirty_rate", "dirty-pages-rate");
    take("memory_iteration", "dirty-sync-count");
    take("memory_postcopy_requests", "postcopy-requests");
    take("memory_page_size", "page-size");
    if (const double megabits = ram->value("mbps", 0.0); megabits > 0)
        out["memory_bps"] = static_cast<std::uint64_t>(megabits * 1'000'000 / 8);
    for (const auto& [name, key] : {std::pair("downtime", "downtime"), {"setup_time", "setup-time"}})
        if (const auto at = migration.find(key); at != migration.end() && at->is_number_unsigned())
            out[name] = at->get<std::uint64_t>();
    out["data_total"] = out["memory_total"];
    out["data_processed"] = out["memory_processed"];
    out["data_remaining"] = out["memory_remaining"];
    return out;
}

Task<> QemuStateKeeper::describe_failure(std::shared_ptr<Stream> stream) {
    const json migration = co_await machine_.qmp().ask("query-migrate");
    stream->error = migration.value("error-desc", "");
}

// Until QEMU says how it ended, or is gone.
Task<> QemuStateKeeper::await_stream(std::shared_ptr<Stream> stream) {
    co_await stream->ended.wait();
    if (stream->status == "completed") co_return;
    const char* what = stream->of_dump ? "memory-only dump" : "domain state";
    if (stream->aborted) rpc::fail(Code::operation_aborted, "{}: canceled by client", what);
    if (stream->status == "failed" && stream->error.empty()) co_await describe_failure(stream);
    if (stream->of_dump)
        rpc::fail(Code::operation_failed, "memory-only dump failed: {}",
                  stream->error.empty() ? "unknown reason" : stream->error);
    rpc::fail(Code::operation_failed, "writing the guest's state failed: {}",
              stream->error.empty() ? stream->status : stream->error);
}

Task<> QemuStateKeeper::stream_out(std::shared_ptr<Stream> stream, Fd into) {
    auto qmp = machine_.shared_qmp();
    qmp->send("migrate-set-parameters", {{"max-bandwidth", no_limit}});
    const std::string name = "lodge-state";
    auto passed = qmp->send("getfd", {{"fdname", name}}, std::move(into));
    auto begun = qmp->send("migrate", {{"uri", "fd:" + name}});
    co_await passed.result();
    co_await begun.result();
    co_await await_stream(stream);
    stream->figures = figures_of(co_await qmp->ask("query-migrate"));
}

Task<> QemuStateKeeper::save(SaveTarget target) {
    const auto machine = machine_.shared_from_this();
    const char* use = target.use == ImageUse::save ? "save" : "snapshot";
    SaveImage image;
    image.format = stream_format(target.use == ImageUse::save ? formats_.save : formats_.snapshot, use);
    image.head = std::move(target.head);
    const auto stream = begin(target.use == ImageUse::save ? job_operation_save : job_operation_snapshot);
    std::exception_ptr failure;
    Output out;
    StreamFilter filter;
    try {
        co_await rpc::blocking([&] {
            out = open_output(target.path);
            write_all(out.file.get(), encode(image), target.path);
        });
        filter = StreamFilter::packing(executor(), image.format, duplicate(out.file), use);
        co_await stream_out(stream, filter.take_end());
        co_await filter.finish();
        co_await rpc::blocking([&] { complete_image(out, target.bypass_cache); });
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        filter.kill();
        co_await rpc::blocking([&] { drop(out); });
    }
    end(stream, !failure);
    if (failure) std::rethrow_exception(failure);
}

Task<> QemuStateKeeper::dump_memory(std::shared_ptr<Stream> stream, Fd file, std::string format) {
    auto qmp = machine_.shared_qmp();
    stream->of_dump = true;
    if (format != "elf") {
        const json known = co_await qmp->ask("query-dump-guest-memory-capability");
        bool there = false;
        for (const auto& one : known.at("formats")) there |= one == format;
        if (!there) rpc::fail(Code::invalid_arg, "unsupported dumpformat '{}' for this QEMU binary", format);
    }
    const std::string name = "lodge-dump";
    json arguments = {{"paging", false}, {"protocol", "fd:" + name}, {"detach", true}};
    if (format != "elf") arguments["format"] = format;
    auto passed = qmp->send("getfd", {{"fdname", name}}, std::move(file));
    auto begun = qmp->send("dump-guest-memory", std::move(arguments));
    co_await passed.result();
    co_await begun.result();
    co_await await_stream(stream);
}

Task<> QemuStateKeeper::dump(DumpTarget target) {
    const auto machine = machine_.shared_from_this();
    const auto stream = begin(job_operation_dump);
    std::exception_ptr failure;
    Output out;
    StreamFilter filter;
    try {
        co_await rpc::blocking([&] { out = open_output(target.path); });
        if (target.memory_only) {
            co_await dump_memory(stream, duplicate(out.file), target.format);
        } else {
            auto format = StreamFormat::raw;
            try {
                format = stream_format(formats_.dump, "dump");
            } catch (const rpc::Error& error) {
                log::warn("{}, using raw", error.detail());
            }
            filter = StreamFilter::packing(executor(), format, duplicate(out.file), "dump");
            co_await stream_out(stream, filter.take_end());
            co_await filter.finish();
        }
        co_await rpc::blocking([&] { settle(out.file, target.bypass_cache, target.path); });
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        filter.kill();
        co_await rpc::blocking([&] { drop(out); });
    }
    end(stream, !failure);
    if (failure) std::rethrow_exception(failure);
}

Task<> QemuStateKeeper::give_up() {
    const auto machine = machine_.shared_from_this();
    co_await machine_.qmp().ask("migrate_cancel");
}

Task<> QemuStateKeeper::load(Fd file) {
    const auto machine = machine_.shared_from_this();
    const auto stream = begin(3); // VIR_DOMAIN_JOB_OPERATION_RESTORE
    auto qmp = machine_.shared_qmp();
    std::exception_ptr failure;
    try {
        const std::string name = "lodge-state";
        auto passed = qmp->send("getfd", {{"fdname", name}}, std::move(file));
        auto begun = qmp->send("migrate-incoming", {{"uri", "fd:" + name}});
        co_await passed.result();
        co_await begun.result(10min);
        co_await stream->ended.wait();
        // A QEMU that cannot read its state says why in its log, and ends.
        if (stream->status != "completed") co_await machine->process().wait(5s);
        if (stream->status != "completed")
            rpc::fail(Code::operation_failed, "restoring the guest's state failed: {}",
                      stream->error.empty() ? stream->status : stream->error);
    } catch (...) {
        failure = std::current_exception();
    }
    stream_.reset();
    if (failure) std::rethrow_exception(failure);
}

// ---- what is told while it runs ----

void QemuStateKeeper::on_event(const QmpEvent& event) {
    const auto text = [](const json& data, const char* key) {
        const auto at = data.is_object() ? data.find(key) : data.end();
        return at != data.end() && at->is_string() ? at->get<std::string>() : std::string();
    };
    if (event.name == "JOB_STATUS_CHANGE" && text(event.data, "status") == "concluded") {
        if (const auto job = jobs_.find(text(event.data, "id")); job != jobs_.end()) job->second->concluded.set();
    }
    if (!stream_) return;
    const auto finish = [this](const std::string& status) {
        stream_->status = status;
        if (status == "completed" || status == "failed" || status == "cancelled") stream_->ended.set();
    };
    if (event.name == "MIGRATION" && !stream_->of_dump) finish(text(event.data, "status"));
    if (event.name == "DUMP_COMPLETED" && stream_->of_dump) {
        stream_->error = text(event.data, "error");
        const auto result = event.data.find("result");
        finish(result == event.data.end() ? "failed" : text(*result, "status"));
    }
}

void QemuStateKeeper::on_end(const std::string& reason) {
    for (const auto& [id, job] : jobs_) {
        job->lost = reason;
        job->concluded.set();
    }
    if (!stream_ || stream_->ended.is_set()) return;
    stream_->status = "ended";
    stream_->error = reason;
    stream_->ended.set();
}

Task<JobFigures> QemuStateKeeper::figures() {
    const auto machine = machine_.shared_from_this();
    const auto stream = stream_;
    JobFigures out;
    if (!stream) co_return out;
    out.active = true;
    out.of_memory = true;
    out.operation = stream->operation;
    out.elapsed_ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - stream->began).count());
    const bool of_dump = stream->of_dump;
    const json status = co_await machine_.qmp().ask(of_dump ? "query-dump" : "query-migrate");
    if (of_dump) {
        out.total = status.value("total", std::uint64_t{0});
        out.processed = status.value("completed", std::uint64_t{0});
        out.remaining = out.total - std::min(out.total, out.processed);
    } else {
        auto figures = figures_of(status);
        out.total = figures["memory_total"];
        out.processed = figures["memory_processed"];
        out.remaining = figures["memory_remaining"];
    }
    co_return out;
}

Task<> QemuStateKeeper::abort() {
    const auto machine = machine_.shared_from_this();
    const auto stream = stream_;
    if (!stream) rpc::fail(Code::operation_invalid, "no job is active on the domain");
    if (stream->of_dump) rpc::fail(Code::operation_invalid, "cannot abort memory-only dump");
    stream->aborted = true;
    co_await machine_.qmp().ask("migrate_cancel");
}

} // namespace lodge::drivers::qemu
