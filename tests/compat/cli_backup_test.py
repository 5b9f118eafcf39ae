#!/usr/bin/python3
"""lodge backup, backup-verify and restore, with real QEMU; and lodge beside virsh on the daemon under test."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

import libvirt
import world
from world import IMAGES, run, virsh, wait_for

LODGE = os.environ.get("LODGE_BIN") or shutil.which("lodge") or os.path.join(world.ROOT, "build", world.preset(), "lodge")
BACKUPS = "/var/lib/libvirt/backups"


def lodge(*args, check=True, **more):
    return run(LODGE, *args, check=check, **more)


def job_runs(domain):
    with contextlib.suppress(libvirt.libvirtError):
        return domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE
    return False


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Backup(world.Case):
    def setUp(self):
        shutil.rmtree(BACKUPS, ignore_errors=True)
        os.makedirs(BACKUPS)
        self.disks = []
        for name, kind in (("g-a.qcow2", "qcow2"), ("g-b.raw", "raw")):
            path = f"{IMAGES}/{name}"
            run("qemu-img", "create", "-q", "-f", kind, path, "32M")
            run("qemu-io", "-f", kind, "-c", "write -P 7 1M 5M", path)
            os.chmod(path, 0o666)
            self.disks.append((path, kind))
        self.addCleanup(self.remove_images)

    def remove_images(self):
        for name in os.listdir(IMAGES):
            os.unlink(f"{IMAGES}/{name}")

    def define(self, name="g", extra_device="", firmware=""):
        drives = "".join(
            f"<disk type='file' device='disk'><driver name='qemu' type='{kind}'/><source file='{path}'/><target dev='vd{letter}' bus='virtio'/></disk>"
            for letter, (path, kind) in zip("ab", self.disks)
        )
        path = f"/run/tmp/{name}.xml"
        with open(path, "w") as file:
            devices = drives + "<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>" + extra_device
            file.write(world.bare_xml(name, devices=devices).replace("</os>", firmware + "</os><features><acpi/></features>"))
        virsh("define", path)

    def images_match(self, folder):
        """The content of a backup is that of the guest's images."""
        with open(f"{folder}/manifest.json") as file:
            manifest = json.load(file)
        self.assertEqual(["vda", "vdb"], [disk["target"] for disk in manifest["disks"]])
        for disk, (path, kind) in zip(manifest["disks"], self.disks):
            run("qemu-img", "compare", "-f", disk["format"], "-F", kind, f"{folder}/{disk['file']}", path)
        for saved in manifest["files"]:
            self.assertEqual(saved["sha256"], sha256(f"{folder}/{saved['name']}"))
        return manifest

    def test_a_stopped_guest_is_backed_up_and_restored(self):
        self.define()
        answer = lodge("backup", "g", f"{BACKUPS}/one")
        self.assertIn("Left out: disk 'hdc' (a CD-ROM)", answer.out)
        self.assertEqual("shut off", self.images_match(f"{BACKUPS}/one")["state"])
        self.assertEqual(0o700, os.stat(f"{BACKUPS}/one").st_mode & 0o777)
        self.assertEqual(["one"], os.listdir(BACKUPS))
        self.assertIn("is whole", lodge("backup-verify", f"{BACKUPS}/one").out)

        before = virsh("dumpxml", "g", "--inactive").out
        refused = lodge("restore", f"{BACKUPS}/one", check=False)
        self.assertRegex(refused.err, r"^error: domain 'g' exists already; .*\n$")
        virsh("undefine", "g")
        refused = lodge("restore", f"{BACKUPS}/one", check=False)
        self.assertRegex(refused.err, r"^error: '.*g-a.qcow2' exists; --force overwrites it\n$")
        run("qemu-io", "-f", "raw", "-c", "write -P 1 1M 5M", self.disks[1][0])
        lodge("restore", f"{BACKUPS}/one", "--force")
        self.images_match(f"{BACKUPS}/one")
        self.assertEqual(before, virsh("dumpxml", "g", "--inactive").out)
        self.assertEqual(0o666, os.stat(self.disks[0][0]).st_mode & 0o777)
        self.assertEqual({"g-a.qcow2", "g-b.raw"}, set(os.listdir(IMAGES)))

    def test_a_guest_is_restored_beside_itself(self):
        self.define(extra_device="<interface type='user'><mac address='52:54:00:00:00:01'/></interface>")
        lodge("backup", "g", f"{BACKUPS}/one", "--format", "qcow2")
        os.mkdir(f"{BACKUPS}/images")
        lodge("restore", f"{BACKUPS}/one", "--name", "h", "--image-dir", f"{BACKUPS}/images")
        self.assertEqual({"h-vda.qcow2", "h-vdb.raw"}, set(os.listdir(f"{BACKUPS}/images")))
        for name in os.listdir(f"{BACKUPS}/images"):
            self.assertEqual(0o600, os.stat(f"{BACKUPS}/images/{name}").st_mode & 0o777)
        for (path, kind), copy in zip(self.disks, ("h-vda.qcow2", "h-vdb.raw")):
            run("qemu-img", "compare", "-f", kind, "-F", kind, path, f"{BACKUPS}/images/{copy}")
        xml = virsh("dumpxml", "h").out
        self.assertNotIn("52:54:00:00:00:01", xml)
        self.assertNotEqual(virsh("domuuid", "g").out, virsh("domuuid", "h").out)

    def test_the_nvram_comes_along(self):
        nvram = "/var/lib/libvirt/qemu/nvram/g_VARS.fd"
        os.makedirs(os.path.dirname(nvram), exist_ok=True)
        with open(nvram, "wb") as file:
            file.write(b"boot entries")
        self.addCleanup(lambda: os.path.exists(nvram) and os.unlink(nvram))
        self.define(firmware=f"<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram>{nvram}</nvram>")
        lodge("backup", "g", f"{BACKUPS}/one")
        virsh("undefine", "g", "--nvram")
        self.remove_images()
        self.assertFalse(os.path.exists(nvram))
        lodge("restore", f"{BACKUPS}/one")
        with open(nvram, "rb") as file:
            self.assertEqual(b"boot entries", file.read())
        lodge("restore", f"{BACKUPS}/one", "--name", "h")
        self.assertIn("h_VARS.fd</nvram>", virsh("dumpxml", "h").out)
        os.unlink(nvram.replace("g_VARS", "h_VARS"))

    def test_a_damaged_backup_is_found_and_not_restored(self):
        self.define()
        lodge("backup", "g", f"{BACKUPS}/one")
        with open(f"{BACKUPS}/one/vdb.raw", "r+b") as file:
            file.seek(12345)
            file.write(b"x")
        answer = lodge("backup-verify", f"{BACKUPS}/one", check=False)
        self.assertEqual(1, answer.rc)
        self.assertIn("vdb.raw", answer.err)
        virsh("undefine", "g")
        self.remove_images()
        answer = lodge("restore", f"{BACKUPS}/one", check=False)
        self.assertIn("vdb.raw", answer.err)
        self.assertEqual([], os.listdir(IMAGES))
        self.assertEqual("", virsh("list", "--all", "--name").out.strip())

    def test_a_running_guest_is_backed_up(self):
        self.define()
        virsh("start", "g")
        for kind in (None, "raw", "qcow2"):
            folder = f"{BACKUPS}/{kind}"
            lodge("backup", "g", folder, *(["--format", kind] if kind else []))
            lodge("backup-verify", folder)
            time.sleep(0.3)  # nothing may write to it afterwards
            lodge("backup-verify", folder)
            self.assertTrue(os.path.exists(f"{folder}/live.xml"))
        self.assertEqual("running", virsh("domstate", "g").out.strip())
        virsh("destroy", "g")
        for kind in (None, "raw", "qcow2"):
            self.images_match(f"{BACKUPS}/{kind}")
        lodge("restore", f"{BACKUPS}/None", "--force")
        virsh("start", "g")

    def big_disk(self):
        """So much to copy that a backup can be caught in the middle."""
        path = self.disks[1][0]
        with open(path, "r+b") as file:
            file.truncate(1 << 30)
            for at in range(0, 1 << 30, 4 << 20):
                file.seek(at)
                file.write(os.urandom(2 << 20))

    def interrupted(self, sig):
        process = subprocess.Popen([LODGE, "backup", "g", f"{BACKUPS}/cut"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: os.path.exists(f"{BACKUPS}/cut.partial/vdb.raw"), 20, "the copy begins")
        process.send_signal(sig)
        out, err = process.communicate(timeout=60)
        return process.returncode, err

    def test_what_breaks_off_never_looks_whole(self):
        self.big_disk()
        self.define()
        for running in (False, True):
            if running:
                virsh("start", "g")
            with self.subTest(running=running):
                status, err = self.interrupted(signal.SIGINT)
                self.assertEqual((1, "error: Failed to back up domain 'g': interrupted\n"), (status, err))
                self.assertEqual([], os.listdir(BACKUPS))
        self.assertEqual("running", virsh("domstate", "g").out.strip())
        process = subprocess.Popen([LODGE, "backup", "g", f"{BACKUPS}/cut"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        domain = self.connect().lookupByName("g")  # quicker than virsh: the copy does not take long
        wait_for(lambda: job_runs(domain), 20, "the job begins")
        domain.destroy()
        err = process.communicate(timeout=60)[1]
        self.assertEqual("error: Failed to back up domain 'g': the guest was stopped during the backup\n", err)
        self.assertEqual([], os.listdir(BACKUPS))
        self.interrupted(signal.SIGKILL)
        self.assertEqual(["cut.partial"], os.listdir(BACKUPS))
        self.assertEqual(1, lodge("backup-verify", f"{BACKUPS}/cut.partial", check=False).rc)
        lodge("backup", "g", f"{BACKUPS}/cut")
        self.assertEqual(["cut"], os.listdir(BACKUPS))

    def test_what_cannot_be_is_refused_before_anything_is_written(self):
        self.define()
        os.unlink(self.disks[1][0])
        answer = lodge("backup", "g", f"{BACKUPS}/one", check=False)
        self.assertRegex(answer.err, r"^error: Failed to back up domain 'g': disk 'vdb': cannot read '.*g-b.raw': No such file or directory\n$")
        os.mkdir(f"{BACKUPS}/full")
        with open(f"{BACKUPS}/full/x", "w"):
            pass
        lodge("backup", "g", f"{BACKUPS}/ok", "--exclude", "vdb")
        answer = lodge("backup", "g", f"{BACKUPS}/full", "--exclude", "vdb", check=False)
        self.assertIn("is not an empty folder", answer.err)
        self.assertEqual({"full", "ok"}, set(os.listdir(BACKUPS)))


class BesideVirsh(world.Case):
    """The same words on the daemon under test."""

    def same(self, *args):
        theirs, ours = virsh(*args, check=False), lodge(*args, check=False)

        def settle(text):
            return re.sub(r"CPU time: .*", "", text)

        def words(text):
            return re.sub(r"[\s:]+", " ", text.replace("error: ", "")).strip()

        self.assertEqual((settle(theirs.out), words(theirs.err), theirs.rc), (settle(ours.out), words(ours.err), ours.rc), args)

    def test_reading(self):
        world.default_network()
        with open("/run/tmp/b.xml", "w") as file:
            file.write(world.bare_xml("b", devices="<serial type='pty'/><console type='pty'/><graphics type='vnc' autoport='yes'/>"))
        virsh("define", "/run/tmp/b.xml")
        for state in ("shut off", "running"):
            if state == "running":
                virsh("start", "b")
            for line in ("uri|hostname|version|version --daemon|nodeinfo|list|list --all|list --all --uuid --name|dominfo b|domstate b --reason|"
                         "domid b|domuuid b|dumpxml b|dumpxml b --inactive|domblklist b --details|domiflist b|vcpucount b|net-list --all|"
                         "net-info default|net-dumpxml default|net-dhcp-leases default|iface-list|iface-list --all|domdisplay b|"
                         "dominfo nosuch|net-info nosuch|start nosuch|resume b|capabilities|domcapabilities").split("|"):
                with self.subTest(line, state=state):
                    self.same(*line.split())

    def test_the_version_needs_no_library(self):
        with open("/proc/self/maps") as file:
            self.assertIn("libvirt", file.read())  # this test itself has it
        traced = subprocess.run(["strace", "-f", "-e", "trace=openat", LODGE, "version"], capture_output=True, text=True) if shutil.which("strace") else None
        if traced is None:
            self.skipTest("strace is not installed")
        self.assertIn("Running hypervisor: QEMU", traced.stdout)
        self.assertNotIn("libgnutls", traced.stderr)


if __name__ == "__main__":
    world.main()
