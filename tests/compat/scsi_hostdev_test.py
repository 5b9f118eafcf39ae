#!/usr/bin/python3
"""SCSI units that a guest gets as they are, while it runs: over the network from a target of ours, and of adapters that are not there."""

import os
import shutil
import subprocess
import unittest

import libvirt
import world
from world import run, virsh, wait_for

NAME = "iqn.2024-01.org.example:unit"
UNIT = f"""<hostdev mode='subsystem' type='scsi'><source protocol='iscsi' name='{NAME}/1'><host name='127.0.0.1' port='3260'/>{{}}</source>
{{}}</hostdev>"""
LOCAL = """<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host77'/><address bus='0' target='3' unit='1'/></source></hostdev>"""
CONTROL = "7"


def tgtadm(*args, check=True):
    return run("tgtadm", "-C", CONTROL, "--lld", "iscsi", *args, check=check)


def nodes(name):
    """The block nodes that QEMU has for host devices."""
    answer = virsh("qemu-monitor-command", name, '{"execute":"query-named-block-nodes"}').out
    return sorted(word.split('"')[0] for word in answer.split('"node-name":"')[1:] if word.split('"')[0].endswith("-backend"))


@unittest.skipUnless(shutil.which("tgtd") and os.path.exists("/usr/lib/x86_64-linux-gnu/qemu/block-iscsi.so"), "needs tgt and qemu-block-extra")
class ScsiHostdev(world.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.makedirs("/run/tgtd", exist_ok=True)
        cls.target = subprocess.Popen(["tgtd", "-f", "-C", CONTROL, "--iscsi", "portal=127.0.0.1:3260"], stderr=subprocess.DEVNULL)
        wait_for(lambda: tgtadm("--op", "show", "--mode", "target", check=False).rc == 0, what="the target answers")
        run("truncate", "-s", "8M", "/run/tmp/unit.img")
        tgtadm("--op", "new", "--mode", "target", "--tid", "1", "-T", NAME)
        tgtadm("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", "/run/tmp/unit.img")
        tgtadm("--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL")

    @classmethod
    def tearDownClass(cls):
        cls.target.kill()
        cls.target.wait()
        super().tearDownClass()

    def setUp(self):
        self.conn = self.connect()

    def start(self, devices=""):
        return self.conn.createXML(world.bare_xml("scsi", extra="<features><acpi/></features>", devices=devices))

    def test_from_the_start(self):
        self.start(UNIT.format("", "<readonly/>"))
        self.assertEqual(len(nodes("scsi")), 1)

    def test_comes_and_goes(self):
        guest = self.start()
        guest.attachDevice(UNIT.format("", ""))
        document = guest.XMLDesc()
        self.assertIn("<alias name='hostdev0'/>", document)
        self.assertIn("<address type='drive' controller='0' bus='0' target='0' unit='0'/>", document)
        self.assertIn("<controller type='scsi' index='0'", document)
        self.assertEqual(len(nodes("scsi")), 1)
        guest.detachDevice(UNIT.format("", ""))
        wait_for(lambda: "<hostdev" not in guest.XMLDesc(), what="the unit is gone")
        self.assertEqual(nodes("scsi"), [])
        guest.attachDevice(UNIT.format("", ""))
        self.assertEqual(len(nodes("scsi")), 1)

    def test_beside_disks(self):
        run("truncate", "-s", "1M", "/var/lib/libvirt/images/a.img", "/var/lib/libvirt/images/b.img")
        disk = "<disk type='file'><source file='/var/lib/libvirt/images/{}.img'/><target dev='{}' bus='scsi'/></disk>"
        guest = self.start(disk.format("a", "sda"))
        guest.attachDevice(UNIT.format("", ""))
        guest.attachDevice(disk.format("b", "sdc"))
        self.assertIn("<address type='drive' controller='0' bus='0' target='0' unit='1'/>", guest.XMLDesc())
        self.assertEqual(len(nodes("scsi")), 1)
        taken = "SCSI host address controller='0' bus='0' target='0' unit='0' in use by a SCSI disk"
        with self.refused(libvirt.VIR_ERR_XML_ERROR, taken):
            guest.attachDevice(UNIT.format("", "<address type='drive' controller='0' bus='0' target='0' unit='0'/>"))

    @world.only_lodge
    def test_over_a_restart(self):
        self.start().attachDevice(UNIT.format("", ""))
        world.daemon.restart()
        guest = self.connect().lookupByName("scsi")
        guest.detachDevice(UNIT.format("", ""))
        wait_for(lambda: "<hostdev" not in guest.XMLDesc(), what="the unit is gone")
        self.assertEqual(nodes("scsi"), [])

    def test_a_target_that_does_not_answer(self):
        guest = self.start()
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "unable to execute QEMU command 'blockdev-add'"):
            guest.attachDevice(UNIT.format("", "").replace("3260", "3261"))
        self.assertNotIn("<hostdev", guest.XMLDesc())
        self.assertEqual(nodes("scsi"), [])

    def test_a_unit_that_is_not_there(self):
        guest = self.start()
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR):
            guest.attachDevice(LOCAL)
        with self.refused(libvirt.VIR_ERR_DEVICE_MISSING, "host scsi device scsi_host77:0:3.1 not found"):
            guest.detachDevice(LOCAL)
        with self.refused(libvirt.VIR_ERR_DEVICE_MISSING, f"host scsi iSCSI path {NAME}/1 not found"):
            guest.detachDevice(UNIT.format("", ""))


if __name__ == "__main__":
    world.main()
