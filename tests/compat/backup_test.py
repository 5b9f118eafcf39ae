#!/usr/bin/python3
"""`lodge backup`, `backup-verify` and `restore` with a guest that writes to its disk meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import time

import world
from world import virsh

LODGE = shutil.which("lodge") or f"{world.ROOT}/build/{world.preset()}/lodge"
BACKUPS = "/var/lib/libvirt/backups"


def lodge(*args, check=True):
    return world.run(LODGE, "-c", world.URI, *args, check=check, timeout=120)


class Backup(world.Case):
    def setUp(self):
        shutil.rmtree(BACKUPS, ignore_errors=True)
        os.makedirs(BACKUPS)
        os.chmod(BACKUPS, 0o755)
        self.disk = f"{world.IMAGES}/keeper.qcow2"
        world.run("qemu-img", "create", "-q", "-f", "qcow2", self.disk, "64M")
        path = "/run/tmp/keeper.xml"
        with open(path, "w") as f:
            f.write(world.guest_xml("keeper", nics=0, disks=[(self.disk, "qcow2")]))
        virsh("define", path)

    def boot(self):
        virsh("start", "keeper")
        console = world.Console("keeper")
        self.addCleanup(console.close)
        console.expect("GUEST-TICK 2")
        return console

    def manifest(self, folder):
        for name in os.listdir(folder):
            if name.endswith(".json"):
                with open(f"{folder}/{name}") as f:
                    return json.load(f)
        return None

    def test_a_running_guest_comes_back(self):
        console = self.boot()
        out, rc = console.shell("echo treasure | dd of=/dev/vda bs=512 count=1 conv=sync,fsync")
        self.assertEqual(rc, 0, out)
        folder = f"{BACKUPS}/one"
        lodge("backup", "keeper", folder)
        self.assertEqual(virsh("domstate", "keeper").out.strip(), "running")
        out, rc = console.shell("echo rubbish | dd of=/dev/vda bs=512 count=1 conv=sync,fsync")
        self.assertEqual(rc, 0, out)
        self.assertIn("sha256", json.dumps(self.manifest(folder)).lower().replace("-", ""))
        lodge("backup-verify", folder)

        virsh("destroy", "keeper")
        refused = lodge("restore", folder, check=False)
        self.assertNotEqual(refused.rc, 0, "it refuses to overwrite")
        lodge("restore", folder, "--force")
        console = self.boot()
        self.assertIn("treasure", console.shell("dd if=/dev/vda bs=512 count=1 2>/dev/null")[0])

        virsh("destroy", "keeper")
        virsh("undefine", "keeper")
        os.unlink(self.disk)
        lodge("restore", folder)
        self.assertEqual(virsh("domstate", "keeper").out.strip(), "shut off")
        world.run("qemu-img", "check", "-q", self.disk)

    def test_a_stopped_guest(self):
        world.run("qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 0 4k", self.disk)
        lodge("backup", "keeper", f"{BACKUPS}/two")
        lodge("backup-verify", f"{BACKUPS}/two")
        world.run("qemu-io", "-f", "qcow2", "-c", "write -P 0xa5 0 4k", self.disk)
        lodge("restore", f"{BACKUPS}/two", "--force")
        world.run("qemu-io", "-f", "qcow2", "-c", "read -P 0x5a 0 4k", self.disk)

    def test_a_damaged_backup_is_found_out(self):
        lodge("backup", "keeper", f"{BACKUPS}/three")
        image = max((f"{BACKUPS}/three/{n}" for n in os.listdir(f"{BACKUPS}/three")), key=os.path.getsize)
        with open(image, "r+b") as f:
            f.seek(100)
            f.write(b"\xff\x00\xff")
        failed = lodge("backup-verify", f"{BACKUPS}/three", check=False)
        self.assertNotEqual(failed.rc, 0)
        self.assertIn(os.path.basename(image), failed.err + failed.out)

    def test_a_broken_off_backup_never_looks_whole(self):
        self.boot()
        folder = f"{BACKUPS}/four"
        process = subprocess.Popen([LODGE, "-c", world.URI, "backup", "keeper", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if os.path.exists(folder) and self.manifest(folder) is None:
            self.assertNotEqual(lodge("backup-verify", folder, check=False).rc, 0)
        # And the next one succeeds.
        world.wait_for(lambda: lodge("backup", "keeper", f"{BACKUPS}/five", check=False).rc == 0, 20, "a backup after the broken one")
        lodge("backup-verify", f"{BACKUPS}/five")


if __name__ == "__main__":
    world.main()
