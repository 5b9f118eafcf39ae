#!/usr/bin/python3
"""Snapshots: the tree and its files, inside and beside disk images, of stopped and running guests."""

import contextlib
import os

import libvirt

import world
from world import virsh

FILES = "/var/lib/libvirt/qemu/snapshot"


class Guest(world.Case):
    def setUp(self):
        self.disk = f"{world.IMAGES}/keeper.qcow2"
        for name in os.listdir(world.IMAGES) if os.path.isdir(world.IMAGES) else ():
            if name.startswith("keeper."):
                os.unlink(f"{world.IMAGES}/{name}")
        world.run("qemu-img", "create", "-q", "-f", "qcow2", self.disk, "16M")
        self.conn = self.connect()
        self.dom = self.conn.defineXML(world.guest_xml("keeper", nics=0, memory=128, disks=[(self.disk, "qcow2")]))

    def tearDown(self):
        with contextlib.closing(libvirt.open(world.URI)) as conn:
            for dom in conn.listAllDomains():
                for snapshot in dom.listAllSnapshots():
                    with contextlib.suppress(libvirt.libvirtError):
                        snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        super().tearDown()

    def take(self, name, flags=0, extra=""):
        return self.dom.snapshotCreateXML(f"<domainsnapshot><name>{name}</name>{extra}</domainsnapshot>", flags)

    def names(self, flags=0):
        return sorted(s.getName() for s in self.dom.listAllSnapshots(flags))

    def in_image(self, disk=None):
        lines = world.run("qemu-img", "snapshot", "-U", "-l", disk or self.disk).out.splitlines()[2:]
        return sorted(line.split()[1] for line in lines)

    def boot(self):
        self.dom.create()
        return self.console()

    def console(self):
        console = world.Console("keeper", "--force")
        self.addCleanup(console.close)
        console.expect("GUEST-TICK [0-9]", 120)
        return console


