#include "drivers/storage/qemu_img.hpp"
#include <unistd.h>

namespace lodge::drivers::qemu_img {

using rpc::Code;

namespace {

template<class... Args> [[noreturn]] void unsupported(fmt::format_string<Args...> format, Args&&... args) {
    rpc::fail(Code::config_unsupported, format, std::forward<Args>(args)...);
}

Command tool() {
    Command command;
    command.program = find_program("qemu-img");
    if (command.program.empty())
        rpc::fail(Code::internal_error, "creation of non-raw file images is not supported without qemu-img.");
    return command;
}

// Commas part options; one that belongs to a value is doubled.
std::string escaped(const std::string& value) {
    std::string out;
    for (const char c : value) out.append(c == ',' ? 2 : 1, c);
    return out;
}

bool is_encrypted(const xml::Volume& volume) { return volume.target.encryption.has_value(); }

// What qemu-img calls the format: devices hold raw images, and so do files of ISO images.
std::string format_name(const xml::Volume& volume) {
    if (volume.type == xml::VolumeType::block || volume.target.format == "iso" || volume.target.format.empty())
        return is_encrypted(volume) ? "luks" : "raw";
    return volume.target.format == "raw" && is_encrypted(volume) ? "luks" : volume.target.format;
}

std::string secret_alias(const xml::Volume& volume) { return volume.name + "_encrypt0"; }

void add_secret(Command& command, const xml::Volume& volume, const SecretFile& file) {
    if (file.empty()) return;
    command.args.insert(command.args.end(),
                        {"--object", fmt::format("secret,id={},file={}", secret_alias(volume), escaped(file))});
}

std::string encryption_options(const xml::Volume& volume) {
    const auto& encryption = *volume.target.encryption;
    const std::string prefix = volume.target.format == "qcow2" ? "encrypt." : "";
    std::string out = prefix.empty() ? "" : "encrypt.format=luks,";
    const auto add = [&](const char* name, const std::string& value) {
        if (!value.empty()) out += fmt::format("{}{}={},", prefix, name, escaped(value));
    };
    add("key-secret", secret_alias(volume));
    if (const auto& cipher = encryption.cipher) {
        add("cipher-alg", fmt::format("{}-{}", cipher->name, cipher->size));
        add("cipher-mode", cipher->mode);
        add("hash-alg", cipher->hash);
    }
    if (const auto& ivgen = encryption.ivgen) {
        add("ivgen-alg", ivgen->name);
        add("ivgen-hash-alg", ivgen->hash);
    }
    return out;
}

void check_features(const xml::Volume& volume) {
    const auto& target = volume.target;
    const bool qcow2 = target.format == "qcow2";
    if (!target.compat.empty() && !qcow2) unsupported("compatibility option only available with qcow2");
    if (!target.features) return;
    if (!qcow2) unsupported("format features only available with qcow2");
    if (target.compat != "0.10") return;
    if (target.features->lazy_refcounts) unsupported("lazy_refcounts not supported with compat level {}", target.compat);
    if (target.features->extended_l2) unsupported("'extended_l2' not supported with compat level {}", target.compat);
}

void check_backing(const NewImage& image, const SourceImage* source) {
    const auto& backing = image.volume.backing;
    if (!backing) return;
    if (format_name(image.volume) == "raw") unsupported("cannot set backing store for raw volume");
    if (image.preallocate) unsupported("metadata preallocation conflicts with backing store");
    if (source && source->volume.backing && source->volume.backing->path != backing->path)
        rpc::fail(Code::internal_error, "a different backing store cannot be specified.");
    const std::string path = backing->path.starts_with('/') ? backing->path : image.pool.target.path + "/" + backing->path;
    if (::access(path.c_str(), R_OK) != 0)
        rpc::fail_errno(errno, fmt::format("inaccessible backing store volume {}", backing->path));
}

std::string options(const NewImage& image, bool with_backing) {
    const auto& target = image.volume.target;
    std::string out;
    if (with_backing) out += fmt::format("backing_fmt={},", image.volume.backing->format);
    if (is_encrypted(image.volume)) out += encryption_options(image.volume);
    if (image.preallocate)
        out +=
            image.volume.capacity_bytes() > image.volume.allocation_bytes() ? "preallocation=metadata," : "preallocation=falloc,";
    if (target.nocow) out += "nocow=on,";
    // Images of old are what every reader understands.
    if (target.format == "qcow2") out += fmt::format("compat={},", target.compat.empty() ? "0.10" : target.compat);
    if (target.cluster_size) out += fmt::format("cluster_size={},", target.cluster_size->bytes);
    if (target.features && target.features->lazy_refcounts) out += "lazy_refcounts,";
    if (target.features && target.features->extended_l2) out += "extended_l2=on,";
    if (!out.empty()) out.pop_back();
    return out;
}

void check(const NewImage& image, const SourceImage* source) {
    if (image.preallocate && image.volume.target.format != "qcow2")
        unsupported("metadata preallocation only available with qcow2");
    check_features(image.volume);
    check_backing(image, source);
}

void add_options(Command& command, const std::string& all) {
    if (!all.empty()) command.args.insert(command.args.end(), {"-o", all});
}

// An image as an option list: the way to name one that needs a secret.
std::string image_options(const xml::Volume& volume, const std::string& path) {
    std::string out = fmt::format("driver={},file.filename={}", format_name(volume), escaped(path));
    if (is_encrypted(volume))
        out += fmt::format(",{}key-secret={}", volume.target.format == "qcow2" ? "encrypt." : "", secret_alias(volume));
    return out;
}

} // namespace

bool needs_secret(const xml::Volume& volume) {
    const auto& encryption = volume.target.encryption;
    if (!encryption) return false;
    const auto& format = volume.target.format;
    if ((format == "qcow" || format == "qcow2") &&
        (encryption->format == xml::EncryptionFormat::qcow || encryption->format == xml::EncryptionFormat::default_))
        unsupported("creation of qcow2 encrypted image is not supported");
    if (format != "raw" && format != "qcow2") unsupported("volume encryption unsupported with format {}", format);
    if (encryption->format != xml::EncryptionFormat::luks) {
        if (format == "raw") rpc::fail(Code::internal_error, "Only luks encryption is supported for raw files");
        unsupported("unsupported volume encryption format {}", static_cast<int>(encryption->format));
    }
    if (encryption->secrets.size() > 1) rpc::fail(Code::xml_error, "too many secrets for luks encryption");
    if (encryption->secrets.empty()) rpc::fail(Code::xml_error, "no secret provided for luks encryption");
    return true;
}

Command create(const NewImage& image, const SourceImage* source) {
    check(image, source);
    const auto& volume = image.volume;
    const bool with_backing = volume.backing && !source;
    auto command = tool();
    command.umask = 0077;
    command.args = {"create", "-f", format_name(volume)};
    if (with_backing) command.args.insert(command.args.end(), {"-b", volume.backing->path});
    add_secret(command, volume, image.secret);
    add_options(command, options(image, with_backing));
    command.args.push_back(image.path);
    const auto kib = (volume.capacity_bytes() + 1023) / 1024;
    if (kib > 0 || !with_backing) command.args.push_back(fmt::format("{}K", kib));
    return command;
}

Command convert(const NewImage& image, const SourceImage& source) {
    check(image, &source);
    auto command = tool();
    command.umask = 0077;
    const auto& from = source.volume;
    if (image.secret.empty() && source.secret.empty()) {
        command.args = {"convert", "-f", format_name(from), "-O", format_name(image.volume)};
        add_options(command, options(image, false));
        command.args.insert(command.args.end(), {from.target.path, image.path});
        return command;
    }
    command.args = {"convert", "--image-opts", "-n", "--target-image-opts"};
    add_secret(command, image.volume, image.secret);
    add_secret(command, from, source.secret);
    command.args.insert(command.args.end(), {image_options(from, from.target.path), image_options(image.volume, image.path)});
    return command;
}

Command resize(const xml::Volume& volume, std::uint64_t capacity, const SecretFile& secret) {
    auto command = tool();
    command.args = {"resize"};
    if (capacity < volume.capacity_bytes()) command.args.push_back("--shrink");
    // A guest could have written another header into a raw image: say what it is.
    if (secret.empty()) {
        command.args.insert(command.args.end(), {"-f", format_name(volume), volume.target.path});
    } else {
        add_secret(command, volume, secret);
        command.args.insert(command.args.end(), {"--image-opts", image_options(volume, volume.target.path)});
    }
    constexpr std::uint64_t sector = 512;
    command.args.push_back(fmt::format("{}", (capacity + sector - 1) / sector * sector));
    return command;
}

} // namespace lodge::drivers::qemu_img
