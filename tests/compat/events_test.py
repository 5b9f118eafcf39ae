#!/usr/bin/python3
"""What happens to a guest is told in libvirt's words and order: every kind of event, heard by one client that wants them all.

The guests are boot sectors: a few bytes that do one thing to their machine (panic, reset, write a clock, let a watchdog bark)."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import threading
import time
import xml.etree.ElementTree as ET

import libvirt
import libvirt_qemu
import world
from world import virsh, wait_for

# Parts of programs for the first sector of a disk.
IDLE = b"\xfa\xf4\xeb\xfd"  # stop taking interrupts and wait


def out(port, value):
    return b"\xba" + struct.pack("<H", port) + b"\xb0" + bytes([value]) + b"\xee"


def out16(port, value):
    return b"\xba" + struct.pack("<H", port) + b"\xb8" + struct.pack("<H", value) + b"\xef"


PANIC = out(0x505, 1)
RESET = out(0xCF9, 6)
POWER_OFF = out16(0x604, 0x2000)
SET_CLOCK = out(0x70, 4) + out(0x71, 0x03)  # the hour
BARK = out(0x443, 0x0F)  # the ib700's shortest time
# BIOS: write one sector from 7c00 to cylinder 1 of the first disk.
WRITE = b"\xb8\x01\x03\xb9\x01\x01\xba\x80\x00\xbb\x00\x7c\xcd\x13"
# Reset once only: the second boot finds a byte in the clock's memory.
RESET_ONCE = out(0x70, 0x38) + b"\xe4\x71\x3c\x5a\x74" + bytes([len(out(0x70, 0x38) + out(0x71, 0x5A) + RESET)]) + out(0x70, 0x38) + out(0x71, 0x5A) + RESET


def boot_disk(name, program, size=1 << 20):
    path = f"{world.IMAGES}/{name}.img"
    with open(path, "wb") as f:
        f.write((program + IDLE).ljust(510, b"\0") + b"\x55\xaa")
        f.truncate(size)
    os.chmod(path, 0o666)
    return path


def disk_xml(path, more=""):
    return (f"<disk type='file' device='disk'><driver name='qemu' type='raw' {more}/><source file='{path}'/>"
            "<target dev='vda' bus='virtio'/></disk>")


NAMES = {getattr(libvirt, n): n[len("VIR_DOMAIN_EVENT_ID_"):].lower() for n in dir(libvirt)
         if n.startswith("VIR_DOMAIN_EVENT_ID_") and n != "VIR_DOMAIN_EVENT_ID_LAST"}
LIFECYCLE = ["defined", "undefined", "started", "suspended", "resumed", "stopped", "shutdown", "pmsuspended", "crashed"]


class Everything(threading.Thread):
    """All events of a connection, in order: ("lifecycle", "started", 0), ("reboot",), …"""

    def __init__(self, conn, dom=None):
        super().__init__(daemon=True)
        self.seen = []
        self.conn = conn
        self.ending = False
        self.ids = []
        for number, name in NAMES.items():
            with contextlib.suppress(libvirt.libvirtError):
                self.ids.append(conn.domainEventRegisterAny(dom, number, self.handler(number), name))
        self.start()

    def handler(self, number):
        if number == libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE:
            return lambda _c, dom, event, detail, _o: self.seen.append((dom.name(), "lifecycle", LIFECYCLE[event], detail))
        return lambda _c, dom, *rest: self.seen.append((dom.name(), rest[-1], *(repr(r) for r in rest[:-1])))

    def of(self, name, *kinds):
        return [e[1:] for e in self.seen if e[0] == name and (not kinds or e[1] in kinds)]

    def lifecycle(self, name):
        return [e[2:] for e in self.seen if e[0] == name and e[1] == "lifecycle"]

    def run(self):
        timer = libvirt.virEventAddTimeout(50, lambda *_: None, None)
        while not self.ending:
            libvirt.virEventRunDefaultImpl()
        libvirt.virEventRemoveTimeout(timer)

    def close(self):
        self.ending = True
        self.join(5)
        for number in self.ids:
            with contextlib.suppress(libvirt.libvirtError):
                self.conn.domainEventDeregisterAny(number)


class EventsTest(world.Case):
    @classmethod
    def setUpClass(cls):
        libvirt.virEventRegisterDefaultImpl()
        super().setUpClass()

    def setUp(self):
        self.conn = self.connect()
        self.events = Everything(self.conn)
        self.addCleanup(self.events.close)

    def define(self, name, program=b"", devices="", extra="", **more):
        path = boot_disk(name, program)
        self.addCleanup(os.unlink, path)
        self.conn.defineXML(world.bare_xml(name, devices=disk_xml(path) + devices, extra=extra, **more))
        return self.conn.lookupByName(name)

    def expect(self, name, lifecycle):
        """Exactly these lifecycle events, once the last of them has come. Of a panic the peer may tell the stop first: two threads race."""
        wait_for(lambda: self.events.lifecycle(name)[-1:] == lifecycle[-1:] and len(self.events.lifecycle(name)) >= len(lifecycle),
                 what=lambda: f"{lifecycle[-1]}; seen {self.events.of(name)}")
        seen = self.events.lifecycle(name)
        if not world.IS_LODGE and ("crashed", 0) in seen:
            seen = [event for place, event in enumerate(seen) if event != ("suspended", 0) or seen[place + 1] != ("crashed", 0)]
        self.assertEqual(seen, lifecycle)

    def heard(self, name, *event):
        def found():
            return any(e[: len(event)] == event for e in self.events.of(name))

        wait_for(found, what=lambda: f"{event}; seen {self.events.of(name)}")

    def test_a_life(self):
        dom = self.define("life")
        self.conn.defineXML(dom.XMLDesc().replace("<memory", "<title>again</title><memory", 1))
        dom.create()
        dom.suspend()
        dom.resume()
        dom.destroy()
        dom.undefine()
        self.expect("life", [("defined", 0), ("defined", 1), ("resumed", 0), ("started", 0), ("suspended", 0), ("resumed", 0),
                             ("shutdown", 2), ("stopped", 1), ("undefined", 0)])

    def test_started_paused_and_renamed(self):
        dom = self.define("first")
        dom.rename("second")
        dom = self.conn.lookupByName("second")
        dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        dom.resume()
        dom.destroy()
        self.expect("first", [("defined", 0), ("undefined", 1)])
        self.expect("second", [("defined", 2), ("started", 0), ("suspended", 0), ("resumed", 0), ("shutdown", 2),
                               ("stopped", 1)])

    def test_save_and_restore(self):
        dom = self.define("saved")
        dom.create()
        dom.save("/run/tmp/saved.save")
        self.conn.restore("/run/tmp/saved.save")
        dom = self.conn.lookupByName("saved")
        dom.managedSave()
        dom.create()
        self.expect("saved", [("defined", 0), ("resumed", 0), ("started", 0), ("suspended", 0), ("stopped", 4), ("started", 2),
                              ("resumed", 2), ("suspended", 0), ("stopped", 4), ("started", 2), ("resumed", 2)])
        self.assertEqual(self.events.of("saved", "migration_iteration")[:1], [("migration_iteration", "1")])

    def test_a_start_that_fails(self):
        dom = self.define("failing")
        os.rename(f"{world.IMAGES}/failing.img", f"{world.IMAGES}/failing.away")
        with contextlib.suppress(libvirt.libvirtError):
            dom.create()
        os.rename(f"{world.IMAGES}/failing.away", f"{world.IMAGES}/failing.img")
        dom.create()
        self.expect("failing", [("defined", 0), ("resumed", 0), ("started", 0)])

    def test_a_guest_that_powers_off(self):
        dom = self.define("off", POWER_OFF, extra="<features><acpi/></features>")
        dom.create()
        self.expect("off", [("defined", 0), ("resumed", 0), ("started", 0), ("shutdown", 1), ("stopped", 0)])

    def test_a_guest_that_reboots(self):
        dom = self.define("reboot", RESET_ONCE)
        dom.create()
        self.heard("reboot", "reboot")
        self.expect("reboot", [("defined", 0), ("resumed", 0), ("started", 0)])

    def test_a_reboot_that_is_an_end(self):
        dom = self.define("ending", RESET_ONCE, extra="<on_reboot>destroy</on_reboot>")
        dom.create()
        wait_for(lambda: not dom.isActive(), what="its end")
        self.expect("ending", [("defined", 0), ("resumed", 0), ("started", 0), ("shutdown", 1), ("stopped", 0)])

    def test_a_panic_that_ends_the_guest(self):
        dom = self.define("panic", PANIC, "<panic model='isa'/>", "<on_crash>destroy</on_crash>")
        dom.create()
        self.expect("panic", [("defined", 0), ("resumed", 0), ("started", 0), ("crashed", 0), ("stopped", 2)])
        self.assertEqual(dom.state(), [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED])

    def test_a_panic_that_starts_the_guest_again(self):
        once = out(0x70, 0x38) + b"\xe4\x71\x3c\x5a\x74" + bytes([len(out(0x70, 0x38) + out(0x71, 0x5A) + PANIC)]) + out(0x70, 0x38) + out(0x71, 0x5A) + PANIC
        dom = self.define("again", once, "<panic model='isa'/>", "<on_crash>restart</on_crash>")
        dom.create()
        self.expect("again", [("defined", 0), ("resumed", 0), ("started", 0), ("crashed", 0), ("resumed", 0)])
        self.assertEqual(dom.state(), [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_CRASHED])
        dom.destroy()

    def test_a_panic_that_is_kept_to_look_at(self):
        dom = self.define("kept", PANIC, "<panic model='isa'/>", "<on_crash>preserve</on_crash>")
        dom.create()
        self.expect("kept", [("defined", 0), ("resumed", 0), ("started", 0), ("crashed", 0)])
        self.assertEqual(dom.state(), [libvirt.VIR_DOMAIN_CRASHED, libvirt.VIR_DOMAIN_CRASHED_PANICKED])
        dom.destroy()

    def test_what_an_end_is_called_by(self):
        """Where the guest ended by itself the event has its number still; where somebody ended it, no more."""
        numbers = []
        conn = self.connect()
        mine = conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                           lambda _c, dom, event, _d, _o: numbers.append(dom.ID()) if event == 5 else None, None)
        self.addCleanup(conn.domainEventDeregisterAny, mine)
        dom = self.define("ends")
        dom.create()
        dom.destroy()
        wait_for(lambda: len(numbers) == 1, what="the first end")
        dom.create()
        number = dom.ID()
        os.kill(world.qemu_pid("ends"), 9)
        wait_for(lambda: len(numbers) == 2, what="the second end")
        self.assertEqual(numbers, [-1, number])

    def test_an_agent_that_is_not_there_yet(self):
        channel = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
        dom = self.define("mute", devices=channel)
        dom.create()
        self.heard("mute", "lifecycle", "started", 0)
        state = libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_DISCONNECTED
        reason = libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_DOMAIN_STARTED
        self.assertEqual(self.events.of("mute", "agent_lifecycle"), [("agent_lifecycle", str(state), str(reason))])
        dom.destroy()

    def test_a_panic_that_is_dumped(self):
        folder = "/var/lib/libvirt/qemu/dump"
        dom = self.define("fallen", PANIC, "<panic model='isa'/>", "<on_crash>coredump-destroy</on_crash>")
        dom.create()
        number = dom.ID()
        self.expect("fallen", [("defined", 0), ("resumed", 0), ("started", 0), ("crashed", 0), ("stopped", 2)])
        (dump,) = [name for name in os.listdir(folder) if name.startswith(f"{number}-fallen-")]
        with open(f"{folder}/{dump}", "rb") as file:
            self.assertEqual(file.read(4), b"\x7fELF")

    def test_a_panic_without_room_for_its_dump(self):
        """The guest is kept: it is all that there is to look at."""
        folder = "/var/lib/libvirt/qemu/dump"
        world.run("mount", "-t", "tmpfs", "-o", "size=4k", "none", folder)
        self.addCleanup(world.run, "umount", folder)
        dom = self.define("stuck", PANIC, "<panic model='isa'/>", "<on_crash>coredump-restart</on_crash>")
        dom.create()
        self.heard("stuck", "lifecycle", "crashed", 0)
        time.sleep(1)
        self.assertEqual(dom.state(), [libvirt.VIR_DOMAIN_CRASHED, libvirt.VIR_DOMAIN_CRASHED_PANICKED])
        self.assertEqual(os.listdir(folder), [])
        dom.destroy()

    def test_a_watchdog_that_has_the_guest_dumped(self):
        folder = "/var/lib/libvirt/qemu/dump"
        dom = self.define("bitten", BARK, "<watchdog model='ib700' action='dump'/>")
        dom.create()
        self.heard("bitten", "watchdog", "1")
        self.expect("bitten", [("defined", 0), ("resumed", 0), ("started", 0), ("suspended", 3), ("resumed", 0)])
        self.assertEqual(len([name for name in os.listdir(folder) if name.startswith(f"{dom.ID()}-bitten-")]), 1)
        self.assertEqual(dom.state(), [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_UNPAUSED])
        dom.destroy()

    def test_a_killed_machine(self):
        dom = self.define("killed")
        dom.create()
        os.kill(world.qemu_pid("killed"), signal.SIGTERM)
        self.expect("killed", [("defined", 0), ("resumed", 0), ("started", 0), ("shutdown", 2), ("stopped", 0)])
        self.events.seen.clear()
        dom.create()
        os.kill(world.qemu_pid("killed"), signal.SIGKILL)
        self.expect("killed", [("resumed", 0), ("started", 0), ("stopped", 5)])
        self.assertEqual(dom.state(), [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED])

    def test_a_watchdog_that_barks(self):
        dom = self.define("dog", BARK, "<watchdog model='ib700' action='pause'/>")
        dom.create()
        self.heard("dog", "watchdog", "1")
        self.expect("dog", [("defined", 0), ("resumed", 0), ("started", 0), ("suspended", 3)])
        self.assertEqual(dom.state(), [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_WATCHDOG])

    def test_a_clock_that_is_set(self):
        dom = self.define("clock", SET_CLOCK)
        dom.create()
        self.heard("clock", "rtc_change")

    def test_a_clock_that_varies_goes_on_where_it_was_set(self):
        dom = self.define("varying", SET_CLOCK, extra="<clock offset='variable' adjustment='123456' basis='utc'/>")
        dom.create()
        self.heard("varying", "rtc_change")

        def adjustment(flags=0):
            return ET.fromstring(dom.XMLDesc(flags)).find("clock").get("adjustment")

        told = next(event[1] for event in self.events.of("varying", "rtc_change"))
        wait_for(lambda: adjustment() == told, what=lambda: f"the clock of the guest says {told}, not {adjustment()}")
        # The guest set the hour alone: a day is the most that this can be.
        self.assertLess(abs(int(told) - 123456), 86400)
        self.assertEqual(adjustment(libvirt.VIR_DOMAIN_XML_INACTIVE), "123456")

    def test_a_power_off_that_is_a_restart(self):
        program = RESET_ONCE.replace(RESET, POWER_OFF).replace(bytes([len(out(0x70, 0x38) + out(0x71, 0x5A) + RESET)]),
                                                               bytes([len(out(0x70, 0x38) + out(0x71, 0x5A) + POWER_OFF)]))
        dom = self.define("returning", program, extra="<features><acpi/></features><on_poweroff>restart</on_poweroff>")
        told = []
        number = libvirt_qemu.qemuMonitorEventRegister(self.events.conn, None, None, lambda _conn, _dom, event, *_more: told.append(event), None)
        self.addCleanup(libvirt_qemu.qemuMonitorEventDeregister, self.events.conn, number)
        dom.create()
        wait_for(lambda: "SHUTDOWN" in told and "RESUME" in told[told.index("SHUTDOWN"):], what=lambda: f"its second boot; seen {told}")
        self.assertEqual(dom.state()[0], libvirt.VIR_DOMAIN_RUNNING)
        dom.destroy()
        self.expect("returning", [("defined", 0), ("resumed", 0), ("started", 0), ("stopped", 1)])

    def test_a_full_disk(self):
        os.makedirs("/run/full", exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0777", "none", "/run/full"], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", "/run/full"])
        path = boot_disk("io", WRITE, 64 << 20)
        self.addCleanup(os.unlink, path)
        subprocess.run(["cp", "--sparse=always", path, "/run/full/io.img"], check=True)
        os.chmod("/run/full/io.img", 0o666)
        with contextlib.suppress(OSError), open("/run/full/rest", "wb", buffering=0) as rest:
            while True:
                rest.write(b"x" * 4096)
        self.conn.defineXML(world.bare_xml("io", devices=disk_xml("/run/full/io.img", "error_policy='enospace' cache='writethrough'")))
        dom = self.conn.lookupByName("io")
        dom.create()
        self.heard("io", "io_error", "'/run/full/io.img'", "'virtio-disk0'", "1")
        self.heard("io", "io_error_reason", "'/run/full/io.img'", "'virtio-disk0'", "1", "'enospc'")
        self.expect("io", [("defined", 0), ("resumed", 0), ("started", 0), ("suspended", 2)])
        self.assertEqual(dom.state(), [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR])
        self.assertEqual(dom.diskErrors(), {"vda": libvirt.VIR_DOMAIN_DISK_ERROR_NO_SPACE})
        dom.destroy()

    def test_a_tray(self):
        iso = boot_disk("medium", b"")
        self.addCleanup(os.unlink, iso)
        dom = self.define("tray", devices=f"<disk type='file' device='cdrom'><source file='{iso}'/><target dev='hdc' bus='ide'/><readonly/></disk>")
        dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED) # firmware that resets the bus closes a tray again
        virsh("change-media", "tray", "hdc", "--eject")
        virsh("change-media", "tray", "hdc", iso, "--insert")
        wait_for(lambda: len(self.events.of("tray", "tray_change")) >= 2, what="two movements")
        self.assertEqual(self.events.of("tray", "tray_change")[:2], [("tray_change", "'ide0-1-0'", "0"), ("tray_change", "'ide0-1-0'", "1")])

    def test_a_tray_that_a_reset_closes(self):
        iso = boot_disk("medium", b"")
        self.addCleanup(os.unlink, iso)
        drive = "<disk type='file' device='cdrom'>{}<target dev='hdc' bus='ide'/><readonly/></disk>"
        dom = self.define("reset", devices=drive.format(f"<source file='{iso}'/>"))
        dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        virsh("qemu-monitor-command", "reset", '{"execute": "blockdev-open-tray", "arguments": {"id": "ide0-1-0"}}')
        self.heard("reset", "tray_change", "'ide0-1-0'", "0")
        dom.reset()  # QEMU tells nobody that the tray is closed now
        dom.updateDeviceFlags(drive.format(""))
        self.assertNotIn(iso, dom.XMLDesc())

    def test_a_medium_that_is_missing(self):
        dom = self.define("optional", devices="<disk type='file' device='cdrom'><source file='/nowhere/x.iso' startupPolicy='optional'/>"
                                              "<target dev='hdc' bus='ide'/><readonly/></disk>")
        dom.create()
        self.heard("optional", "disk_change", "'/nowhere/x.iso'", "None", "'ide0-1-0'", "0")

    def test_metadata(self):
        dom = self.define("noted")
        dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "t", None, None, 0)
        dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<x/>", "k", "urn:x", 0)
        wait_for(lambda: len(self.events.of("noted", "metadata_change")) == 2)
        self.assertEqual(self.events.of("noted", "metadata_change"), [("metadata_change", "1", "None"), ("metadata_change", "2", "'urn:x'")])

    def test_devices_come_and_go(self):
        dom = self.define("devices", devices="<controller type='usb' model='nec-xhci'/>")
        dom.create()
        # USB devices go without the guest's consent.
        dom.attachDevice("<input type='tablet' bus='usb'><alias name='ua-pen'/></input>")
        self.heard("devices", "device_added", "'ua-pen'")
        dom.detachDeviceAlias("ua-pen")
        self.heard("devices", "device_removed", "'ua-pen'")

    def test_jobs_that_complete(self):
        dom = self.define("job")
        dom.create()
        dom.save("/run/tmp/job.save")
        wait_for(lambda: self.events.of("job", "job_completed"), what="the job's end")

    def test_a_snapshot_inside_the_image(self):
        path = f"{world.IMAGES}/snap.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
        os.chmod(path, 0o666)
        self.addCleanup(os.unlink, path)
        self.conn.defineXML(world.bare_xml("snap", devices=disk_xml(path).replace("type='raw'", "type='qcow2'")))
        dom = self.conn.lookupByName("snap")
        dom.create()
        snapshot = dom.snapshotCreateXML("<domainsnapshot><name>s</name></domainsnapshot>")
        dom.revertToSnapshot(snapshot)
        dom.destroy()
        snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        self.expect("snap", [("defined", 0), ("resumed", 0), ("started", 0), ("suspended", 0), ("resumed", 0), ("stopped", 6),
                             ("started", 3), ("resumed", 2), ("defined", 3), ("shutdown", 2), ("stopped", 1)])

    def test_one_guest_only(self):
        one, other = self.define("one"), self.define("other")
        mine = []
        number = self.conn.domainEventRegisterAny(one, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lambda _c, dom, *_: mine.append(dom.name()), None)
        other.create()
        one.create()
        wait_for(lambda: len(mine) >= 2 and len(self.events.lifecycle("one")) >= 3)
        self.conn.domainEventDeregisterAny(number)
        one.destroy()
        self.expect("one", [("defined", 0), ("resumed", 0), ("started", 0), ("shutdown", 2), ("stopped", 1)])
        self.assertEqual(mine, ["one", "one"])

    def test_a_guest_that_goes_with_its_client(self):
        client = libvirt.open(world.URI)
        path = boot_disk("auto", b"")
        self.addCleanup(os.unlink, path)
        client.createXML(world.bare_xml("auto", devices=disk_xml(path)), libvirt.VIR_DOMAIN_START_AUTODESTROY)
        client.close()
        self.expect("auto", [("resumed", 0), ("started", 0), ("shutdown", 2), ("stopped", 1)])
        wait_for(lambda: virsh("domstate", "auto", check=False).rc == 1)

    def test_a_subscriber_that_does_not_read(self):
        dom = self.define("busy")
        deaf = self.connect_deaf()
        done = threading.Event()

        def chatter():
            for number in range(40):
                dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, f"<x>{number}</x>", "k", "urn:" + "x" * 200_000, 0)
            done.set()

        worker = threading.Thread(target=chatter)
        worker.start()
        self.assertTrue(done.wait(120 * world.PATIENCE), "nobody waits for who does not read")
        worker.join()
        wait_for(lambda: len(self.events.of("busy", "metadata_change")) >= 40, 60, "all that the reading one is told")
        deaf.close()

    def connect_deaf(self):
        """A client of its own process that subscribes to everything and stops."""
        code = ("import libvirt,os,signal\nlibvirt.virEventRegisterDefaultImpl()\nc=libvirt.open()\n"
                "c.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, lambda *a: None, None)\n"
                "print('ready', flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)\n")
        child = subprocess.Popen(["/usr/bin/python3", "-c", code], stdout=subprocess.PIPE, env=dict(os.environ, LIBVIRT_DEFAULT_URI=world.URI))
        child.stdout.readline()

        class Handle:
            @staticmethod
            def close():
                child.kill()
                child.wait()
                child.stdout.close()

        self.addCleanup(Handle.close)
        return Handle


if __name__ == "__main__":
    world.main()
