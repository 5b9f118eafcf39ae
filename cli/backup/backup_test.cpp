#include "cli/backup/manifest.hpp"
#include "cli/backup/plan.hpp"
#include "cli/backup/progress.hpp"
#include "cli/backup/restore_plan.hpp"
#include "cli/backup/staged_files.hpp"
#include "cli/failure.hpp"
#include "cli/xml_query.hpp"
#include "tests/catch.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace lodge::cli;
using Catch::Contains;

namespace {

struct Scratch {
    fs::path path = [] {
        std::string name = (fs::temp_directory_path() / "lodge-test-XXXXXX").string();
        return fs::path(::mkdtemp(name.data()));
    }();
    ~Scratch() { fs::remove_all(path); }
};

constexpr const char* guest = R"(<domain type='kvm'><name>g</name><uuid>11111111-2222-3333-4444-555555555555</uuid>
<os><type>hvm</type><nvram>/var/lib/libvirt/qemu/nvram/g_VARS.fd</nvram></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/i/g.qcow2'/><backingStore type='file'/><target dev='vda' bus='virtio'/></disk>
<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='/dev/vg/g'/><target dev='vdb' bus='virtio'/></disk>
<disk type='file' device='cdrom'><source file='/i/cd.iso'/><target dev='hdc'/><readonly/></disk>
<disk type='file' device='disk'><source file='/i/shared.raw'/><target dev='vdc'/><shareable/></disk>
<interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/></interface>
</devices></domain>)";

BackupPlan planned(const std::string& xml, PlanWishes wishes = {}) { return plan_backup(parse_document(xml, "test"), wishes); }

std::string with_disk(const std::string& disk) { return "<domain><devices>" + disk + "</devices></domain>"; }

Manifest saved() {
    Manifest m;
    m.name = "g";
    m.uuid = "11111111-2222-3333-4444-555555555555";
    m.time = "2026-01-02T03:04:05Z";
    m.state = "running";
    m.xml = "inactive";
    m.disks = {{"vda", "vda.qcow2", "qcow2", "/i/g.qcow2", "file", "qcow2"},
               {"vdb", "vdb.raw", "raw", "/dev/vg/g", "block", "raw"}};
    m.nvram_file = "nvram.fd";
    m.nvram_path = "/var/lib/libvirt/qemu/nvram/g_VARS.fd";
    m.left_out = {{"hdc", "a CD-ROM"}};
    m.files = {{"domain.xml", 3, sha256_of_text("abc")}};
    return m;
}

} // namespace

TEST_CASE("a plan takes the writable disks and says what it leaves out") {
    auto plan = planned(guest);
    REQUIRE(plan.disks.size() == 2);
    CHECK(plan.disks[0].file == "vda.qcow2");
    CHECK(plan.disks[1].file == "vdb.raw");
    REQUIRE(plan.left_out.size() == 2);
    CHECK(plan.left_out[0].reason == "a CD-ROM");
    CHECK(plan.left_out[1].reason == "shared with other guests");
    CHECK(plan.nvram == "/var/lib/libvirt/qemu/nvram/g_VARS.fd");
    CHECK(planned(guest, {.format = "qcow2"}).disks[1].file == "vdb.qcow2");
    CHECK(planned(guest, {.exclude = {"vdb"}}).disks.size() == 1);
}

TEST_CASE("what cannot be backed up is refused by the disk's name") {
    auto network = with_disk("<disk type='network'><source protocol='rbd' name='a/b'/><target dev='vdx'/></disk>");
    CHECK_THROWS_WITH(planned(network), Contains("disk 'vdx'") && Contains("network"));
    CHECK(planned(network, {.running = true}).disks.size() == 1);
    auto lun = with_disk("<disk type='block' device='lun'><source dev='/dev/sg1'/><target dev='sdz'/></disk>");
    CHECK_THROWS_WITH(planned(lun, {.running = true}), Contains("disk 'sdz'"));
    auto luks = with_disk("<disk type='file'><source file='/x'><encryption format='luks'/></source><target dev='vde'/></disk>");
    CHECK_THROWS_WITH(planned(luks, {.running = true}), Contains("encrypted"));
    CHECK(planned(luks).disks.size() == 1);
    CHECK_THROWS_WITH(planned(guest, {.format = "vmdk"}), Contains("unknown format"));
    CHECK_THROWS_WITH(planned(guest, {.exclude = {"vdq"}}), Contains("vdq"));
}