class Tree(Guest):
    def test_a_tree_and_its_filters(self):
        for name in ("a", "b", "c"):
            self.take(name)
        self.dom.snapshotLookupByName("a").delete(0)
        self.assertEqual(self.names(), ["b", "c"])
        with self.refused(libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT, "no domain snapshot with matching name 'a'"):
            self.dom.snapshotLookupByName("a")
        self.assertEqual(self.dom.snapshotCurrent().getName(), "c")
        self.assertEqual(self.dom.snapshotLookupByName("c").getParent().getName(), "b")
        with self.refused(libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT, "does not have a parent"):
            self.dom.snapshotLookupByName("b").getParent()
        self.dom.revertToSnapshot(self.dom.snapshotLookupByName("b"))
        self.take("d")
        self.assertEqual(self.names(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_ROOTS), ["b"])
        self.assertEqual(self.names(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_LEAVES), ["c", "d"])
        self.assertEqual(self.names(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_NO_LEAVES), ["b"])
        self.assertEqual(self.names(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_ACTIVE), [])
        self.assertEqual(self.names(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_INACTIVE), ["b", "c", "d"])
        self.assertEqual(self.names(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_EXTERNAL), [])
        self.assertEqual(self.names(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_NO_METADATA), [])
        root = self.dom.snapshotLookupByName("b")
        self.assertEqual(sorted(s.getName() for s in root.listAllChildren()), ["c", "d"])
        self.assertEqual((root.numChildren(), self.dom.snapshotNum()), (2, 3))
        self.assertTrue(root.hasMetadata())
        self.assertFalse(root.isCurrent())
        self.assertEqual(len(self.conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT)), 1)
        root.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN_ONLY)
        self.assertEqual(self.names(), ["b"])
        self.assertEqual(self.in_image(), ["b"])
        root.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        self.assertEqual((self.names(), self.in_image()), ([], ["b"]))

    def test_it_is_there_after_a_restart(self):
        for name in ("a", "b"):
            self.take(name)
        self.assertEqual(sorted(os.listdir(f"{FILES}/keeper")), ["a.xml", "b.xml"])
        before = self.dom.snapshotLookupByName("b").getXMLDesc()
        world.daemon.restart()
        self.conn = self.connect()
        self.dom = self.conn.lookupByName("keeper")
        self.assertEqual(self.dom.snapshotLookupByName("b").getXMLDesc(), before)
        self.assertEqual(self.dom.snapshotCurrent().getName(), "b")
        self.assertEqual(self.dom.snapshotLookupByName("b").getParent().getName(), "a")

    def test_redefinition(self):
        self.take("a")
        self.take("b")
        texts = {name: self.dom.snapshotLookupByName(name).getXMLDesc() for name in ("a", "b")}
        for name in ("b", "a"):
            self.dom.snapshotLookupByName(name).delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        redefine = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "parent a for moment b not found"):
            self.dom.snapshotCreateXML(texts["b"], redefine)
        self.dom.snapshotCreateXML(texts["a"], redefine)
        self.dom.snapshotCreateXML(texts["b"], redefine | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT)
        self.assertEqual(self.dom.snapshotLookupByName("b").getXMLDesc(), texts["b"])
        self.assertEqual(self.dom.snapshotCurrent().getName(), "b")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "would create cycle"):
            self.dom.snapshotCreateXML(texts["a"].replace("<creationTime>", "<parent><name>b</name></parent><creationTime>"), redefine)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "online and offline"):
            self.dom.snapshotCreateXML(texts["b"].replace("<state>shutoff", "<state>running"), redefine)
        with self.refused(libvirt.VIR_ERR_XML_ERROR, "missing state"):
            self.dom.snapshotCreateXML(texts["b"].replace("<state>shutoff</state>", ""), redefine)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "must use uuid"):
            self.dom.snapshotCreateXML(texts["b"].replace(self.dom.UUIDString(), "6695eb01-f6a4-8304-79aa-97f2502e193f"), redefine)

    def test_what_is_refused(self):
        with self.refused(libvirt.VIR_ERR_XML_DETAIL, "name can't contain '/'"):
            self.take("a/b")
        with self.refused(libvirt.VIR_ERR_XML_DETAIL, "name can't start with '.'"):
            self.take(".hidden")
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "no disk named 'vdz'"):
            self.take("x", 0, "<disks><disk name='vdz'/></disks>")
        with self.refused(libvirt.VIR_ERR_XML_ERROR, "offline or disk-only"):
            self.take("x", 0, "<memory snapshot='internal'/>")
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "must use snapshot mode"):
            self.take("x", 0, "<disks><disk name='vda' snapshot='no'/></disks>")
        with self.refused(libvirt.VIR_ERR_XML_ERROR, "must be absolute"):
            self.take("x", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY, "<disks><disk name='vda'><source file='here'/></disk></disks>")
        self.take("a")
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "already exists"):
            self.take("a")
        self.assertEqual(self.names(), ["a"])

    def test_a_domain_that_has_some(self):
        self.take("a")
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "1 snapshots"):
            self.dom.undefine()
        self.dom.rename("keeper2")
        self.assertEqual(os.listdir(f"{FILES}/keeper2"), ["a.xml"])
        self.assertFalse(os.path.exists(f"{FILES}/keeper") and os.listdir(f"{FILES}/keeper"))
        self.dom = self.conn.lookupByName("keeper2")
        self.dom.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)
        self.assertFalse(os.path.exists(f"{FILES}/keeper2") and os.listdir(f"{FILES}/keeper2"))

    def test_virsh(self):
        virsh("snapshot-create-as", "keeper", "one", "the first")
        self.assertIn("one", virsh("snapshot-list", "keeper").out)
        self.assertIn("the first", virsh("snapshot-dumpxml", "keeper", "one").out)
        self.assertIn("internal", virsh("snapshot-info", "keeper", "one").out)
        self.assertEqual(virsh("snapshot-current", "keeper", "--name").out.strip(), "one")
        virsh("snapshot-delete", "keeper", "--current")


