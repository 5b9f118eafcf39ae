// The small parts of the QEMU driver that need no QEMU: settings, owners, firmware descriptors, images, keys, relays.
#include "drivers/driver.hpp"
#include "drivers/key_numbers.hpp"
#include "drivers/qemu/console.hpp"
#include "drivers/qemu/failure.hpp"
#include "drivers/qemu/firmware.hpp"
#include "drivers/qemu/image.hpp"
#include "drivers/qemu/runtime.hpp"
#include "drivers/qemu/settings.hpp"
#include "rpc/generated/constants.hpp"
#include "tests/catch.hpp"
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace lodge;
using namespace lodge::drivers;
using namespace lodge::drivers::qemu;
namespace fs = std::filesystem;

namespace {
struct Folder {
    std::string path = (fs::temp_directory_path() / fmt::format("lodge-parts-{}", ::getpid())).string();
    Folder() { fs::create_directories(path); }
    ~Folder() { fs::remove_all(path); }
    std::string put(const std::string& name, const std::string& text) {
        const std::string file = path + "/" + name;
        fs::create_directories(fs::path(file).parent_path());
        std::ofstream(file, std::ios::binary) << text;
        return file;
    }
};

std::string number(std::uint64_t value, int bytes) {
    std::string text(static_cast<std::size_t>(bytes), 0);
    for (int i = bytes - 1; i >= 0; --i, value >>= 8) text[static_cast<std::size_t>(i)] = static_cast<char>(value);
    return text;
}
// Version 2: no header beyond 72 bytes.
std::string qcow2(const std::string& backing, const std::string& format) {
    std::string text = "QFI\xfb" + number(2, 4) + number(backing.empty() ? 0 : 512, 8) + number(backing.size(), 4) +
                       number(16, 4) + number(1 << 30, 8);
    text.resize(72);
    text += number(0xe2792aca, 4) + number(format.size(), 4) + format;
    text.resize(512);
    return text + backing;
}
} // namespace

TEST_CASE("qemu.conf is read") {
    Folder folder;
    const auto settings =
        read_settings(folder.put("qemu.conf", "# comment\nuser = \"+0\"\n  group='kvm'\nvnc_listen = \"0.0.0.0\"\n"
                                              "dynamic_ownership = 0\ncgroup_controllers = [\n]\nmax_core = \"unlimited\"\n"));
    CHECK(settings.user == "+0");
    CHECK(settings.group == "kvm");
    CHECK(settings.vnc_listen == "0.0.0.0");
    CHECK_FALSE(settings.dynamic_ownership);
    CHECK_FALSE(settings.cgroups);
    CHECK(read_settings(folder.path + "/absent").user == "libvirt-qemu");
    CHECK_THROWS_WITH(read_settings(folder.put("bad.conf", "\nuser\n")), Catch::Contains("bad.conf:2: expecting an assignment"));
    CHECK_THROWS_WITH(read_settings(folder.put("bad.conf", "max_files = many")),
                      Catch::Contains("a number is expected, not 'many'"));
    if (::geteuid() == 0) {
        Settings nobody;
        nobody.user = "no-such-user";
        CHECK_THROWS_WITH(identity_of(nobody), Catch::Contains("user 'no-such-user', as which QEMU is to run, does not exist"));
    }
}

