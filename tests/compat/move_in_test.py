#!/usr/bin/python3
"""A host moves in while its guests run: what libvirtd left running goes on under lodged, as if it had always been ours."""

import contextlib
import os
import shutil
import unittest

import libvirt

import world
from world import virsh

POOL = "/var/lib/libvirt/pool"
DEVICES = """
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<controller type='virtio-serial' index='0'/>
<graphics type='vnc' autoport='yes' passwd='secret'/>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"""


LENT = "<network><name>lent</name><forward mode='bridge'><interface dev='lent0'/></forward></network>"
LENT_CARD = """<interface type='network'><mac address='52:54:00:00:0a:01'/><source network='lent'/></interface>"""


def filtered(document):
    return document.replace("<model type='virtio'/></interface>", "<model type='virtio'/><filterref filter='no-mac-spoofing'/></interface>")


@unittest.skipUnless(world.IS_LODGE and shutil.which("libvirtd"), "needs libvirtd, to move away from")
class MoveIn(unittest.TestCase):
    """libvirtd starts guests, a network, a pool and a binding of a filter, and ends; lodged finds them."""

    @classmethod
    def setUpClass(cls):
        libvirt.registerErrorHandler(lambda *_: None, None)
        world.guest_files()
        before = world.Daemon("libvirtd").start()
        cls.addClassCleanup(before.stop_logd)
        world.default_network()
        virsh("pool-define-as", "things", "dir", "--target", POOL)
        virsh("pool-build", "things")
        virsh("pool-start", "things")
        virsh("vol-create-as", "things", "disk.qcow2", "16M", "--format", "qcow2")
        virsh("vol-create-as", "things", "other.qcow2", "16M", "--format", "qcow2")
        with contextlib.closing(libvirt.open(world.URI)) as conn:
            # The first id is not the one that a daemon begins with.
            conn.createXML(world.bare_xml("passing")).destroy()
            disks = [(f"{POOL}/disk.qcow2", "qcow2")]
            cls.kept = conn.defineXML(filtered(world.guest_xml("kept", disks=disks, devices=DEVICES)))
            cls.kept.create()
            world.run("ip", "link", "add", "lent0", "up", "type", "veth", "peer", "name", "lent1")
            macvtap = world.run("ip", "link", "add", "link", "lent0", "name", "try0", "type", "macvtap", check=False)
            if macvtap.rc == 0:
                world.run("ip", "link", "del", "try0")
                conn.networkCreateXML(LENT)
            transient = conn.createXML(world.bare_xml("transient", devices=LENT_CARD if macvtap.rc == 0 else ""))
            cls.lent = transient.XMLDesc() if macvtap.rc == 0 else None
            paused = conn.defineXML(world.bare_xml("paused"))
            paused.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
            gone = conn.defineXML(world.bare_xml("gone"))
            gone.create()
            cls.ids = {dom.name(): dom.ID() for dom in (cls.kept, transient, paused, gone)}
            cls.pids = {name: world.qemu_pid(name) for name in cls.ids}
            cls.live = cls.kept.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
            cls.network = virsh("net-dumpxml", "default").out
            cls.bindings = virsh("nwfilter-binding-list").out
        before.stop()
        os.kill(cls.pids["gone"], 9)
        world.wait_for(lambda: not world.alive(cls.pids["gone"]), 10, "the guest ends")
        world.daemon.start()

    @classmethod
    def tearDownClass(cls):
        world.daemon.stop()
        for pid in cls.pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)

    def setUp(self):
        self.conn = libvirt.open(world.URI)
        self.addCleanup(self.conn.close)

    def test_1_guests_are_what_they_were(self):
        found = {dom.name(): dom.ID() for dom in self.conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)}
        self.assertEqual(found, {name: number for name, number in self.ids.items() if name != "gone"})
        state = lambda name: tuple(self.conn.lookupByName(name).state())
        self.assertEqual(state("kept"), (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED))
        self.assertEqual(state("paused"), (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER))
        self.assertEqual(state("gone")[0], libvirt.VIR_DOMAIN_SHUTOFF)
        self.assertFalse(self.conn.lookupByName("transient").isPersistent())
        self.assertTrue(self.conn.lookupByName("kept").isPersistent())
        self.assertEqual(self.conn.lookupByName("kept").XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE), self.live)

    def test_2_networks_pools_and_bindings_too(self):
        network = self.conn.networkLookupByName("default")
        self.assertTrue(network.isActive())
        self.assertEqual(network.XMLDesc(), self.network.strip() + "\n")
        self.assertEqual(len(network.listAllPorts()), 1)
        self.assertTrue(self.conn.storagePoolLookupByName("things").isActive())
        self.assertEqual(virsh("nwfilter-binding-list").out, self.bindings)
        self.assertIn("no-mac-spoofing", self.bindings)

    def test_2_what_networks_lend(self):
        if self.lent is None:
            self.skipTest("this kernel has no macvtap")
        dom = self.conn.lookupByName("transient")
        self.assertEqual(dom.XMLDesc(), self.lent)
        self.assertIn("<interface type='direct'>", self.lent)
        self.assertEqual(len(self.conn.networkLookupByName("lent").listAllPorts()), 1)

    def test_3_the_guest_is_reached(self):
        console = world.Console("kept")
        self.addCleanup(console.close)
        console.send("\n")
        console.expect("guest# ")
        self.assertEqual(console.shell("echo here $((6 * 7))")[0].splitlines()[-1].strip(), "here 42")
        self.assertEqual(len(self.conn.lookupByName("kept").vcpus()[0]), 1)
        self.assertEqual(self.conn.lookupByName("kept").blockStats("vda")[0] >= 0, True)

    def test_4_the_guest_changes(self):
        dom = self.conn.lookupByName("kept")
        disk = f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{POOL}/other.qcow2'/><target dev='vdb' bus='virtio'/></disk>"
        dom.attachDevice(disk)
        self.assertIn("other.qcow2", dom.XMLDesc())
        dom.suspend()
        self.assertEqual(dom.state()[0], libvirt.VIR_DOMAIN_PAUSED)
        dom.resume()
        self.assertEqual(dom.state()[0], libvirt.VIR_DOMAIN_RUNNING)

    def test_5_it_is_found_after_a_restart(self):
        world.daemon.restart()
        self.conn = libvirt.open(world.URI)
        self.addCleanup(self.conn.close)
        self.assertEqual(self.conn.lookupByName("kept").ID(), self.ids["kept"])

    def test_6_the_next_guest_has_the_next_id(self):
        dom = self.conn.createXML(world.bare_xml("new"))
        self.assertEqual(dom.ID(), max(number for name, number in self.ids.items() if name != "gone") + 1)
        dom.destroy()

    def test_7_the_end(self):
        dom = self.conn.lookupByName("kept")
        dom.destroy()
        self.assertFalse(world.alive(self.pids["kept"]))
        owner = os.stat(f"{POOL}/disk.qcow2")
        self.assertEqual((owner.st_uid, owner.st_gid), (0, 0))
        self.assertFalse(os.path.exists(f"/var/lib/libvirt/qemu/domain-{self.ids['kept']}-kept"))
        world.wait_for(lambda: not self.conn.listAllNWFilterBindings(), 10, "the binding goes")
        self.assertEqual(len(self.conn.networkLookupByName("default").listAllPorts()), 0)
        # From here on it is like any other.
        dom.create()
        self.assertEqual(dom.state()[0], libvirt.VIR_DOMAIN_RUNNING)
        dom.destroy()


if __name__ == "__main__":
    world.main()
