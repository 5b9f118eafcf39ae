#include "cli/backup/create.hpp"

#include "cli/backup/files.hpp"
#include "cli/backup/plan.hpp"
#include "cli/backup/progress.hpp"
#include "cli/backup/push_job.hpp"
#include "cli/backup/qemu_img.hpp"
#include "cli/event_loop.hpp"
#include "cli/words.hpp"
#include "cli/xml_query.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/chrono.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <thread>
#include <unistd.h>

namespace lodge::cli {

namespace {

std::string now() {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

std::string document_text(virDomainPtr domain, unsigned flags) {
    Text xml(virDomainGetXMLDesc(domain, flags));
    if (!xml) fail_with_cause("{}", "failed to retrieve XML");
    return xml.get();
}

// Images are written by the daemon's host, the folder is ours: they must be the same machine.
void require_local(virConnectPtr connection) {
    Text uri(virConnectGetURI(connection));
    std::string text = uri ? uri.get() : "";
    auto scheme = text.substr(0, text.find("://"));
    auto host = text.size() > scheme.size() + 3
                    ? text.substr(scheme.size() + 3, text.find('/', scheme.size() + 3) - scheme.size() - 3)
                    : "";
    bool remote = scheme.find("+ssh") != scheme.npos || scheme.find("+tls") != scheme.npos ||
                  scheme.find("+tcp") != scheme.npos || scheme.find("+libssh") != scheme.npos || !host.empty();
    if (remote) fail("the daemon at '{}' is on another machine; run lodge there", text);
}

struct FileMark {
    unsigned long long size = 0;
    timespec changed{};
    bool operator==(const FileMark& other) const {
        return size == other.size && changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
    }
};

FileMark mark_of(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) < 0) return {};
    return {static_cast<unsigned long long>(found.st_size), found.st_mtim};
}

class BackupRun {
  public:
    BackupRun(Session& session, virDomainPtr domain, const BackupRequest& request)
        : session_(session)
        , domain_(domain)
        , request_(request)
        , bar_(session.quiet()) {}

    Manifest run() {
        require_local(session_.connection());
        look();
        refuse_early();
        PartialFolder folder(request_.folder);
        folder_ = &folder;
        write_documents();
        running_ ? copy_running() : copy_stopped();
        sum_up();
        write_file(folder.path() / manifest_file, manifest_text(manifest_));
        bar_.clear();
        folder.finish();
        return manifest_;
    }

