#!/usr/bin/python3
"""Checkpoints: bitmaps of changes in the images of a running guest, and the tree that knows of them."""

import contextlib
import os

import libvirt

import world
from world import virsh

FILES = "/var/lib/libvirt/qemu/checkpoint"


class Checkpoint(world.Case):
    def setUp(self):
        self.disk = f"{world.IMAGES}/keeper.qcow2"
        world.run("qemu-img", "create", "-q", "-f", "qcow2", self.disk, "16M")
        self.conn = self.connect()
        self.dom = self.conn.defineXML(world.bare_xml("keeper", devices=f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{self.disk}'/><target dev='vda' bus='virtio'/></disk>"))

    def tearDown(self):
        with contextlib.closing(libvirt.open(world.URI)) as conn:
            for dom in conn.listAllDomains():
                for checkpoint in dom.listAllCheckpoints():
                    with contextlib.suppress(libvirt.libvirtError):
                        checkpoint.delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY)
        super().tearDown()

    def take(self, name, extra=""):
        return self.dom.checkpointCreateXML(f"<domaincheckpoint><name>{name}</name>{extra}</domaincheckpoint>")

    def names(self, flags=0):
        return sorted(c.getName() for c in self.dom.listAllCheckpoints(flags))

    def test_a_tree_of_them(self):
        self.dom.create()
        for name in ("a", "b", "c"):
            self.take(name)
        self.assertEqual(self.names(), ["a", "b", "c"])
        self.assertEqual(self.names(libvirt.VIR_DOMAIN_CHECKPOINT_LIST_ROOTS), ["a"])
        self.assertEqual(self.names(libvirt.VIR_DOMAIN_CHECKPOINT_LIST_LEAVES), ["c"])
        text = self.dom.checkpointLookupByName("b").getXMLDesc(libvirt.VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN)
        self.assertIn("<disk name='vda' checkpoint='bitmap' bitmap='b'/>", text)
        self.assertNotIn("<domain ", text)
        self.assertEqual(self.dom.checkpointLookupByName("b").getParent().getName(), "a")
        with self.refused(libvirt.VIR_ERR_NO_DOMAIN_CHECKPOINT, "does not have a parent"):
            self.dom.checkpointLookupByName("a").getParent()
        self.dom.checkpointLookupByName("b").delete()
        self.assertEqual(self.dom.checkpointLookupByName("c").getParent().getName(), "a")
        self.assertEqual(sorted(os.listdir(f"{FILES}/keeper")), ["a.xml", "c.xml"])
        world.daemon.restart()
        self.conn = self.connect()
        self.dom = self.conn.lookupByName("keeper")
        self.assertEqual(self.names(), ["a", "c"])
        self.take("d")
        self.assertEqual(self.dom.checkpointLookupByName("d").getParent().getName(), "c")
        self.dom.checkpointLookupByName("a").delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_CHILDREN)
        self.assertEqual(self.names(), [])

    def test_bitmaps_in_the_image(self):
        self.dom.create()
        self.take("a")
        size = self.dom.checkpointLookupByName("a").getXMLDesc(libvirt.VIR_DOMAIN_CHECKPOINT_XML_SIZE | libvirt.VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN)
        self.assertIn("size='0'", size)
        self.dom.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)
        self.assertIn("name: a", world.run("qemu-img", "info", self.disk).out)

    def test_what_is_refused(self):
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "inactive domain"):
            self.take("a")
        self.dom.create()
        with self.refused(libvirt.VIR_ERR_XML_INVALID_SCHEMA):
            self.take("a", "<nonsense/>")
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "no disk named 'vdz'"):
            self.take("a", "<disks><disk name='vdz'/></disks>")
        self.take("a")
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "already exists"):
            self.take("a")
        self.dom.destroy()
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED):
            self.dom.checkpointLookupByName("a").delete()
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "1 checkpoints"):
            self.dom.undefine()
        self.dom.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
        self.assertFalse(os.path.exists(f"{FILES}/keeper") and os.listdir(f"{FILES}/keeper"))

    def test_redefinition(self):
        self.dom.create()
        self.take("a")
        text = self.dom.checkpointLookupByName("a").getXMLDesc()
        self.dom.checkpointLookupByName("a").delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY)
        self.dom.checkpointCreateXML(text, libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE)
        self.assertEqual(self.dom.checkpointLookupByName("a").getXMLDesc(), text)
        virsh("checkpoint-list", "keeper")


if __name__ == "__main__":
    world.main()
