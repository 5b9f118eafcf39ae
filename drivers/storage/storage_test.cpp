#include "drivers/storage/image_header.hpp"
#include "drivers/storage/logical_pool.hpp"
#include "drivers/storage/mounted_pool.hpp"
#include "drivers/storage/qemu_img.hpp"
#include "drivers/storage/volume_file.hpp"
#include "tests/catch.hpp"
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace lodge;
using namespace lodge::drivers;
namespace fs = std::filesystem;

namespace {

struct Folder {
    std::string path;
    Folder() {
        char pattern[] = "/tmp/lodge-storage-XXXXXX";
        path = mkdtemp(pattern);
    }
    ~Folder() { fs::remove_all(path); }
    std::string put(const std::string& name, const std::string& content) const {
        std::ofstream(path + "/" + name, std::ios::binary) << content;
        return path + "/" + name;
    }
};

std::string big(std::uint64_t value, int bytes) {
    std::string out;
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
    return out;
}

// A version 3 header with a backing file's name and format.
std::string qcow2(const std::string& backing, const std::string& format) {
    const auto padded = format + std::string((8 - format.size() % 8) % 8, '\0');
    const std::string extensions = big(0xe2792aca, 4) + big(format.size(), 4) + padded + big(0, 8);
    const auto at = 104 + extensions.size();
    return "QFI\xfb" + big(3, 4) + big(at, 8) + big(backing.size(), 4) + big(16, 4) + big(1 << 30, 8) + big(2, 4) +
           std::string(36, '\0') + big(1 << 4, 8) + big(1, 8) + big(0, 8) + big(4, 4) + big(104, 4) + extensions + backing;
}

} // namespace

TEST_CASE("headers of images tell their format") {
    const auto header = parse_image_header(qcow2("base.raw", "raw"));
    CHECK(header.format == "qcow2");
    CHECK(header.capacity == 1 << 30);
    CHECK(header.cluster_size == 65536);
    CHECK(header.backing == "base.raw");
    CHECK(header.backing_format == "raw");
    CHECK(header.compat == "1.1");
    CHECK(header.features->lazy_refcounts);
    CHECK(header.features->extended_l2);
    CHECK(header.encryption == xml::EncryptionFormat::luks);

    CHECK(parse_image_header("").format == "raw");
    CHECK(parse_image_header("QFI\xfb").format == "raw");
    CHECK(parse_image_header(std::string(32769, '\0') + "CD001").format == "iso");
    CHECK(parse_image_header("KDMV" + std::string("\1\0\0\0", 4) + std::string(600, '\0')).format == "vmdk");
    const auto luks = parse_image_header(std::string("LUKS\xba\xbe\0\1", 8) + std::string(96, '\0') + big(4096, 4));
    CHECK(luks.encryption == xml::EncryptionFormat::luks);
    CHECK(luks.payload_offset == 4096 * 512);
}

TEST_CASE("headers that lie are no danger") {
    const auto whole = qcow2("base.raw", "raw");
    for (std::size_t length = 0; length < whole.size(); ++length) parse_image_header(std::string_view(whole).substr(0, length));
    for (std::size_t at = 4; at < whole.size(); ++at) {
        auto broken = whole;
        broken[at] = '\xff';
        parse_image_header(broken);
        parse_image_header(broken, "vmdk");
        parse_image_header(broken, "qed");
    }
}

TEST_CASE("a folder's files become volumes") {
    const Folder folder;
    const auto image = folder.put("top.qcow2", qcow2("base.raw", ""));
    folder.put("base.raw", std::string(1000, 'x'));
    fs::create_symlink("nowhere", folder.path + "/dangling");
    fs::create_directory(folder.path + "/sub");
    folder.put(".half" + fs::path(unfinished_path("/x")).filename().string().substr(2), "");

    auto names = volume_names(folder.path);
    std::ranges::sort(names);
    CHECK(names == std::vector<std::string>{"base.raw", "dangling", "sub", "top.qcow2"});

    xml::Volume volume;
    volume.target.path = image;
    REQUIRE(probe_volume_file(volume));
    CHECK(volume.target.format == "qcow2");
    CHECK(volume.capacity_bytes() == 1 << 30);
    CHECK(volume.backing->path == folder.path + "/base.raw");
    CHECK(volume.backing->format == "raw");
    volume.target.path = folder.path + "/dangling";
    CHECK_FALSE(probe_volume_file(volume));
    volume.target.path = folder.path + "/sub";
    REQUIRE(probe_volume_file(volume));
    CHECK(volume.type == xml::VolumeType::dir);
    volume.target.path = folder.path + "/gone";
    CHECK_THROWS_WITH(refresh_volume_file(volume), Catch::Contains("no storage vol with matching path"));
}

