#!/usr/bin/python3
"""Guests that come up with the host: which, once per boot, in which order; and libvirt-guests, which takes them down."""

import contextlib
import os
import subprocess

import libvirt
import world
from world import virsh, wait_for

DONE = "/run/libvirt/qemu/autostarted"
SCRIPT = "/usr/lib/libvirt/libvirt-guests.sh"
DEFAULTS = "/etc/default/libvirt-guests"


def begun(name):
    """When its QEMU was started, in seconds."""
    with open(f"/proc/{world.qemu_pid(name)}/stat") as f:
        return int(f.read().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")


class Autostart(world.Case):
    def define(self, name, order=None, delay=None, **more):
        wish = ""
        if order is not None:
            wish = f"<metadata><lodge:autostart xmlns:lodge='urn:lodge:autostart' order='{order}' delay='{delay or 0}'/></metadata>"
        self.connect().defineXML(world.bare_xml(name, extra=wish, **more))
        virsh("autostart", name)

    def boot(self):
        """The host comes up: nothing of the last time is in /run."""
        world.daemon.stop()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(DONE)
        world.daemon.start()

    def running(self):
        return set(virsh("list", "--name", "--state-running").out.split())

    def test_once_per_boot(self):
        self.define("early")
        self.connect().defineXML(world.bare_xml("never"))
        self.boot()
        wait_for(lambda: self.running() == {"early"}, what="one guest")
        virsh("destroy", "early")
        world.daemon.restart()
        self.assertEqual(self.running(), set())

    def test_from_a_managed_save(self):
        self.define("kept")
        virsh("start", "kept")
        virsh("managedsave", "kept")
        self.boot()
        wait_for(lambda: self.running() == {"kept"}, what="the saved guest")
        self.assertEqual(virsh("domstate", "kept", "--reason").out.strip(), "running (restored)")

    @world.only_lodge
    def test_in_order(self):
        self.define("last", order=20)
        self.define("first", order=-5, delay=2)
        self.define("plain")
        self.define("broken", order=10, devices="<disk type='file'><source file='/nowhere/x'/><target dev='vda' bus='virtio'/></disk>")
        self.boot()
        wait_for(lambda: self.running() == {"first", "plain", "last"}, what="three guests")
        ids = {name: int(virsh("domid", name).out) for name in self.running()}
        self.assertEqual(sorted(ids, key=ids.get), ["first", "plain", "last"])
        self.assertGreaterEqual(begun("plain") - begun("first"), 1.9)

    @world.only_lodge
    def test_a_wish_that_nobody_can_read(self):
        self.connect().defineXML(world.bare_xml("odd", extra="<metadata><l:autostart xmlns:l='urn:lodge:autostart' order='soon'/></metadata>"))
        virsh("autostart", "odd")
        self.boot()
        wait_for(lambda: self.running() == {"odd"}, what="the guest all the same")


class LibvirtGuests(world.Case):
    """Debian's script that suspends or shuts down guests when the host goes down."""

    def script(self, *args, **settings):
        values = {"URIS": "default", "ON_BOOT": "start", "ON_SHUTDOWN": "suspend", "SHUTDOWN_TIMEOUT": 300, "PARALLEL_SHUTDOWN": 0} | settings
        os.makedirs(os.path.dirname(DEFAULTS), exist_ok=True)
        with open(DEFAULTS, "w") as f:
            f.writelines(f"{key}={value}\n" for key, value in values.items())
        for folder in ("/var/lock/subsys", "/var/lib/libvirt"):
            os.makedirs(folder, exist_ok=True)
        done = subprocess.run([SCRIPT, *args], capture_output=True, text=True, timeout=600, env=dict(os.environ, LIBVIRT_DEFAULT_URI=world.URI))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_suspend_and_start(self):
        for name in ("one", "two"):
            self.connect().defineXML(world.bare_xml(name))
            virsh("start", name)
        self.script("start")
        said = self.script("stop")
        self.assertIn("one", said)
        self.assertEqual(virsh("list", "--name").out.split(), [])
        self.assertRegex(virsh("dominfo", "one").out, r"Managed save: +yes")
        self.script("start")
        self.assertEqual(set(virsh("list", "--name").out.split()), {"one", "two"})
        self.assertEqual(virsh("domstate", "two", "--reason").out.strip(), "running (restored)")

    def test_shut_down_many_at_once(self):
        names = ("left", "right")
        world.default_network()
        for name in names:
            self.connect().defineXML(world.guest_xml(name))
            virsh("start", name)
        for name in names:
            console = world.Console(name)
            console.expect("GUEST-TICK")
            console.close()
        self.script("start")
        self.script("stop", ON_SHUTDOWN="shutdown", PARALLEL_SHUTDOWN=2)
        self.assertEqual(virsh("list", "--name").out.split(), [])
        for name in names:
            self.assertEqual(virsh("domstate", name, "--reason").out.strip(), "shut off (shutdown)")
        self.script("start", ON_SHUTDOWN="shutdown")
        self.assertEqual(set(virsh("list", "--name").out.split()), set(names))


if __name__ == "__main__":
    world.main()
