// Built first and run by CMake: turns protocol/*.json, the only description of the wire, into C++ in the build tree.
//   lodge_generate PROTOCOL_DIR OUTPUT_DIR
// Makes PROGRAM.hpp/.cpp (structs, codec, procedures), errors.hpp/.cpp (codes, domains, texts) and constants.hpp (the API's
// numbers).
#include <cctype>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

namespace {

Json load(const fs::path& file) {
    std::ifstream in(file);
    if (!in) throw std::runtime_error("cannot read " + file.string());
    return Json::parse(in);
}

// Unchanged output keeps its time stamp, so that a rebuilt generator does not rebuild the world.
void save(const fs::path& file, const std::string& text) {
    std::ifstream in(file);
    std::string old((std::istreambuf_iterator<char>(in)), {});
    if (in && old == text) return;
    std::ofstream(file) << text;
}

std::string lower(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

// "VIR_ERR_NO_DOMAIN" without "VIR_ERR_" -> no_domain; words of C++ get an underscore.
std::string enumerator(const std::string& name, const std::string& prefix) {
    static const std::set<std::string> words = {"auto", "default", "delete", "export", "register", "static", "union", "xor",
                                                "or",   "and",     "int",    "double", "long",     "short",  "char",  "bool"};
    std::string text = lower(name.starts_with(prefix) ? name.substr(prefix.size()) : name);
    if (words.contains(text) || std::isdigit(static_cast<unsigned char>(text[0]))) text += '_';
    return text;
}

std::string pascal(const std::string& name) {
    std::string out;
    bool up = true;
    for (char c : name) {
        if (c == '_') {
            up = true;
            continue;
        }
        out += static_cast<char>(up ? std::toupper(static_cast<unsigned char>(c)) : std::tolower(static_cast<unsigned char>(c)));
        up = false;
    }
    return out;
}

std::string quoted(const Json& value) { return value.is_null() ? "nullptr" : value.dump(); }

class Program {
  public:
    Program(const Json& json)
        : json_(json)
        , name_(json["program"]) {}

    std::string header() {
        std::string out = fmt::format(
            "// Generated from protocol/{}.json.\n#pragma once\n#include \"rpc/codec.hpp\"\n#include \"rpc/procedure.hpp\"\n\n"
            "namespace lodge::rpc::{} {{\n\ninline constexpr std::uint32_t program = {}u;\ninline constexpr std::uint32_t "
            "version = {};\n\n",
            name_, name_, json_["number"].dump(), json_["version"].dump());
        for (const auto& [name, members] : json_["enums"].items())
            for (const auto& [word, value] : members.items())
                out += fmt::format("inline constexpr std::int32_t {} = {};\n", enumerator(word, lower_prefix()), value.dump());
        std::set<std::string> done;
        for (const auto& [name, fields] : json_["structs"].items()) emit_struct(name, done, out);
        for (const auto& proc : json_["procedures"]) out += procedure(proc);
        return out +
               fmt::format("\nextern const std::span<const Procedure> procedures;\n\n}} // namespace lodge::rpc::{}\n", name_);
    }

    std::string source() {
        std::string out = fmt::format(
            "// Generated from protocol/{}.json.\n#include \"rpc/generated/{}.hpp\"\n\nnamespace lodge::rpc::{} {{\n\n", name_,
            name_, name_);
        for (const auto& [name, fields] : json_["structs"].items()) out += codec(name, fields);
        out += "static const Procedure table[] = {\n";
        for (const auto& proc : json_["procedures"]) out += row(proc);
        if (json_["procedures"].empty()) out += "    {},\n";
        return out +
               fmt::format("}};\nconst std::span<const Procedure> procedures(table);\n\n}} // namespace lodge::rpc::{}\n", name_);
    }

  private:
    std::string lower_prefix() const {
        std::string prefix = name_ + "_";
        for (char& c : prefix) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        return prefix;
    }

    static bool is_typed_param(const std::string& type) { return type.ends_with("_typed_param"); }

    std::string struct_name(std::string type) const {
        if (is_typed_param(type)) return "TypedParam";
        if (type.starts_with("remote_nonnull_") && name_ == "qemu") return "remote::" + pascal(type.substr(7));
        if (type.starts_with("remote_nonnull_") && name_ == "lxc") return "remote::" + pascal(type.substr(7));
        if (type.starts_with(name_ + "_")) type = type.substr(name_.size() + 1);
        return pascal(type);
    }

    struct Type {
        std::string cpp, bound, element;
        bool list = false, string = false, opaque = false, optional = false, uuid = false, chars = false;
    };

    Type resolve(const Json& field) const {
        static const std::map<std::string, std::string> scalars = {
            {"int", "std::int32_t"}, {"uint", "std::uint32_t"}, {"hyper", "std::int64_t"}, {"uhyper", "std::uint64_t"},
            {"double", "double"},    {"char", "WideChar"},      {"uchar", "std::uint8_t"}, {"ushort", "std::uint16_t"}};
        const std::string type = field["type"];
        Type out;
        const bool var = field.contains("var"), fixed = field.contains("fixed");
        if (type == "string") {
            out = {"std::string", field["var"].dump(), "", false, true, false, false, false, false};
        } else if (type == "opaque") {
            if (fixed && field["fixed"] == 16)
                out.cpp = "Uuid", out.uuid = true;
            else
                out.cpp = "Opaque", out.opaque = true, out.bound = field["var"].dump();
        } else if (type == "char" && (var || fixed)) {
            out.chars = true;
            out.cpp = var ? "std::string" : fmt::format("std::array<char, {}>", field["fixed"].dump());
            out.bound = var ? field["var"].dump() : field["fixed"].dump();
        } else {
            if (auto it = scalars.find(type); it != scalars.end()) {
                out.cpp = it->second == "WideChar" ? "char" : it->second;
            } else if (json_["enums"].contains(type)) {
                out.cpp = "std::int32_t";
            } else if (type == "remote_nonnull_string" || type == "remote_string" || type == "remote_uuid") {
                out = resolve_shared(type);
            } else if (type == "remote_domain" && name_ != "remote") {
                out.cpp = "std::optional<remote::NonnullDomain>";
            } else if (json_["typedefs"].contains(type)) {
                out = resolve(json_["typedefs"][type]);
            } else {
                out.cpp = struct_name(type);
            }
            if (var) {
                out.element = out.cpp;
                out.list = true;
                out.cpp = fmt::format("std::vector<{}>", out.cpp);
                out.bound = field["var"].dump();
            }
        }
        if (field.value("optional", false)) {
            out.optional = true;
            out.cpp = fmt::format("std::optional<{}>", out.cpp);
        }
        return out;
    }

    // qemu.json speaks of remote's strings and UUIDs without repeating their typedefs.
    static Type resolve_shared(const std::string& type) {
        Type out{"std::string", "4194304", "", false, true, false, false, false, false};
        if (type == "remote_uuid") out = {"Uuid", "", "", false, false, false, false, true, false};
        if (type == "remote_string") out.cpp = "std::optional<std::string>", out.optional = true;
        return out;
    }

    void emit_struct(const std::string& name, std::set<std::string>& done, std::string& out) {
        if (is_typed_param(name) || !done.insert(name).second) return;
        const Json& fields = json_["structs"][name];
        for (const auto& field : fields) need(field["type"], done, out);
        std::string body;
        for (const auto& field : fields) body += fmt::format("    {} {}{{}};\n", resolve(field).cpp, std::string(field["name"]));
        const std::string type = struct_name(name);
        out += fmt::format("struct {0} {{\n{1}    bool operator==(const {0}&) const = default;\n}};\nvoid encode(Encoder&, const "
                           "{0}&);\nvoid decode(Decoder&, {0}&);\n\n",
                           type, body);
    }

    void need(const std::string& type, std::set<std::string>& done, std::string& out) {
        if (json_["structs"].contains(type))
            emit_struct(type, done, out);
        else if (json_["typedefs"].contains(type))
            need(json_["typedefs"][type]["type"], done, out);
    }

    std::string codec(const std::string& name, const Json& fields) const {
        if (is_typed_param(name)) return "";
        const std::string type = struct_name(name);
        std::string body;
        for (const auto& field : fields) {
            const Type t = resolve(field);
            const std::string member = "v." + std::string(field["name"]);
            if (t.list)
                body += fmt::format("    io.list({}, {}, \"{}\");\n", member, t.bound, std::string(field["name"]));
            else if (!t.bound.empty())
                body += fmt::format("    io.{}({}, {});\n", t.chars ? "chars" : "bounded", member, t.bound);
            else
                body += fmt::format("    io({});\n", member);
        }
        return fmt::format("static void fields(auto& io, auto& v, const {0}*) {{\n{1}}}\nvoid encode(Encoder& io, const {0}& v) "
                           "{{ fields(io, v, &v); }}\n"
                           "void decode(Decoder& io, {0}& v) {{ fields(io, v, &v); }}\n\n",
                           type, body);
    }

    std::string procedure(const Json& proc) const {
        auto type = [&](const char* key) { return proc[key].is_null() ? std::string("Nothing") : struct_name(proc[key]); };
        return fmt::format(
            "struct {}Call {{ using Args = {}; using Ret = {}; static constexpr std::uint32_t program = {}u, number = {}; }};\n",
            pascal(proc["name"]), type("args"), type("ret"), json_["number"].dump(), proc["number"].dump());
    }

    std::string row(const Json& proc) const {
        std::string acl;
        for (const auto& check : proc.value("acl", Json::array())) {
            acl += (acl.empty() ? "" : ",") + std::string(check["object"]) + ":" + std::string(check["perm"]);
        }
        const std::string driver = proc.value("driver", "");
        // "qemu" and "domainGetXMLDesc" make qemuDomainGetXMLDesc; "networkUpdate" is whole already.
        std::string function = proc.value("slot", "");
        if (function.starts_with(driver)) function = function.substr(driver.size());
        if (!function.empty()) function[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(function[0])));
        std::string stream = "Stream::none";
        if (proc.contains("stream"))
            stream = proc["stream"]["direction"] == "to_server" ? "Stream::to_server" : "Stream::to_client";
        const std::string readonly = proc.value("readonly", "");
        static const std::map<std::string, std::string> froms = {
            {"network", "network"}, {"storage", "storage"},   {"interface", "interface"},
            {"nodedev", "nodedev"}, {"nwfilter", "nwfilter"}, {"secret", "secret"},
            {"qemu", "qemu"}};
        const auto from = froms.find(driver);
        return fmt::format("    {{{}, \"{}\", {}, \"{}\", From::{}, {}, {}, ReadOnly::{}, {}u, {}, {}, \"{}\"}},\n",
                           proc["number"].dump(), std::string(proc["name"]), quoted(proc.value("api", Json())),
                           function.empty() ? "" : driver + function, from == froms.end() ? "rpc" : from->second,
                           proc["event"].dump(), proc.value("priority", "low") == "high",
                           readonly == "denied"                 ? "denied"
                           : readonly == "denied_conditionally" ? "conditional"
                                                                : "allowed",
                           proc.value("readonly_denied_mask", 0u),
                           proc.contains("driver_flags_mask") ? proc["driver_flags_mask"].dump() + "ll" : "-1ll", stream, acl);
    }

    const Json& json_;
    std::string name_;
};

void errors(const Json& json, const fs::path& out) {
    std::string header = "// Generated from protocol/errors.json.\n#pragma once\n\nnamespace lodge::rpc {\n\n// "
                         "virErrorNumber\nenum class Code : int {\n";
    std::string source = "// Generated from protocol/errors.json.\n#include \"rpc/error.hpp\"\n\nnamespace lodge::rpc {\n\n"
                         "ErrorText error_text(Code code) {\n    switch (code) {\n";
    for (const auto& [name, code] : json["codes"].items()) {
        const std::string word = enumerator(name, "VIR_ERR_");
        header += fmt::format("    {} = {},\n", word, code["value"].dump());
        if (name.ends_with("_LAST")) continue;
        source +=
            fmt::format("    case Code::{}: return {{{}, {}}};\n", word, quoted(code["plain"]), quoted(code["with_detail"]));
    }
    header += "};\n\n// virErrorDomain\nenum class From : int {\n";
    for (const auto& [name, domain] : json["domains"].items())
        header += fmt::format("    {} = {},\n", enumerator(name, "VIR_FROM_"), domain["value"].dump());
    save(out / "errors.hpp", header + "};\n\n} // namespace lodge::rpc\n");
    save(out / "errors.cpp",
         source + "    default: return {\"unknown error\", \"unknown error: %s\"};\n    }\n}\n\n} // namespace lodge::rpc\n");
}

void constants(const Json& json, const fs::path& out) {
    std::string text = "// Generated from protocol/api.json: the public API's numbers and parameter names, without VIR_, in "
                       "lower case.\n#pragma once\n\n"
                       "namespace lodge::rpc::api {\n\n";
    for (const auto& [name, members] : json["enums"].items()) {
        text += fmt::format("// {}\n", name);
        for (const auto& [word, value] : members.items())
            text += fmt::format("inline constexpr {} {} = {}{};\n", value.get<std::int64_t>() < 0 ? "int" : "unsigned",
                                enumerator(word, "VIR_"), value.dump(), value.get<std::int64_t>() < 0 ? "" : "u");
    }
    for (const auto& [name, value] : json["strings"].items())
        if (value.is_string())
            text += fmt::format("inline constexpr const char* {} = {};\n", enumerator(name, "VIR_"), value.dump());
    save(out / "constants.hpp", text + "\n} // namespace lodge::rpc::api\n");
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 3) throw std::runtime_error("usage: lodge_generate PROTOCOL_DIR OUTPUT_DIR");
    const fs::path in = argv[1], out = argv[2];
    fs::create_directories(out);
    for (const char* name : {"remote", "qemu", "lxc", "admin", "keepalive"}) {
        const Json json = load(in / (std::string(name) + ".json"));
        Program program(json);
        std::string header = program.header();
        if (std::string(name) == "qemu" || std::string(name) == "lxc")
            header.replace(header.find("#include \"rpc/procedure.hpp\"\n"), 0, "#include \"rpc/generated/remote.hpp\"\n");
        save(out / (std::string(name) + ".hpp"), header);
        save(out / (std::string(name) + ".cpp"), program.source());
    }
    errors(load(in / "errors.json"), out);
    constants(load(in / "api.json"), out);
} catch (const std::exception& error) {
    std::cerr << "lodge_generate: " << error.what() << '\n';
    return 1;
}