TEST_CASE("a volume gets its name when it is whole") {
    const Folder folder;
    xml::Volume volume;
    volume.target.path = folder.path + "/new.img";
    volume.target.permissions.mode = xml::PermissionBits{0640};
    volume.capacity = {1 << 20};
    volume.allocation = {4096};
    {
        const auto file = create_raw_file(volume, true);
        CHECK(volume_names(folder.path).empty());
    }
    give_final_name(volume.target.path);
    CHECK(fs::file_size(volume.target.path) == 1 << 20);
    CHECK((fs::status(volume.target.path).permissions() & fs::perms::all) == fs::perms(0640));
    create_raw_file(volume, false);
    CHECK_THROWS_WITH(give_final_name(volume.target.path), Catch::Contains("already exists"));
}

TEST_CASE("qemu-img is told everything in one line") {
    if (find_program("qemu-img").empty()) return;
    xml::Pool pool;
    pool.target.path = "/pool";
    const auto parse = [](const std::string& inside) {
        auto volume = xml::parse_volume("<volume><name>v</name><capacity unit='M'>1</capacity>" + inside + "</volume>",
                                        xml::PoolType::dir, xml::CapacityRule::required);
        volume.type = xml::VolumeType::file;
        volume.target.path = "/pool/v";
        return volume;
    };
    const auto words = [](const Command& command) { return command.args; };
    using Words = std::vector<std::string>;
    const auto plain = parse("<target><format type='qcow2'/></target>");
    CHECK(words(qemu_img::create({pool, plain, "/pool/v"})) ==
          Words{"create", "-f", "qcow2", "-o", "compat=0.10", "/pool/v", "1024K"});
    const auto rich = parse("<target><format type='qcow2'/><compat>1.1</compat><clusterSize unit='KiB'>128</clusterSize>"
                            "<features><lazy_refcounts/></features></target>");
    CHECK(words(qemu_img::create({pool, rich, "/pool/v", true})) ==
          Words{"create", "-f", "qcow2", "-o", "preallocation=metadata,compat=1.1,cluster_size=131072,lazy_refcounts", "/pool/v",
                "1024K"});
    const auto luks = parse("<target><format type='raw'/><encryption format='luks'><secret type='passphrase' usage='u'/>"
                            "<cipher name='aes' size='256' mode='cbc' hash='sha256'/></encryption></target>");
    CHECK(qemu_img::needs_secret(luks));
    CHECK(words(qemu_img::create({pool, luks, "/pool/v", false, "/secret"})) ==
          Words{"create", "-f", "luks", "--object", "secret,id=v_encrypt0,file=/secret", "-o",
                "key-secret=v_encrypt0,cipher-alg=aes-256,cipher-mode=cbc,hash-alg=sha256", "/pool/v", "1024K"});
    const qemu_img::SourceImage source{plain, ""};
    CHECK(words(qemu_img::convert({pool, plain, "/pool/w"}, source)) ==
          Words{"convert", "-f", "qcow2", "-O", "qcow2", "-o", "compat=0.10", "/pool/v", "/pool/w"});
    CHECK(words(qemu_img::convert({pool, luks, "/pool/w", false, "/secret"}, source)) ==
          Words{"convert", "--image-opts", "-n", "--target-image-opts", "--object", "secret,id=v_encrypt0,file=/secret",
                "driver=qcow2,file.filename=/pool/v", "driver=luks,file.filename=/pool/w,key-secret=v_encrypt0"});
    CHECK(words(qemu_img::resize(plain, 1000, "")) == Words{"resize", "--shrink", "-f", "qcow2", "/pool/v", "1024"});
    const auto vmdk = parse("<target><format type='vmdk'/><compat>1.1</compat></target>");
    CHECK_THROWS_WITH(qemu_img::create({pool, vmdk, "/pool/v"}), Catch::Contains("only available with qcow2"));
    const auto backed = parse("<backingStore><path>/nowhere</path></backingStore><target><format type='qcow2'/></target>");
    CHECK_THROWS_WITH(qemu_img::create({pool, backed, "/pool/v"}), Catch::Contains("inaccessible backing store"));
}