  private:
    void look() {
        int state = 0;
        check(virDomainGetState(domain_, &state, nullptr, 0), "{}", "Failed to get domain state");
        running_ = check(virDomainIsActive(domain_)) == 1;
        manifest_.name = virDomainGetName(domain_);
        manifest_.uuid = uuid_of(domain_);
        manifest_.state = domain_state(state);
        manifest_.xml = running_ ? "inactive, with secrets; live.xml is the running one" : "inactive, with secrets";
        inactive_xml_ = document_text(domain_, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
        if (running_) live_xml_ = document_text(domain_, VIR_DOMAIN_XML_SECURE);
        const auto& xml = running_ ? live_xml_ : inactive_xml_; // the running one says what the disks are now
        plan_ = plan_backup(parse_document(xml, "the domain"),
                            {.format = request_.format, .exclude = request_.exclude, .running = running_});
        for (const auto& disk : plan_.left_out) manifest_.left_out.emplace_back(disk.target, disk.reason);
        if (!running_ && virDomainHasManagedSaveImage(domain_, 0) > 0)
            plan_.notes.emplace_back("the saved memory of the guest is not part of the backup");
        forget_cause();
    }

    // All that can be known before the first byte is written.
    void refuse_early() {
        unsigned long long needed = 0;
        for (const auto& disk : plan_.disks) {
            if (disk.type != "file" && disk.type != "block") continue;
            struct stat found{};
            if (::stat(disk.source.c_str(), &found) < 0)
                fail("disk '{}': cannot read '{}': {}", disk.target, disk.source, std::strerror(errno));
            if (!running_) {
                Fd readable = open_file(disk.source, O_RDONLY);
                if (!disk.encrypted) image_info(disk.source, disk.source_format);
            }
            needed += static_cast<unsigned long long>(found.st_blocks) * 512;
        }
        if (!plan_.nvram.empty() && ::access(plan_.nvram.c_str(), R_OK) < 0) {
            if (running_) fail("cannot read the NVRAM '{}': {}", plan_.nvram, std::strerror(errno));
            plan_.notes.emplace_back("the guest has no NVRAM file yet");
            plan_.nvram.clear();
        }
        auto parent = fs::absolute(request_.folder).lexically_normal();
        parent = parent.has_filename() ? parent.parent_path() : parent.parent_path().parent_path();
        struct statvfs room{};
        if (::statvfs(parent.c_str(), &room) < 0) fail("cannot write to '{}': {}", parent.string(), std::strerror(errno));
        auto free_bytes = static_cast<unsigned long long>(room.f_bavail) * room.f_frsize;
        if (needed > free_bytes)
            fail("the disks take {}, but '{}' has only {} left", size_words(needed), parent.string(), size_words(free_bytes));
        for (const auto& disk : plan_.left_out) session_.extra("Left out: disk '{}' ({})\n", disk.target, disk.reason);
        for (const auto& note : plan_.notes) session_.extra("Note: {}\n", note);
        session_.flush();
    }

    void write_documents() {
        write_file(folder_->path() / "domain.xml", inactive_xml_);
        names_.emplace_back("domain.xml");
        if (running_) {
            write_file(folder_->path() / "live.xml", live_xml_);
            names_.emplace_back("live.xml");
        }
    }

    void copy_nvram() {
        if (plan_.nvram.empty()) return;
        manifest_.nvram_file = "nvram.fd";
        manifest_.nvram_path = plan_.nvram;
        copy_sparse(plan_.nvram, folder_->path() / manifest_.nvram_file);
        names_.push_back(manifest_.nvram_file);
    }

    void copy_running() {
        manifest_.time = now();
        if (plan_.disks.empty()) return copy_nvram();
        push_disks();
        for (const auto& disk : plan_.disks) {
            auto path = folder_->path() / disk.file;
            if (!fs::exists(path))
                fail("the daemon said the backup of disk '{}' is done, but there is no '{}'", disk.target, path.string());
            wait_until_unlocked(path);
            // QEMU's user owned it while it wrote
            if (::chown(path.c_str(), ::geteuid(), ::getegid()) < 0 || ::chmod(path.c_str(), 0600) < 0)
                fail("cannot take over '{}': {}", path.string(), std::strerror(errno));
        }
    }

    void push_disks() {
        try {
            PushJob job(session_.connection(), domain_, push_document(plan_, folder_->path().string()));
            manifest_.time = now();
            copy_nvram(); // as close to the disks' point in time as can be
            job.wait([&](auto done, auto total) { bar_.show("disks", done, total); });
        } catch (const Failure&) {
            stop_if_interrupted();
            // A guest that has just died may fail the call a moment before the daemon has seen its end.
            for (int look = 0; look < 20; ++look) {
                if (virDomainIsActive(domain_) != 1) fail("{}", "the guest was stopped during the backup");
                std::this_thread::sleep_for(std::chrono::milliseconds(50));
            }
            throw;
        }
    }

    void copy_stopped() {
        std::vector<FileMark> before;
        for (const auto& disk : plan_.disks) before.push_back(mark_of(disk.source));
        manifest_.time = now();
        for (const auto& disk : plan_.disks) {
            auto progress = [&](auto done, auto total) { bar_.show(disk.target, done, total); };
            auto target = folder_->path() / disk.file;
            bool as_it_is = disk.encrypted || (disk.format == disk.source_format && disk.type == "file" &&
                                               !image_info(disk.source, disk.source_format).has_backing);
            if (as_it_is)
                copy_sparse(disk.source, target, progress);
            else
                convert_image(disk.source, disk.source_format, target, disk.format, false, progress);
            ::chmod(target.c_str(), 0600);
        }
        copy_nvram();
        for (size_t i = 0; i < before.size(); i++)
            if (virDomainIsActive(domain_) != 0 || mark_of(plan_.disks[i].source) != before[i])
                fail("{}", "the guest was started or a disk was changed while it was copied");
    }

    void sum_up() {
        for (const auto& disk : plan_.disks) {
            manifest_.disks.push_back({disk.target, disk.file, disk.format, disk.source, disk.type, disk.source_format});
            names_.push_back(disk.file);
        }
        for (const auto& name : names_) {
            auto path = folder_->path() / name;
            auto before = mark_of(path);
            auto sum = sha256_of_file(path, [&](auto done, auto total) { bar_.show("checksums", done, total); });
            if (mark_of(path) != before) fail("'{}' was changed while its checksum was computed", path.string());
            manifest_.files.push_back({name, fs::file_size(path), sum});
        }
    }

    Session& session_;
    virDomainPtr domain_;
    const BackupRequest& request_;
    ProgressBar bar_;
    bool running_ = false;
    std::string inactive_xml_, live_xml_;
    BackupPlan plan_;
    Manifest manifest_;
    PartialFolder* folder_ = nullptr;
    std::vector<std::string> names_;
};

} // namespace

Manifest create_backup(Session& session, virDomainPtr domain, const BackupRequest& request) {
    InterruptGuard guard;
    return BackupRun(session, domain, request).run();
}

} // namespace lodge::cli
