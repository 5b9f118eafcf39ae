#!/usr/bin/python3
"""The life of a real guest, driven by stock virsh and python3-libvirt with an event loop."""

import contextlib
import os
import re
import time

import libvirt
import world
from world import virsh, wait_for


class Lifecycle(world.Case):
    def setUp(self):
        world.default_network()
        self.events = world.Events()
        self.addCleanup(self.events.close)

    def console(self, name, *options):
        console = world.Console(name, *options)
        self.addCleanup(console.close)
        console.expect("Escape character is")
        return console

    def define(self, name, **more):
        path = f"/run/tmp/{name}.xml"
        with open(path, "w") as f:
            f.write(world.guest_xml(name, **more))
        return path

    def test_a_guest_boots_gets_a_lease_reaches_the_far_side_and_is_shut_down(self):
        path = self.define("traveller")
        self.assertIn("Domain 'traveller' defined", virsh("define", path).out)
        self.events.wait("traveller", libvirt.VIR_DOMAIN_EVENT_DEFINED, libvirt.VIR_DOMAIN_EVENT_DEFINED_ADDED)
        self.assertTrue(os.path.exists("/etc/libvirt/qemu/traveller.xml"))
        self.assertEqual(virsh("domstate", "traveller").out.strip(), "shut off")

        self.assertIn("Domain 'traveller' started", virsh("start", "traveller").out)
        self.events.wait("traveller", libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_BOOTED)
        self.assertEqual(virsh("domstate", "traveller", "--reason").out.strip(), "running (booted)")
        self.assertRegex(virsh("list").out, r"(?m)^ \d+ +traveller +running$")
        self.assertTrue(int(virsh("domid", "traveller").out) > 0)

        console = self.console("traveller")
        console.expect("GUEST-UP 1 nics")
        address = console.address()
        mac = re.search(r"mac address='([^']+)'", virsh("dumpxml", "traveller").out).group(1)
        wait_for(lambda: world.leases().get(mac) == address, 5, "the guest's lease")
        self.assertIn(address, virsh("domifaddr", "traveller").out)

        out, rc = console.shell(f"ping -c 2 -W 5 {world.UPLINK}")
        self.assertEqual(rc, 0, out)
        self.assertIn("2 packets received", out)

        virsh("shutdown", "traveller")
        console.expect("GUEST-POWERBUTTON", 20)
        self.events.wait("traveller", libvirt.VIR_DOMAIN_EVENT_SHUTDOWN)
        self.events.wait("traveller", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
        self.assertEqual(virsh("domstate", "traveller", "--reason").out.strip(), "shut off (shutdown)")
        virsh("undefine", "traveller")
        self.events.wait("traveller", libvirt.VIR_DOMAIN_EVENT_UNDEFINED, libvirt.VIR_DOMAIN_EVENT_UNDEFINED_REMOVED)
        self.assertFalse(os.path.exists("/etc/libvirt/qemu/traveller.xml"))

    def test_suspend_and_resume(self):
        virsh("create", self.define("sleeper"))
        console = self.console("sleeper")
        console.expect("GUEST-TICK")
        virsh("suspend", "sleeper")
        self.events.wait("sleeper", libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)
        self.assertEqual(virsh("domstate", "sleeper", "--reason").out.strip(), "paused (user)")
        while console.pump(0.3) and "GUEST-TICK" in console.text[console.taken :]:
            console.taken = len(console.text)
        console.pump(1.5)
        self.assertNotIn("GUEST-TICK", console.text[console.taken :])
        virsh("resume", "sleeper")
        self.events.wait("sleeper", libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)
        console.expect("GUEST-TICK")
        self.assertEqual(virsh("domstate", "sleeper").out.strip(), "running")

    def test_reset_boots_again_in_the_same_process(self):
        virsh("create", self.define("phoenix"))
        pid = world.qemu_pid("phoenix")
        console = self.console("phoenix")
        console.expect("GUEST-TICK 2")
        virsh("reset", "phoenix")
        console.expect("GUEST-UP")
        self.assertEqual(world.qemu_pid("phoenix"), pid)
        wait_for(lambda: "phoenix" in self.events.reboots, what="the reboot event")

    def test_guest_reboots_itself(self):
        virsh("create", self.define("rebooter"))
        number = virsh("domid", "rebooter").out
        console = self.console("rebooter")
        console.expect("GUEST-TICK 2")
        console.send("reboot -f\n")
        console.expect("GUEST-UP")
        self.assertEqual(virsh("domid", "rebooter").out, number)
        wait_for(lambda: "rebooter" in self.events.reboots, what="the reboot event")

    def test_reboot_as_asked_from_outside(self):
        virsh("create", self.define("again"))
        console = self.console("again")
        console.expect("GUEST-TICK 2")
        virsh("reboot", "again", "--mode", "acpi")
        console.expect("GUEST-POWERBUTTON", 20)  # the guest's power-off is turned into a reset
        console.expect("GUEST-UP", 30)
        self.assertEqual(virsh("domstate", "again").out.strip(), "running")

    def test_guest_powers_itself_off_and_a_transient_one_is_gone(self):
        virsh("create", self.define("shortlived"))
        console = self.console("shortlived")
        console.expect("GUEST-TICK 2")
        console.send("poweroff -f\n")
        self.events.wait("shortlived", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
        wait_for(lambda: virsh("domstate", "shortlived", check=False).rc == 1, 5, "the transient guest to be gone")

    def test_destroy(self):
        virsh("define", self.define("victim"))
        virsh("start", "victim")
        pid = world.qemu_pid("victim")
        self.assertIn("Domain 'victim' destroyed", virsh("destroy", "victim").out)
        self.assertFalse(world.alive(pid))
        self.events.wait("victim", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
        self.assertEqual(virsh("domstate", "victim", "--reason").out.strip(), "shut off (destroyed)")
        failed = virsh("destroy", "victim", check=False)
        self.assertEqual(failed.rc, 1)
        self.assertIn("error: Requested operation is not valid: domain is not running", failed.err)
        virsh("start", "victim")
        virsh("destroy", "victim", "--graceful")
        self.assertEqual(virsh("domstate", "victim").out.strip(), "shut off")
        self.assertFalse(os.path.exists("/run/libvirt/qemu/victim.pid"))
        self.assertFalse(os.path.exists("/run/libvirt/qemu/victim.xml"))

    def test_a_killed_qemu_is_a_crash(self):
        virsh("define", self.define("unlucky"))
        virsh("start", "unlucky")
        os.kill(world.qemu_pid("unlucky"), 9)
        self.events.wait("unlucky", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED)
        self.assertEqual(virsh("domstate", "unlucky", "--reason").out.strip(), "shut off (crashed)")

    def test_autostart(self):
        virsh("define", self.define("early"))
        self.assertIn("Domain 'early' marked as autostarted", virsh("autostart", "early").out)
        self.assertEqual(os.readlink("/etc/libvirt/qemu/autostart/early.xml"), "/etc/libvirt/qemu/early.xml")
        self.assertRegex(virsh("dominfo", "early").out, r"(?m)^Autostart: +enable$")
        self.assertIn("early", virsh("list", "--all", "--autostart", "--name").out)
        virsh("autostart", "early", "--disable")
        self.assertFalse(os.path.lexists("/etc/libvirt/qemu/autostart/early.xml"))

    def test_managed_edit(self):
        virsh("define", self.define("editable"))
        editor = "/run/tmp/editor"
        with open(editor, "w") as f:
            f.write("#!/bin/sh\nsed -i 's/196608/262144/' \"$1\"\n")
        os.chmod(editor, 0o755)
        done = world.run("virsh", "-c", world.URI, "edit", "editable", env=dict(os.environ, EDITOR=editor))
        self.assertIn("Domain 'editable' XML configuration edited.", done.out)
        self.assertRegex(virsh("dominfo", "editable").out, r"Max memory: +262144 KiB")
        with open("/etc/libvirt/qemu/editable.xml") as f:
            self.assertIn("<memory unit='KiB'>262144</memory>", f.read())

    def test_a_transient_guest_becomes_persistent_and_back(self):
        path = self.define("changeling")
        self.assertIn(f"Domain 'changeling' created from {path}", virsh("create", path).out)
        self.assertRegex(virsh("dominfo", "changeling").out, r"(?m)^Persistent: +no$")
        self.assertFalse(os.path.exists("/etc/libvirt/qemu/changeling.xml"))
        number = virsh("domid", "changeling").out
        xml = virsh("dumpxml", "changeling", "--inactive").out
        with open(path, "w") as f:
            f.write(xml)
        virsh("define", path)
        self.assertRegex(virsh("dominfo", "changeling").out, r"(?m)^Persistent: +yes$")
        self.assertEqual(virsh("domid", "changeling").out, number)
        virsh("undefine", "changeling")
        self.assertEqual(virsh("domstate", "changeling").out.strip(), "running")
        virsh("destroy", "changeling")
        self.assertEqual(virsh("domstate", "changeling", check=False).rc, 1)

    def test_live_and_inactive_documents(self):
        virsh("define", self.define("twofold"))
        inactive = virsh("dumpxml", "twofold").out
        self.assertNotIn(" id=", inactive.splitlines()[0])
        virsh("start", "twofold")
        live = virsh("dumpxml", "twofold").out
        self.assertRegex(live.splitlines()[0], r"<domain type='qemu' id='\d+'>")
        self.assertRegex(live, r"<target dev='vnet\d+'/>")
        self.assertRegex(live, r"<source path='/dev/pts/\d+'/>")
        self.assertRegex(live, r"<source network='default' portid='[-0-9a-f]+' bridge='virbr0'/>")
        self.assertEqual(virsh("dumpxml", "twofold", "--inactive").out, inactive)
        self.assertRegex(virsh("vncdisplay", "twofold", check=False).err + "-", "-")
        self.assertRegex(virsh("ttyconsole", "twofold").out.strip(), r"^/dev/pts/\d+$")
        self.assertRegex(virsh("domiflist", "twofold").out, r"(?m)^ vnet\d+ +network +default +virtio +52:54:00:")

    def test_console_is_exclusive_unless_forced(self):
        virsh("create", self.define("contested"))
        first = self.console("contested")
        first.expect("GUEST-UP")
        second = world.Console("contested")
        self.addCleanup(second.close)
        second.expect("Active console session exists for this domain")
        third = self.console("contested", "--force")
        third.expect("GUEST-TICK")

    def test_many_guests_at_once(self):
        names = [f"many{i}" for i in range(4)]
        for name in names:
            virsh("define", self.define(name, memory=128))
        for name in names:
            virsh("start", name)
        macs = [re.search(r"mac address='([^']+)'", virsh("dumpxml", n).out).group(1) for n in names]
        wait_for(lambda: len({world.leases().get(m) for m in macs} - {None}) == 4, 60, "four leases")

    def test_screenshot(self):
        virsh("create", self.define("painter", devices="<graphics type='vnc' port='-1'/><video><model type='vga'/></video>"))
        time.sleep(0.5)
        virsh("screenshot", "painter", "/run/tmp/shot")
        with open("/run/tmp/shot", "rb") as f:
            self.assertIn(f.read(2), (b"P6", b"\x89P"))


if __name__ == "__main__":
    world.main()