TEST_CASE("the job's document names every disk") {
    auto document = parse_document(push_document(planned(guest), "/b/g.partial"), "job");
    CHECK(document.select_nodes("/domainbackup[@mode='push']/disks/disk").size() == 4);
    CHECK(std::string(document.select_node("//disk[@name='vda']/target/@file").attribute().value()) == "/b/g.partial/vda.qcow2");
    CHECK(std::string(document.select_node("//disk[@name='hdc']/@backup").attribute().value()) == "no");
}

TEST_CASE("a manifest comes back as it was written, and any change is found") {
    auto text = manifest_text(saved());
    auto back = parse_manifest(text);
    CHECK(manifest_text(back) == text);
    CHECK(back.disks[1].source_type == "block");
    auto changed = text;
    changed.replace(changed.find("vda.qcow2"), 3, "vdb");
    CHECK_THROWS_WITH(parse_manifest(changed), Contains("was changed"));
    CHECK_THROWS_WITH(parse_manifest(text.substr(0, text.size() / 2)), Contains("damaged"));
    CHECK_THROWS(parse_manifest("{}"));
    auto evil = saved();
    evil.files[0].name = "../../etc/passwd";
    CHECK_THROWS_WITH(parse_manifest(manifest_text(evil)), Contains("no file name"));
}

TEST_CASE("verification says which file is wrong") {
    Scratch scratch;
    write_file(scratch.path / "domain.xml", "abc");
    CHECK(verify_files(scratch.path, saved()).empty());
    fs::resize_file(scratch.path / "domain.xml", 2);
    CHECK_THAT(verify_files(scratch.path, saved()).at(0).why, Contains("2 bytes long, should be 3"));
    fs::remove(scratch.path / "domain.xml");
    write_file(scratch.path / "domain.xml", "abd");
    CHECK_THAT(verify_files(scratch.path, saved()).at(0).why, Contains("SHA-256"));
    fs::remove(scratch.path / "domain.xml");
    CHECK(verify_files(scratch.path, saved()).at(0).name == "domain.xml");
    CHECK_THROWS_WITH(read_manifest(scratch.path), Contains("is no backup"));
}