class Inside(Guest):
    def test_back_to_a_stopped_one(self):
        world.run("qemu-io", "-f", "qcow2", "-c", "write -P 0x11 0 4k", self.disk)
        self.take("a")
        world.run("qemu-io", "-f", "qcow2", "-c", "write -P 0x22 0 4k", self.disk)
        self.dom.revertToSnapshot(self.dom.snapshotLookupByName("a"))
        world.run("qemu-io", "-f", "qcow2", "-c", "read -P 0x11 0 4k", self.disk)
        self.dom.revertToSnapshot(self.dom.snapshotLookupByName("a"), libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED)
        self.assertEqual(self.dom.state(), [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER])

    def test_back_to_a_running_one(self):
        events = world.Events()
        self.addCleanup(events.close)
        console = self.boot()
        console.shell("mkdir -p /tmp; echo before > /tmp/kept; echo before | dd of=/dev/vda bs=512 conv=sync,fsync")
        self.take("a")
        self.assertEqual(self.dom.state(), [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_UNPAUSED])
        self.assertIn("<state>running</state>", self.dom.snapshotLookupByName("a").getXMLDesc())
        console.shell("echo after > /tmp/kept; echo after | dd of=/dev/vda bs=512 conv=sync,fsync")
        console.close()
        self.dom.revertToSnapshot(self.dom.snapshotLookupByName("a"))
        self.assertEqual(self.dom.state(), [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_FROM_SNAPSHOT])
        events.wait("keeper", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT)
        events.wait("keeper", libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_FROM_SNAPSHOT)
        events.wait("keeper", libvirt.VIR_DOMAIN_EVENT_DEFINED, libvirt.VIR_DOMAIN_EVENT_DEFINED_FROM_SNAPSHOT)
        console = self.console()
        self.assertIn("before", console.shell("cat /tmp/kept")[0])
        self.assertIn("before", console.shell("dd if=/dev/vda bs=512 count=1 2>/dev/null | head -c 20")[0])
        self.dom.snapshotLookupByName("a").delete(0)
        self.assertEqual(self.names(), [])

    def test_only_of_qcow2(self):
        self.dom.undefine()
        raw = f"{world.IMAGES}/keeper.raw"
        world.run("qemu-img", "create", "-q", "-f", "raw", raw, "16M")
        self.dom = self.conn.defineXML(world.guest_xml("keeper", nics=0, disks=[(raw, "raw")]))
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "unsupported for storage type raw"):
            self.take("a")
        self.assertEqual(self.names(), [])