TEST_CASE("LVM's reports become volumes") {
    const auto volumes =
        parse_logical_volumes("/dev/vg", "  RootLV##06UgP5#/dev/hda2(0)#linear#1#5234491392#33554432#5234491392#-wi-ao\n"
                                         "  Test3##UB5hFw#/dev/hda2(251)#linear#1#2181038080#33554432#3221225472#-wi-a-\n"
                                         "  Test3#RootLV#UB5hFw#/dev/hda2(187)#linear#1#1040187392#33554432#3221225472#swi-a-\n"
                                         "  wide##fSLSZH#/dev/sdc1(10240),/dev/sdd1(0)#striped#2#8388608#4194304#8388608#-wi-a-\n"
                                         "  off##x#/dev/hda2(1)#linear#1#1#1#1#-wi---\n"
                                         "  thin##x#/dev/hda2(1)#thin-pool#1#1#1#1#twi-a-\n\n");
    REQUIRE(volumes.size() == 3);
    CHECK(volumes[0].name == "RootLV");
    CHECK(volumes[0].key == "06UgP5");
    CHECK(volumes[0].target.path == "/dev/vg/RootLV");
    CHECK(volumes[0].capacity_bytes() == 5234491392);
    REQUIRE(volumes[1].devices.size() == 1);
    CHECK(volumes[1].devices[0].extents.size() == 2);
    CHECK(volumes[1].devices[0].extents[1].start == 187ULL * 33554432);
    CHECK(volumes[2].devices.size() == 2);
    CHECK_THROWS_WITH(parse_logical_volumes("/dev/vg", "a##b#/d(0)#linear#1#x#1#1#-wi-a-"), Catch::Contains("malformed"));

    CHECK(parse_group_size("  10603200512:4328521728\n").free == 4328521728);
    CHECK_THROWS(parse_group_size(""));
    const auto sources = parse_physical_volumes("  /dev/sdb\n  /dev/sdc vg0\n  /dev/sdd vg0\n  /dev/sde vg1\n");
    REQUIRE(sources.size() == 2);
    CHECK(sources[0].devices.size() == 2);
    CHECK(xml::format_pool_sources(xml::PoolType::logical, {sources[1]}) ==
          "<sources>\n  <source>\n    <device path='/dev/sde'/>\n    <name>vg1</name>\n    <format type='lvm2'/>\n  </source>\n"
          "</sources>\n");
}

TEST_CASE("LVM and mount are told everything in one line") {
    using Words = std::vector<std::string>;
    xml::Pool pool;
    pool.source.name = "vg";
    xml::Volume volume;
    volume.name = "v";
    volume.capacity = volume.allocation = xml::Bytes{1 << 20};
    CHECK(lvcreate_arguments(pool, volume) == Words{"--name", "v", "-L", "1024K", "vg", "--yes"});
    volume.allocation = {0};
    volume.backing.emplace().path = "/dev/vg/base";
    CHECK(lvcreate_arguments(pool, volume) ==
          Words{"--name", "v", "-L", "1K", "--type", "snapshot", "--virtualsize", "1024K", "-s", "/dev/vg/base", "--yes"});
    const auto mount = [](const std::string& type, const std::string& source, const std::string& more = "") {
        return mount_arguments(xml::parse_pool("<pool type='" + type + "'><name>p</name><source>" + source +
                                               "</source><target><path>/t</path></target>" + more + "</pool>"));
    };
    CHECK(mount("fs", "<device path='/dev/x'/><format type='ext4'/>") ==
          Words{"-o", "nodev,nosuid,noexec", "-t", "ext4", "/dev/x", "/t"});
    const std::string server = "<host name='h'/><dir path='/d'/>";
    CHECK(mount("netfs", server + "<protocol ver='4'/>") == Words{"-o", "nodev,nosuid,noexec,nfsvers=4", "h:/d", "/t"});
    CHECK(mount("netfs", server + "<format type='cifs'/>") ==
          Words{"-o", "nodev,nosuid,noexec,guest", "-t", "cifs", "//h//d", "/t"});
    CHECK(
        mount(
            "netfs", server + "<format type='nfs'/>",
            "<fs:mount_opts xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'><fs:option name='sync'/></fs:mount_opts>") ==
        Words{"-o", "nodev,nosuid,noexec,sync", "-t", "nfs", "h:/d", "/t"});
    const auto exports = parse_exports("h", "/tmp   *\n/A dir demo1.foo.bar,demo2.foo.bar\nnonsense\n");
    REQUIRE(exports.size() == 2);
    CHECK(exports[1].dir == "/A dir");
}
