#include "cli/storage_removal.hpp"

#include "cli/xml_query.hpp"

#include <algorithm>

namespace lodge::cli {

namespace {

std::vector<std::string> split_commas(const std::string& list) {
    std::vector<std::string> out;
    for (size_t at = 0; at < list.size();) {
        auto comma = std::min(list.find(',', at), list.size());
        out.push_back(list.substr(at, comma - at));
        at = comma + 1;
    }
    return out;
}

Volume volume_of(virConnectPtr connection, const pugi::xml_node& disk, const std::string& path) {
    auto source = disk.child("source");
    if (auto name = source.attribute("volume")) {
        Pool pool(virStoragePoolLookupByName(connection, source.attribute("pool").value()));
        if (!pool) return {};
        return Volume(virStorageVolLookupByName(pool.get(), name.value()));
    }
    return Volume(virStorageVolLookupByPath(connection, path.c_str()));
}

} // namespace

std::vector<DoomedVolume> volumes_to_remove(Session& session, virDomainPtr domain, const Arguments& arguments) {
    std::vector<DoomedVolume> out;
    if (!arguments.has("storage") && !arguments.has("remove-all-storage")) return out;
    if (check(virDomainIsActive(domain)) == 1) fail("{}", "Storage volume deletion is supported only on stopped domains");
    auto wanted = split_commas(arguments.text("storage", ""));
    auto document = document_of(domain, 0);
    for (const auto& found : document.select_nodes("/domain/devices/disk")) {
        auto disk = found.node();
        std::string target = disk.child("target").attribute("dev").value();
        auto path = disk_source(disk);
        if (path.empty()) continue;
        if (!arguments.has("remove-all-storage")) {
            auto it = std::ranges::find_if(wanted, [&](const std::string& word) { return word == target || word == path; });
            if (it == wanted.end()) continue;
            wanted.erase(it);
        }
        auto volume = volume_of(session.connection(), disk, path);
        forget_cause();
        if (volume)
            out.push_back({target, path, std::move(volume)});
        else
            session.error(fmt::format("Storage volume '{}'({}) is not managed by libvirt. Remove it manually.", target, path));
    }
    if (!wanted.empty()) fail("Volume '{}' was not found in domain's definition.", wanted.front());
    return out;
}

void remove_volumes(Session& session, const std::vector<DoomedVolume>& volumes, const Arguments& arguments) {
    std::string failed;
    for (const auto& doomed : volumes) {
        if (arguments.has("wipe-storage")) {
            session.print("Wiping volume '{}'({}) ... ", doomed.target, doomed.path);
            session.flush();
            bool wiped = virStorageVolWipe(doomed.volume.get(), 0) == 0;
            session.print("{}", wiped ? "Done.\n" : "Failed! Volume not removed.\n");
            if (!wiped) {
                failed = cause();
                continue;
            }
        }
        unsigned flags = arguments.has("delete-storage-volume-snapshots") ? VIR_STORAGE_VOL_DELETE_WITH_SNAPSHOTS : 0;
        if (virStorageVolDelete(doomed.volume.get(), flags) < 0)
            session.error(failed =
                              fmt::format("Failed to remove storage volume '{}'({}): {}", doomed.target, doomed.path, cause()));
        else
            session.extra("Volume '{}'({}) removed.\n", doomed.target, doomed.path);
    }
    if (!failed.empty()) fail("{}", "Failed to remove some storage volumes");
}

} // namespace lodge::cli
