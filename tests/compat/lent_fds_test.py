#!/usr/bin/python3
"""Disks whose files the client opens: descriptors lent by name (virDomainFDAssociate) in place of a path that QEMU may open."""

import contextlib
import json
import os

import libvirt
import libvirt_qemu

import world

WRITABLE = libvirt.VIR_DOMAIN_FD_ASSOCIATE_SECLABEL_WRITABLE
# Where QEMU's account may not look.
HIDDEN = "/run/hidden"
DISK = ("<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/nowhere/{0}' fdgroup='{0}'/>"
        "<target dev='{1}' bus='virtio'/></disk>")


class LentFds(world.Case):
    def setUp(self):
        os.makedirs(HIDDEN, mode=0o700, exist_ok=True)
        self.image = f"{HIDDEN}/image"
        with open(self.image, "wb") as f:
            f.truncate(1 << 20)
        os.chmod(self.image, 0o600)
        self.conn = self.connect()

    def lend(self, dom, name, flags=WRITABLE):
        fd = os.open(self.image, os.O_RDWR)
        dom.FDAssociate(name, [fd], flags)
        os.close(fd)  # the daemon has its own

    def write(self, dom, node, byte):
        out = libvirt_qemu.qemuMonitorCommand(dom, f'qemu-io -d {node} "write -P {byte} 0 512"', libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
        self.assertNotIn("rror", out)

    def first_byte(self):
        with open(self.image, "rb") as f:
            return f.read(1)[0]

    def sets(self, dom):
        return [s["fdset-id"] for s in json.loads(libvirt_qemu.qemuMonitorCommand(dom, '{"execute": "query-fdsets"}', 0))["return"]]

    def test_a_guest_starts_with_them(self):
        dom = self.conn.defineXML(world.bare_xml("lent", devices=DISK.format("images", "vda")))
        self.lend(dom, "images")
        dom.create()
        self.write(dom, "/machine/peripheral/virtio-disk0/virtio-backend", 65)
        self.assertEqual(self.first_byte(), 65)
        self.assertIn("fdgroup='images'", dom.XMLDesc())

    def test_one_that_nobody_lent(self):
        dom = self.conn.defineXML(world.bare_xml("unlent", devices=DISK.format("absent", "vda")))
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "absent", "not associated"):
            dom.create()

    def test_they_go_with_the_client(self):
        dom = self.conn.defineXML(world.bare_xml("gone", devices=DISK.format("images", "vda")))
        with contextlib.closing(libvirt.open(world.URI)) as other:
            self.lend(other.lookupByName("gone"), "images")
        world.wait_for(lambda: self.refuses(dom), what="the group's end")

    def refuses(self, dom):
        try:
            dom.create()
        except libvirt.libvirtError as error:
            return error.get_error_code() == libvirt.VIR_ERR_INVALID_ARG
        dom.destroy()
        return False

    @world.only_lodge  # the peer hands QEMU a set that it has forgotten already
    def test_a_disk_comes_and_goes(self):
        dom = self.conn.defineXML(world.bare_xml("plug", extra="<features><acpi/></features>"))
        dom.create()
        self.lend(dom, "late")
        before = self.sets(dom)
        dom.attachDevice(DISK.format("late", "vdb"))
        self.write(dom, "/machine/peripheral/virtio-disk1/virtio-backend", 66)
        self.assertEqual(self.first_byte(), 66)
        self.assertEqual(len(self.sets(dom)), len(before) + 1)

    @world.only_lodge  # as above
    def test_a_medium_comes_and_goes(self):
        drive = ("<disk type='file' device='cdrom'><driver name='qemu' type='raw'/>{0}<target dev='sda' bus='sata'/><readonly/></disk>")
        medium = drive.format("<source file='/nowhere/disc' fdgroup='disc'/>")
        dom = self.conn.defineXML(world.bare_xml("reader", devices=drive.format("")))
        dom.create()
        before = self.sets(dom)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "'disc'", "not associated"):
            dom.updateDeviceFlags(medium)
        self.lend(dom, "disc")
        dom.updateDeviceFlags(medium)
        self.assertIn("fdgroup='disc'", dom.XMLDesc())
        self.assertEqual(len(self.sets(dom)), len(before) + 1)
        blocks = json.loads(libvirt_qemu.qemuMonitorCommand(dom, '{"execute": "query-block"}', 0))["return"]
        self.assertEqual([b["inserted"]["image"]["virtual-size"] for b in blocks if "inserted" in b], [1 << 20])
        dom.updateDeviceFlags(drive.format(""))
        self.assertEqual(self.sets(dom), before)
        self.assertNotIn("fdgroup", dom.XMLDesc())


if __name__ == "__main__":
    world.main()