TEST_CASE("TLS: what is said for all holds where nothing is said for one") {
    Folder folder;
    const auto settings = read_settings(folder.put("qemu.conf", R"(
default_tls_x509_cert_dir = "/all"
default_tls_x509_secret_uuid = "0a81f5b2-8403-7b23-c8d6-21ccc2f80e80"
vnc_tls = 1
nbd_tls_x509_cert_dir = "/nbd"
nvram = [ "/code:/vars" ]
hugetlbfs_mount = [ "/huge2M", "/huge1G" ]
)"));
    CHECK(settings.vnc_tls.on);
    CHECK(settings.vnc_tls.dir == "/all");
    CHECK_FALSE(settings.vnc_tls.verify_peer);
    CHECK(settings.chardev_tls.verify_peer);
    CHECK(settings.chardev_tls.secret == "0a81f5b2-8403-7b23-c8d6-21ccc2f80e80");
    CHECK(settings.nbd_tls.dir == "/nbd");
    CHECK(settings.nbd_tls.secret.empty()); // that of another folder's key
    CHECK(settings.firmware_pairs == std::vector<std::pair<std::string, std::string>>{{"/code", "/vars"}});
    CHECK(settings.hugetlbfs_mounts == std::vector<std::string>{"/huge2M", "/huge1G"});
}

TEST_CASE("who may not open a file is told what is in the way") {
    if (::geteuid() != 0) return;
    Folder folder;
    const std::string image = folder.put("inner/a.img", "x");
    const Identity nobody{12345, 12346, {12346}};
    ::chmod(folder.path.c_str(), 0755);
    ::chmod((folder.path + "/inner").c_str(), 0700);
    CHECK(why_refused(image, nobody, false) ==
          fmt::format("'{}/inner' (mode 0700, owner root:root) may not be searched by user '+12345': no x for others",
                      folder.path));
    CHECK(::chown((folder.path + "/inner").c_str(), 0, 12346) == 0);
    ::chmod((folder.path + "/inner").c_str(), 0710);
    ::chmod(image.c_str(), 0644);
    CHECK(why_refused(image, nobody, false).empty());
    CHECK(why_refused(image, nobody, true).find("may not be read and written by user '+12345': no w for others") !=
          std::string::npos);
    CHECK(why_refused(image, Identity{0, 0, {}}, true).empty());
}

TEST_CASE("a failed start is explained and remembered until one succeeds") {
    Folder folder;
    const std::string path = failure_path(folder.path, "g");
    StartFailure failure;
    failure.error = "internal error: no";
    failure.words = "qemu: Could not open 'x': Permission denied";
    failure.cause = "'/x' may not be read";
    explain(failure);
    CHECK(failure.cause == "'/x' may not be read");
    CHECK(failure.remedy.find("/var/lib/libvirt/images") != std::string::npos);
    keep_failure(path, failure);
    const auto told = failure_messages(path);
    REQUIRE(told.size() == 3);
    CHECK(told[0].find("last start failed") == 0);
    forget_failure(path);
    CHECK(failure_messages(path).empty());
}

TEST_CASE("images go to QEMU's user and back") {
    if (::geteuid() != 0) return;
    Folder folder;
    const std::string image = folder.put("a.img", "x"), shared = folder.put("b.iso", "x");
    const Identity identity{12345, 12346, {}};
    const auto former = take_ownership({{image}, {shared, false}, {folder.path + "/absent"}}, identity);
    struct stat info{};
    ::stat(image.c_str(), &info);
    CHECK(info.st_uid == 12345);
    CHECK(info.st_gid == 12346);
    REQUIRE(former.size() == 1);
    give_back(former, identity);
    ::stat(image.c_str(), &info);
    CHECK(info.st_uid == 0);
    // One that was given to somebody else meanwhile stays his.
    CHECK(::chown(image.c_str(), 777, 777) == 0);
    give_back(former, identity);
    ::stat(image.c_str(), &info);
    CHECK(info.st_uid == 777);
}

TEST_CASE("what a guest has on the host survives in the status file") {
    Runtime runtime;
    runtime.domain_dir = "/d";
    runtime.made = {"/s"};
    runtime.owners = {{"/a", 1, 2}};
    runtime.identity = Identity{3, 4, {}};
    runtime.ports = {5900};
    runtime.cgroup.folders = {"/cg"};
    runtime.helpers = {{"swtpm", 7, 8}};
    runtime.memory_dirs = {"/ram"};
    const nlohmann::json kept = runtime;
    const auto again = nlohmann::json::parse(kept.dump()).get<Runtime>();
    CHECK(nlohmann::json(again) == kept);
    CHECK(again.owners.at(0).gid == 2);
}

TEST_CASE("an image's size and what is below it are read from its header") {
    Folder folder;
    const std::string raw = folder.put("base.raw", qcow2("/etc/passwd", "raw")); // a guest wrote a header into its raw disk
    const std::string middle = folder.put("middle.qcow2", qcow2("base.raw", "raw"));
    const std::string top = folder.put("top.qcow2", qcow2(middle, "qcow2"));
    const auto chain_of = [](const std::string& path) {
        lodge::xml::Disk disk;
        disk.source.path = path;
        disk.driver.type = lodge::xml::StorageFormat::qcow2;
        find_chain(disk);
        return disk;
    };
    const auto disk = chain_of(top);
    const auto below = links_below(disk);
    REQUIRE(below.size() == 2);
    CHECK(below[0]->source.path == middle);
    CHECK(below[1]->source.path == raw);
    CHECK(ends_here(below[1]->backing));
    CHECK_FALSE(chain_of(folder.put("net.qcow2", qcow2("nbd://host/x", "raw"))).backing);
    CHECK(relative_name({middle}) == "base.raw");
    CHECK(relative_name({top, middle}).empty());
    CHECK_THROWS_WITH(chain_of(folder.put("guess.qcow2", qcow2("middle.qcow2", ""))), Catch::Contains("was not specified"));
    folder.put("alone.qcow2", qcow2("", ""));
    CHECK(links_below(chain_of(folder.put("harmless.qcow2", qcow2("alone.qcow2", "")))).at(0)->format ==
          lodge::xml::StorageFormat::qcow2);
    CHECK_THROWS_WITH(chain_of(folder.put("broken.qcow2", qcow2("absent", "raw"))),
                      Catch::Contains("Cannot access backing file"));
    CHECK(read_image_info({top, true}).capacity == 1 << 30);
    CHECK(read_image_info({top, false}).capacity == read_image_info({top, false}).physical);
    CHECK_THROWS_WITH(read_image_info({folder.path + "/absent", true}), Catch::Contains("Cannot access storage file"));
}

TEST_CASE("firmware descriptors: an administrator's go first") {
    Folder folder;
    const auto descriptor = [](const std::string& code, const std::string& features) {
        return R"({"interface-types": ["uefi"], "mapping": {"device": "flash", "executable": {"filename": ")" + code +
               R"("}, "nvram-template": {"filename": "/vars"}}, "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}],
                 "features": [)" +
               features + "]}";
    };
    folder.put("usr/share/qemu/firmware/40-secure.json", descriptor("/secure", R"("secure-boot", "requires-smm")"));
    folder.put("usr/share/qemu/firmware/60-plain.json", descriptor("/plain", ""));
    folder.put("etc/qemu/firmware/40-secure.json", "");
    folder.put("usr/share/qemu/firmware/50-broken.json", "{");
    const auto all = find_firmware(folder.path);
    REQUIRE(all.size() == 1);
    CHECK(all[0].code == "/plain");
    CHECK(template_for(all, {}, "/plain") == "/vars");
    xml::Domain domain;
    domain.os.type.arch = "x86_64";
    domain.os.type.machine = "pc-q35-7.2";
    CHECK(choose_firmware(all, domain));
    domain.os.type.machine = "pc-i440fx-7.2";
    CHECK_FALSE(choose_firmware(all, domain));
    domain.os.type.machine = "pc-q35-7.2";
    domain.os.firmware_features = {{true, "secure-boot"}};
    CHECK_FALSE(choose_firmware(all, domain));
}

