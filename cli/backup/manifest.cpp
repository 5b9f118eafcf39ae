#include "cli/backup/manifest.hpp"

#include "cli/backup/files.hpp"
#include "cli/failure.hpp"

namespace lodge::cli {

namespace {

constexpr int manifest_version = 1;

// A name that leads out of the folder would let a doctored backup read or write anywhere.
void require_plain_name(const std::string& name) {
    if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos)
        fail("{}: '{}' is no file name", manifest_file, name);
}

} // namespace

std::string manifest_text(const Manifest& m) {
    Json disks = Json::array(), files = Json::array(), left_out = Json::array();
    for (const auto& disk : m.disks)
        disks.push_back({{"target", disk.target},
                         {"file", disk.file},
                         {"format", disk.format},
                         {"source", disk.source},
                         {"source_type", disk.source_type},
                         {"source_format", disk.source_format}});
    for (const auto& [target, reason] : m.left_out) left_out.push_back({{"target", target}, {"reason", reason}});
    for (const auto& file : m.files) files.push_back({{"name", file.name}, {"size", file.size}, {"sha256", file.sha256}});
    Json json = {{"lodge_backup", manifest_version},
                 {"name", m.name},
                 {"uuid", m.uuid},
                 {"time", m.time},
                 {"state", m.state},
                 {"xml", m.xml},
                 {"disks", disks},
                 {"nvram", m.nvram_file.empty() ? Json() : Json({{"file", m.nvram_file}, {"path", m.nvram_path}})},
                 {"left_out", left_out},
                 {"files", files}};
    json["sha256"] = sha256_of_text(json.dump());
    return json.dump(2) + "\n";
}

Manifest parse_manifest(const std::string& text) {
    Manifest out;
    try {
        auto json = Json::parse(text);
        if (json.at("lodge_backup") != manifest_version)
            fail("{} is of version {}, which this lodge does not know", manifest_file, json.at("lodge_backup").dump());
        std::string sum = json.at("sha256");
        json.erase("sha256");
        if (sha256_of_text(json.dump()) != sum) fail("{} was changed: its SHA-256 does not fit", manifest_file);
        out.name = json.at("name");
        out.uuid = json.at("uuid");
        out.time = json.at("time");
        out.state = json.at("state");
        out.xml = json.at("xml");
        for (const auto& disk : json.at("disks"))
            out.disks.push_back({disk.at("target"), disk.at("file"), disk.at("format"), disk.at("source"), disk.at("source_type"),
                                 disk.at("source_format")});
        if (const auto& nvram = json.at("nvram"); !nvram.is_null()) {
            out.nvram_file = nvram.at("file");
            out.nvram_path = nvram.at("path");
        }
        for (const auto& disk : json.at("left_out")) out.left_out.emplace_back(disk.at("target"), disk.at("reason"));
        for (const auto& file : json.at("files")) out.files.push_back({file.at("name"), file.at("size"), file.at("sha256")});
    } catch (const Json::exception& error) {
        fail("{} is damaged: {}", manifest_file, error.what());
    }
    for (const auto& file : out.files) require_plain_name(file.name);
    for (const auto& disk : out.disks) require_plain_name(disk.file);
    if (!out.nvram_file.empty()) require_plain_name(out.nvram_file);
    return out;
}

Manifest read_manifest(const std::filesystem::path& folder) {
    auto path = folder / manifest_file;
    if (!std::filesystem::is_regular_file(path)) fail("'{}' is no backup: it has no {}", folder.string(), manifest_file);
    return parse_manifest(read_file(path));
}

std::vector<WrongFile> verify_files(const std::filesystem::path& folder, const Manifest& manifest) {
    std::vector<WrongFile> wrong;
    for (const auto& file : manifest.files) {
        auto path = folder / file.name;
        std::error_code error;
        auto size = std::filesystem::file_size(path, error);
        if (error)
            wrong.push_back({file.name, error.message()});
        else if (size != file.size)
            wrong.push_back({file.name, fmt::format("is {} bytes long, should be {}", size, file.size)});
        else if (sha256_of_file(path) != file.sha256)
            wrong.push_back({file.name, "its content was changed: the SHA-256 differs"});
    }
    return wrong;
}

} // namespace lodge::cli
