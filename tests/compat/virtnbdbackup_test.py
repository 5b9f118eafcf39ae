#!/usr/bin/python3
"""virtnbdbackup as Debian has it: whole and incremental backups of a running guest, and what they restore to."""

import contextlib
import os
import shutil
import unittest

import libvirt

import world
from world import IMAGES, run, virsh

FOLDER = "/run/tmp/nbdbackup"


@unittest.skipUnless(shutil.which("virtnbdbackup"), "virtnbdbackup is not installed")
class VirtNbdBackup(world.Case):
    def setUp(self):
        for file in os.listdir(IMAGES):
            os.unlink(f"{IMAGES}/{file}")
        shutil.rmtree(FOLDER, ignore_errors=True)
        os.makedirs(FOLDER)
        os.makedirs("/var/tmp", exist_ok=True)
        os.chmod("/var/tmp", 0o1777)
        self.disk = f"{IMAGES}/keeper.qcow2"
        run("qemu-img", "create", "-q", "-f", "qcow2", self.disk, "32M")
        run("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 4M", self.disk)
        conn = self.connect()
        self.dom = conn.defineXML(
            world.bare_xml("keeper", devices=f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{self.disk}'/><target dev='vda' bus='virtio'/></disk>")
        )
        self.dom.create()

    def tearDown(self):
        with contextlib.closing(libvirt.open(world.URI)) as conn:
            for dom in conn.listAllDomains():
                for checkpoint in dom.listAllCheckpoints():
                    with contextlib.suppress(libvirt.libvirtError):
                        checkpoint.delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY)
        super().tearDown()

    def write(self, pattern, where):
        virsh("qemu-monitor-command", "keeper", "--hmp", f'qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "write -P {pattern} {where}"')

    def backup(self, level):
        return run("virtnbdbackup", "-U", world.URI, "-d", "keeper", "-l", level, "-o", f"{FOLDER}/data", "--noprogress")

    def test_full_incremental_and_back(self):
        self.backup("full")
        self.write(2, "8M 1M")
        self.backup("inc")
        self.write(3, "16M 1M")
        self.backup("inc")
        self.write(4, "20M 1M")  # in no backup
        self.assertEqual(len(self.dom.listAllCheckpoints()), 3)
        self.assertEqual(self.dom.blockJobInfo("vda"), {})
        os.makedirs(f"{FOLDER}/restored")
        run("virtnbdrestore", "-U", world.URI, "-i", f"{FOLDER}/data", "-o", f"{FOLDER}/restored", "--noprogress")
        images = [f for f in os.listdir(f"{FOLDER}/restored") if not f.endswith(".xml")]
        self.assertEqual(len(images), 1, images)
        for pattern, where in ((1, "0 4M"), (2, "8M 1M"), (3, "16M 1M"), (0, "20M 1M")):
            run("qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern} {where}", f"{FOLDER}/restored/{images[0]}")

    def test_a_copy_leaves_no_checkpoint(self):
        self.backup("copy")
        self.assertEqual(self.dom.listAllCheckpoints(), [])


if __name__ == "__main__":
    world.main()