TEST_CASE("firmware that was chosen stands in the document") {
    Firmware firmware;
    firmware.code = "/code";
    firmware.variables = "/vars";
    firmware.features = {"requires-smm"};
    xml::Domain domain;
    domain.name = "g";
    domain.os.firmware = xml::Firmware::efi;
    apply_firmware(domain, firmware, "/nvram");
    CHECK_FALSE(domain.os.firmware);
    CHECK(domain.os.loader->path == "/code");
    CHECK(domain.os.nvram->template_ == "/vars");
    CHECK(domain.os.nvram_path() == "/nvram/g_VARS.fd");
    CHECK(*domain.features->smm->state);
    domain.features->smm->state = false;
    CHECK_THROWS_WITH(apply_firmware(domain, firmware, "/nvram"), Catch::Contains("SMM turned off"));
}

TEST_CASE("keys") {
    using namespace lodge::rpc::api;
    CHECK(key_number(keycode_set_linux, 28) == 28);    // enter
    CHECK(key_number(keycode_set_linux, 111) == 0xd3); // delete
    CHECK(key_number(keycode_set_atset2, 0x5a) == 28);
    CHECK(key_number(keycode_set_usb, 40) == 28);
    CHECK(key_number(keycode_set_win32, 0x2e) == 0xd3);
    CHECK(key_number(keycode_set_osx, 0x24) == 28);
    CHECK(key_number(keycode_set_qnum, 0xd3) == 0xd3);
    CHECK_THROWS_WITH(key_number(keycode_set_linux, 1023),
                      Catch::Contains("cannot translate keycode 1023 of linux codeset to qnum keycode"));
}

TEST_CASE("a relay copies both ways and ends with either side") {
    boost::asio::io_context io;
    int device[2], client[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, device) == 0);
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, client) == 0);
    const auto relay = std::make_shared<Relay>(io.get_executor(), Fd(device[0]), Fd(client[0]));
    relay->start();
    const std::string much(1 << 20, 'x');
    std::size_t got = 0, sent = 0;
    while (got < much.size()) {
        if (const ssize_t n = ::send(device[1], much.data() + sent, much.size() - sent, MSG_DONTWAIT); n > 0)
            sent += static_cast<std::size_t>(n);
        io.poll();
        char buffer[65536];
        if (const ssize_t n = ::recv(client[1], buffer, sizeof buffer, MSG_DONTWAIT); n > 0) got += static_cast<std::size_t>(n);
    }
    CHECK(::write(client[1], "back", 4) == 4);
    io.run_for(std::chrono::milliseconds(20));
    char buffer[8] = {};
    CHECK(::recv(device[1], buffer, 4, MSG_DONTWAIT) == 4);
    ::close(client[1]);
    io.restart();
    io.run_for(std::chrono::milliseconds(20));
    CHECK_FALSE(relay->is_open());
    CHECK(::recv(device[1], buffer, 1, MSG_DONTWAIT) == 0);
    ::close(device[1]);
}