TEST_CASE("a sparse copy keeps content and holes") {
    Scratch scratch;
    auto from = scratch.path / "from", to = scratch.path / "to";
    {
        auto fd = open_file(from, O_WRONLY | O_CREAT);
        REQUIRE(::pwrite(fd.get(), "begin", 5, 0) == 5);
        REQUIRE(::pwrite(fd.get(), "end", 3, 8 << 20) == 3);
        REQUIRE(::ftruncate(fd.get(), 16 << 20) == 0);
    }
    copy_sparse(from, to);
    CHECK(sha256_of_file(to) == sha256_of_file(from));
    struct stat copied{};
    REQUIRE(::stat(to.c_str(), &copied) == 0);
    CHECK(copied.st_size == 16 << 20);
    CHECK(copied.st_blocks * 512 < 4 << 20);
    CHECK_THROWS(copy_sparse(from, to)); // never over something
    CHECK(sha256_of_text("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("a folder exists under its name only when it is whole") {
    Scratch scratch;
    auto place = scratch.path / "b";
    {
        PartialFolder folder(place);
        write_file(folder.path() / "x", "1");
        CHECK_FALSE(fs::exists(place));
        CHECK_THROWS_WITH(PartialFolder(place), Contains("another backup"));
    }
    CHECK(fs::is_empty(scratch.path)); // given up: nothing is left
    fs::create_directory(scratch.path / "b.partial");
    write_file(scratch.path / "b.partial" / "old", "from a killed one");
    {
        PartialFolder folder(place);
        write_file(folder.path() / "x", "1");
        folder.finish();
    }
    CHECK(read_file(place / "x") == "1");
    CHECK_FALSE(fs::exists(place / "old"));
    CHECK_FALSE(fs::exists(scratch.path / "b.partial"));
    CHECK_THROWS_WITH(PartialFolder(place), Contains("not an empty folder"));
    fs::create_directory(scratch.path / "empty");
    PartialFolder(scratch.path / "empty/").finish();
    CHECK(fs::exists(scratch.path / "empty"));
}

TEST_CASE("staged files appear together, or what was there stays") {
    Scratch scratch;
    auto one = scratch.path / "one", two = scratch.path / "two";
    write_file(one, "old");
    {
        StagedFiles files;
        CHECK_THROWS_WITH(files.add(one, false), Contains("exists"));
        write_file(files.add(one, true), "new");
        write_file(files.add(two, false), "new");
        CHECK_THROWS_WITH(files.add(two, false), Contains("two files"));
        files.put_in_place();
        CHECK(read_file(one) == "new");
    } // not accepted
    CHECK(read_file(one) == "old");
    CHECK_FALSE(fs::exists(two));
    {
        StagedFiles files;
        write_file(files.add(one, true), "new");
        files.put_in_place();
        files.accept();
    }
    CHECK(read_file(one) == "new");
    CHECK(std::distance(fs::directory_iterator(scratch.path), {}) == 1);
}

TEST_CASE("a restored guest goes back to its places") {
    auto plan = plan_restore(saved(), guest, {});
    REQUIRE(plan.images.size() == 2);
    CHECK(plan.images[0].to == "/i/g.qcow2");
    CHECK_FALSE(plan.images[0].device);
    CHECK(plan.images[1].to == "/dev/vg/g");
    CHECK(plan.images[1].device);
    CHECK(plan.nvram_to == "/var/lib/libvirt/qemu/nvram/g_VARS.fd");
    auto xml = parse_document(plan.xml, "test");
    CHECK(xml.select_node("//disk[target/@dev='vda']/source[@file='/i/g.qcow2']"));
    CHECK_FALSE(xml.select_node("//backingStore"));
    CHECK(xml.select_node("/domain/uuid"));
    CHECK(xml.select_node("//interface/mac"));
}

TEST_CASE("a new name brings new places, UUID and addresses") {
    CHECK_THROWS_WITH(plan_restore(saved(), guest, {.name = "h"}), Contains("--image-dir")); // no second device by itself
    auto files_only = saved();
    files_only.disks.pop_back();
    auto plan = plan_restore(files_only, guest, {.name = "h"});
    CHECK(plan.images[0].to == "/i/h-vda.qcow2");
    CHECK(plan.nvram_to == "/var/lib/libvirt/qemu/nvram/h_VARS.fd");
    auto xml = parse_document(plan.xml, "test");
    CHECK(std::string(xml.child("domain").child("name").text().get()) == "h");
    CHECK_FALSE(xml.select_node("/domain/uuid"));
    CHECK_FALSE(xml.select_node("//interface/mac"));
    CHECK_THROWS(plan_restore(saved(), guest, {.name = "a/b"}));
}

TEST_CASE("an image folder takes all images, devices too") {
    auto plan = plan_restore(saved(), guest, {.image_dir = "/new"});
    CHECK(plan.images[0].to == "/new/g.qcow2");
    CHECK(plan.images[1].to == "/new/g-vdb.raw");
    CHECK_FALSE(plan.images[1].device);
    auto xml = parse_document(plan.xml, "test");
    CHECK(xml.select_node("//disk[@type='file'][target/@dev='vdb']/source[@file='/new/g-vdb.raw']"));
}

TEST_CASE("a progress bar says how far it is") {
    CHECK(bar_text("vda", 512, 1024) == "vda          [###############...............]  50%  512 B of 1.0 KiB");
    CHECK(bar_text("x", 0, 0) == "x            [..............................]   0%  0 B of 0 B");
    CHECK(size_words(3ull << 30) == "3.0 GiB");
}
