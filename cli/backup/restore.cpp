#include "cli/backup/restore.hpp"

#include "cli/backup/progress.hpp"
#include "cli/backup/qemu_img.hpp"
#include "cli/backup/staged_files.hpp"
#include "cli/event_loop.hpp"

#include <libvirt/virterror.h>

namespace lodge::cli {

namespace {

Domain known(Domain found) {
    if (!found && cause_code() != VIR_ERR_NO_DOMAIN) fail_with_cause("{}", "cannot look for the domain");
    forget_cause();
    return found;
}

// A guest of this name or UUID may only be replaced on demand, and never while it runs.
void refuse_existing(virConnectPtr connection, const Manifest& manifest, const RestorePlan& plan, const RestoreRequest& request) {
    auto same_name = known(Domain(virDomainLookupByName(connection, plan.name.c_str())));
    Domain same_uuid;
    if (!request.wishes.name) same_uuid = known(Domain(virDomainLookupByUUIDString(connection, manifest.uuid.c_str())));
    for (const auto* found : {&same_name, &same_uuid}) {
        if (!*found) continue;
        std::string name = virDomainGetName(found->get());
        if (!request.force) fail("domain '{}' exists already; --force replaces it, --name restores beside it", name);
        if (virDomainIsActive(found->get()) != 0) fail("domain '{}' is running; stop it first", name);
    }
    if (same_name && (request.wishes.name || uuid_of(same_name.get()) != manifest.uuid))
        fail("the name '{}' belongs to another domain (UUID {}); choose another one with --name", plan.name,
             uuid_of(same_name.get()));
    if (same_uuid && virDomainGetName(same_uuid.get()) != plan.name)
        fail("domain '{}' has the UUID of the backup; rename or undefine it, or use --name", virDomainGetName(same_uuid.get()));
}

void require_whole(const fs::path& folder, const Manifest& manifest) {
    auto wrong = verify_files(folder, manifest);
    if (!wrong.empty()) fail("the backup is damaged: {}: {}", wrong.front().name, wrong.front().why);
}

class RestoreRun {
  public:
    RestoreRun(Session& session, const RestoreRequest& request)
        : session_(session)
        , request_(request)
        , bar_(session.quiet()) {}

    std::string run() {
        fs::path folder(request_.folder);
        auto manifest = read_manifest(folder);
        auto plan = plan_restore(manifest, read_file(folder / "domain.xml"), request_.wishes);
        refuse_existing(session_.connection(), manifest, plan, request_);
        reserve(plan);
        bar_.show("checking", 0, 1);
        require_whole(folder, manifest);
        for (size_t i = 0; i < plan.images.size(); i++)
            if (!plan.images[i].device) write_image(folder, plan.images[i], places_[i]);
        if (!plan.nvram_from.empty()) copy_sparse(folder / plan.nvram_from, nvram_place_);
        stop_if_interrupted();
        // devices cannot be swapped by a rename, so they come when all else is ready
        for (const auto& image : plan.images)
            if (image.device) write_image(folder, image, image.to);
        files_.put_in_place();
        define(plan);
        files_.accept();
        bar_.clear();
        return plan.name;
    }

  private:
    // Every refusal comes from here, before anything is written.
    void reserve(const RestorePlan& plan) {
        for (const auto& image : plan.images) {
            if (image.device && !request_.force)
                fail("disk '{}' would overwrite the device '{}'; --force does that", image.target, image.to);
            if (image.device && !fs::is_block_file(image.to))
                fail("disk '{}': there is no device '{}'; use --image-dir", image.target, image.to);
            places_.push_back(image.device ? fs::path(image.to) : files_.add(image.to, request_.force));
        }
        if (!plan.nvram_from.empty()) nvram_place_ = files_.add(plan.nvram_to, request_.force);
    }

    void write_image(const fs::path& folder, const RestoredImage& image, const fs::path& place) {
        auto progress = [&](auto done, auto total) { bar_.show(image.target, done, total); };
        if (image.from_format == image.to_format && !image.device)
            copy_sparse(folder / image.from, place, progress);
        else
            convert_image(folder / image.from, image.from_format, place, image.to_format, image.device, progress);
        sync_path(place);
    }

    void define(const RestorePlan& plan) {
        Domain defined(virDomainDefineXML(session_.connection(), plan.xml.c_str()));
        if (!defined) fail_with_cause("Failed to define domain '{}' from the backup", plan.name);
    }

    Session& session_;
    const RestoreRequest& request_;
    ProgressBar bar_;
    StagedFiles files_;
    std::vector<fs::path> places_;
    fs::path nvram_place_;
};

} // namespace

std::string restore_backup(Session& session, const RestoreRequest& request) {
    InterruptGuard guard;
    return RestoreRun(session, request).run();
}

} // namespace lodge::cli