class Beside(Guest):
    DISK_ONLY = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY

    def source(self, flags=0):
        text = self.dom.XMLDesc(flags)
        return text.split("<source file='", 1)[1].split("'", 1)[0]

    def test_of_a_running_guest(self):
        console = self.boot()
        console.shell("echo before | dd of=/dev/vda bs=512 conv=sync,fsync")
        self.take("a", self.DISK_ONLY)
        overlay = f"{world.IMAGES}/keeper.a"
        self.assertEqual((self.source(), self.source(libvirt.VIR_DOMAIN_XML_INACTIVE)), (overlay, overlay))
        self.assertIn("<state>disk-snapshot</state>", self.dom.snapshotLookupByName("a").getXMLDesc())
        console.shell("echo after | dd of=/dev/vda bs=512 conv=sync,fsync")
        self.assertEqual(self.names(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_DISK_ONLY), ["a"])
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED):
            self.dom.revertToSnapshot(self.dom.snapshotLookupByName("a"))
        self.take("b", self.DISK_ONLY)
        self.dom.destroy()
        world.run("qemu-io", "-f", "qcow2", "-r", "-c", "read -v 0 16", self.disk)
        with open(self.disk, "rb") as f:
            self.assertNotIn(b"after", f.read())
        self.dom.create()
        self.assertIn("after", self.console().shell("dd if=/dev/vda bs=512 count=1 2>/dev/null | head -c 20")[0])

    def test_deletion_while_the_guest_runs(self):
        console = self.boot()
        overlays = {name: f"{world.IMAGES}/keeper.{name}" for name in "abc"}
        for number, name in enumerate("abc"):
            console.shell(f"echo before {name} | dd of=/dev/vda bs=512 seek={number} conv=sync,fsync")
            self.take(name, self.DISK_ONLY)
        console.shell("echo last | dd of=/dev/vda bs=512 seek=3 conv=sync,fsync")
        # From the middle of the chain, and from its top.
        self.dom.snapshotLookupByName("b").delete()
        self.assertEqual((self.names(), os.path.exists(overlays["b"])), (["a", "c"], False))
        kept = self.dom.snapshotLookupByName("c")
        self.assertEqual(kept.getParent().getName(), "a")
        self.assertIn(overlays["a"], kept.getXMLDesc())
        self.assertNotIn(overlays["b"], kept.getXMLDesc())
        kept.delete()
        self.assertEqual((self.source(), self.source(libvirt.VIR_DOMAIN_XML_INACTIVE)), (overlays["a"], overlays["a"]))
        self.dom.snapshotLookupByName("a").delete()
        self.assertEqual((self.source(), self.names(), os.listdir(world.IMAGES)), (self.disk, [], ["keeper.qcow2"]))
        for number, text in enumerate(("before a", "before b", "before c", "last")):
            self.assertIn(text, console.shell(f"dd if=/dev/vda bs=512 skip={number} count=1 2>/dev/null | head -c 20")[0])

    @world.only_lodge  # the peer finds no image in the middle of a chain while nothing runs
    def test_deletion_while_the_guest_stands(self):
        write = lambda text, where: world.run("qemu-io", "-f", "qcow2", "-c", f"write -P {text} {where} 512", self.source())
        for number, name in enumerate("abc"):
            write(number + 1, number * 65536)
            self.take(name, self.DISK_ONLY)
        write(4, 3 * 65536)
        self.dom.snapshotLookupByName("b").delete()
        self.dom.snapshotLookupByName("c").delete()
        self.assertEqual((self.source(), self.names()), (f"{world.IMAGES}/keeper.a", ["a"]))
        self.dom.snapshotLookupByName("a").delete()
        self.assertEqual((self.source(), self.names(), os.listdir(world.IMAGES)), (self.disk, [], ["keeper.qcow2"]))
        for number in range(4):
            out = world.run("qemu-io", "-f", "qcow2", "-r", "-c", f"read -P {number + 1} {number * 65536} 512", self.disk).out
            self.assertNotIn("Pattern verification failed", out)

    def test_deletions_that_are_refused(self):
        self.take("inside")
        self.take("beside", self.DISK_ONLY)
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "internal snapshot as parent"):
            self.dom.snapshotLookupByName("beside").delete()
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "with children not supported"):
            self.dom.snapshotLookupByName("beside").delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN)
        self.take("above", self.DISK_ONLY)
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "external children"):
            self.dom.snapshotLookupByName("beside").delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN)
        self.assertEqual(self.names(), ["above", "beside", "inside"])
        self.dom.snapshotLookupByName("above").delete()
        self.dom.snapshotLookupByName("beside").delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        self.assertTrue(os.path.exists(f"{world.IMAGES}/keeper.beside"))

    def test_of_a_stopped_guest(self):
        self.take("a", self.DISK_ONLY)
        self.assertEqual(self.source(), f"{world.IMAGES}/keeper.a")
        info = world.run("qemu-img", "info", f"{world.IMAGES}/keeper.a").out
        self.assertIn(self.disk, info)
        self.dom.create()
        self.assertTrue(self.dom.isActive())

    def test_with_memory(self):
        console = self.boot()
        console.shell("mkdir -p /tmp; echo before > /tmp/kept")
        memory = f"{world.IMAGES}/keeper.memory"
        self.take("a", 0, f"<memory snapshot='external' file='{memory}'/>")
        self.assertEqual(self.dom.state()[0], libvirt.VIR_DOMAIN_RUNNING)
        with open(memory, "rb") as f:
            self.assertEqual(f.read(16), b"LibvirtQemudSave")
        self.assertIn("before", console.shell("cat /tmp/kept")[0])
        console.shell("echo still here | dd of=/dev/vda bs=512 conv=sync,fsync")

    def test_nothing_half_done(self):
        self.dom.create()
        where = f"{world.IMAGES}/keeper.taken"
        with open(where, "w") as f:
            f.write("somebody's")
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "already exists"):
            self.take("a", self.DISK_ONLY, f"<disks><disk name='vda'><source file='{where}'/></disk></disks>")
        with self.assertRaises(libvirt.libvirtError):
            self.take("a", self.DISK_ONLY, "<disks><disk name='vda'><source file='/nowhere/at/all'/></disk></disks>")
        self.assertEqual((self.source(), self.names()), (self.disk, []))
        with open(where) as f:
            self.assertEqual(f.read(), "somebody's")


if __name__ == "__main__":
    world.main()
