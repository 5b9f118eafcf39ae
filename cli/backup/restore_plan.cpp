#include "cli/backup/restore_plan.hpp"

#include "cli/xml_query.hpp"

#include <filesystem>

namespace lodge::cli {

namespace {

namespace fs = std::filesystem;

std::string path_for(const SavedDisk& disk, const std::string& name, const RestoreWishes& wishes) {
    fs::path old(disk.source_type == "file" ? disk.source : std::string());
    auto extension = old.has_extension() ? old.extension().string() : "." + disk.source_format;
    auto own_name = wishes.name || old.empty() ? fmt::format("{}-{}{}", name, disk.target, extension) : old.filename().string();
    if (wishes.image_dir) return (fs::absolute(*wishes.image_dir) / own_name).lexically_normal().string();
    if (disk.source_type == "block" && !wishes.name) return disk.source;
    if (old.empty())
        fail("disk '{}' lay on '{}' ({}); say with --image-dir where its image shall go", disk.target, disk.source,
             disk.source_type);
    return (old.parent_path() / own_name).string();
}

// The disk becomes a plain image file (or stays the device it was); layers that the backup has merged go.
void point_disk(pugi::xml_node node, const RestoredImage& image) {
    node.remove_child("backingStore");
    node.remove_child("mirror");
    auto source = node.child("source");
    auto encryption = source.child("encryption");
    pugi::xml_node fresh = source ? node.insert_child_before("source", source) : node.append_child("source");
    fresh.append_attribute(image.device ? "dev" : "file") = image.to.c_str();
    if (encryption) fresh.append_copy(encryption);
    if (source) node.remove_child(source);
    node.remove_attribute("type");
    node.prepend_attribute("type") = image.device ? "block" : "file";
    auto driver = node.child("driver");
    if (!driver) driver = node.prepend_child("driver");
    driver.remove_attribute("type");
    driver.append_attribute("type") = image.to_format.c_str();
}

void rename_guest(pugi::xml_node domain, const std::string& name) {
    domain.child("name").text().set(name.c_str());
    domain.remove_child("uuid"); // the daemon makes new ones
    for (auto nic : domain.child("devices").children("interface")) nic.remove_child("mac");
}

} // namespace

RestorePlan plan_restore(const Manifest& manifest, const std::string& domain_xml, const RestoreWishes& wishes) {
    auto document = parse_document(domain_xml, "domain.xml");
    auto domain = document.child("domain");
    if (!domain) fail("{}", "domain.xml holds no domain");
    RestorePlan plan;
    plan.name = wishes.name.value_or(manifest.name);
    if (plan.name.empty() || plan.name.find('/') != plan.name.npos) fail("'{}' is no name for a domain", plan.name);
    if (wishes.name) rename_guest(domain, plan.name);

    for (const auto& disk : manifest.disks) {
        auto query = fmt::format("/domain/devices/disk[target/@dev='{}']", disk.target);
        auto node = document.select_node(query.c_str()).node();
        if (!node) fail("domain.xml has no disk '{}'", disk.target);
        RestoredImage image;
        image.target = disk.target;
        image.from = disk.file;
        image.from_format = disk.format;
        image.to = path_for(disk, plan.name, wishes);
        image.device = disk.source_type == "block" && image.to == disk.source;
        // a format that no backup is written in (vmdk, qed …) comes back as what the backup holds
        image.to_format = disk.source_format == "raw" || disk.source_format == "qcow2" ? disk.source_format : disk.format;
        point_disk(node, image);
        plan.images.push_back(std::move(image));
    }
    if (!manifest.nvram_file.empty()) {
        fs::path old(manifest.nvram_path);
        plan.nvram_from = manifest.nvram_file;
        plan.nvram_to = wishes.name ? (old.parent_path() / (plan.name + "_VARS.fd")).string() : old.string();
        auto nvram = domain.child("os").child("nvram");
        if (auto source = nvram.child("source"))
            source.attribute("file") = plan.nvram_to.c_str();
        else
            nvram.text().set(plan.nvram_to.c_str());
    }
    plan.xml = format_document(document);
    return plan;
}

} // namespace lodge::cli
