#!/usr/bin/python3
"""Save, restore, managed save, images' documents and core dumps of real guests."""

import contextlib
import os
import select
import shutil
import signal
import struct
import subprocess
import threading
import unittest

import libvirt

import world
from world import virsh

SAVES = "/var/lib/libvirt/qemu/save"
IMAGE = "/var/lib/libvirt/keeper.save"


def header(path):
    """(magic, room, was_running, format, cookie offset) of a save image."""
    with open(path, "rb") as f:
        data = f.read(92)
    return (data[:16].decode(), *struct.unpack("=4I", data[20:36]))


class SlowPipe:
    """A pipe to save into whose reader takes the head of the image and then stops, so that the save stays under way."""

    path = "/run/tmp/slow"

    def __init__(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        os.mkfifo(self.path)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def wait_for_head(self):
        head = b""
        end = None
        while end is None or len(head) < end:
            select.select([self.fd], [], [], 20)
            with contextlib.suppress(BlockingIOError):
                head += os.read(self.fd, 4096 if end is None else min(4096, end - len(head)))
            if len(head) >= 92:
                end = 92 + struct.unpack("=I", head[20:24])[0]
        return head

    def drain(self):
        """All the rest, until nobody writes any more."""
        rest = b""
        while self.fd >= 0:
            select.select([self.fd], [], [], 20)
            try:
                part = os.read(self.fd, 1 << 20)
            except BlockingIOError:
                continue
            rest = (rest + part)[:4096]
            if not part:
                os.close(self.fd)
                self.fd = -1
        return rest


class Guest(world.Case):
    def setUp(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(IMAGE)
        self.conn = self.connect()

    def tearDown(self):
        with contextlib.closing(libvirt.open(world.URI)) as conn:
            for dom in conn.listAllDomains():
                with contextlib.suppress(libvirt.libvirtError):
                    dom.managedSaveRemove()
        super().tearDown()

    def boot(self, name="keeper", persistent=True, **more):
        """A running guest with a file in its RAM disk."""
        path = f"/run/tmp/{name}.xml"
        with open(path, "w") as f:
            f.write(world.guest_xml(name, nics=0, memory=128, **more))
        virsh(*(("define", path) if persistent else ("create", path)))
        if persistent:
            virsh("start", name)
        console = world.Console(name)
        self.addCleanup(console.close)
        console.expect("GUEST-TICK 2", 120)
        console.shell("echo treasure > /tmp/kept", 60)
        return console

    def start(self, persistent=True):
        """A machine that boots nothing: cheap where only the daemon is looked at."""
        document = world.bare_xml("keeper", memory=64)
        if persistent:
            self.conn.defineXML(document).create()
        else:
            self.conn.createXML(document)

    def check_kept(self, name="keeper"):
        console = world.Console(name, "--force")
        self.addCleanup(console.close)
        console.expect("GUEST-TICK")  # virsh throws away what is typed before it is connected
        self.assertIn("treasure", console.shell("cat /tmp/kept", 60)[0])

    def state(self, name="keeper"):
        return virsh("domstate", name, "--reason").out.strip()


class Save(Guest):
    def test_a_guest_goes_on_where_it_was(self):
        events = world.Events()
        self.addCleanup(events.close)
        self.boot().close()
        virsh("save", "keeper", IMAGE)
        self.assertEqual(self.state(), "shut off (saved)")
        magic, _, running, form, _ = header(IMAGE)
        self.assertEqual((magic, running, form), ("LibvirtQemudSave", 1, 0))
        events.wait("keeper", libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)
        events.wait("keeper", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED)
        virsh("restore", IMAGE)
        self.assertEqual(self.state(), "running (restored)")
        events.wait("keeper", libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_RESTORED)
        events.wait("keeper", libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_FROM_SNAPSHOT)
        self.check_kept()

    def test_paused_on_request(self):
        self.start()
        virsh("save", "keeper", IMAGE, "--paused")
        virsh("restore", IMAGE)
        self.assertTrue(self.state().startswith("paused"), self.state())
        virsh("resume", "keeper")

    def test_a_transient_guest_comes_back_as_one(self):
        self.start(persistent=False)
        virsh("save", "keeper", IMAGE)
        self.assertNotIn("keeper", virsh("list", "--all", "--name").out.split())
        virsh("restore", IMAGE, "--bypass-cache")
        self.assertFalse(self.conn.lookupByName("keeper").isPersistent())

    def test_parameters(self):
        self.start()
        dom = self.conn.lookupByName("keeper")
        dom.saveParams({libvirt.VIR_DOMAIN_SAVE_PARAM_FILE: IMAGE}, 0)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "missing path to restore from"):
            self.conn.restoreParams({}, 0)
        self.conn.restoreParams({libvirt.VIR_DOMAIN_SAVE_PARAM_FILE: IMAGE}, 0)
        if world.IS_LODGE:  # without a file: the managed image; libvirt 9.0.0 then never lets go of the domain
            dom.saveParams({}, 0)
            self.assertTrue(dom.hasManagedSaveImage())

    def test_the_document_in_an_image(self):
        self.start()
        virsh("save", "keeper", IMAGE)
        text = virsh("save-image-dumpxml", IMAGE).out
        self.assertIn("<name>keeper</name>", text)
        self.conn.saveImageDefineXML(IMAGE, text.replace("</name>", "</name>\n  <title>a new title</title>", 1), libvirt.VIR_DOMAIN_SAVE_PAUSED)
        self.assertEqual(header(IMAGE)[2], 0)
        self.assertIn("a new title", self.conn.saveImageGetXMLDesc(IMAGE))
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED):
            self.conn.saveImageDefineXML(IMAGE, text.replace("<name>keeper<", "<name>other<"), 0)
        virsh("restore", IMAGE, "--running")
        self.assertIn("a new title", virsh("dumpxml", "keeper").out)

    def test_what_is_no_image(self):
        with open(IMAGE, "wb") as f:
            f.write(b"x" * 4096)
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "image magic is incorrect"):
            self.conn.restore(IMAGE)
        with open(IMAGE, "wb") as f:
            f.write(b"LibvirtQemudPart" + struct.pack("=19I", 2, 4000, *([0] * 17)) + b"y" * 4000)
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "save image is incomplete"):
            self.conn.restore(IMAGE)
        with open(IMAGE, "wb") as f:
            f.write(b"Libvirt")
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "failed to read qemu header"):
            self.conn.saveImageGetXMLDesc(IMAGE)
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR):
            self.conn.restore("/nowhere/at/all")

    def test_a_state_that_was_cut_off(self):
        self.start()
        self.conn.lookupByName("keeper").save(IMAGE)
        os.truncate(IMAGE, os.stat(IMAGE).st_size - 100_000)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "qemu unexpectedly closed the monitor", origin=libvirt.VIR_FROM_QEMU):
            self.conn.restore(IMAGE)
        self.assertEqual(self.state(), "shut off (failed)")

    def test_a_failed_save_leaves_the_guest_running(self):
        self.start()
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR):
            self.conn.lookupByName("keeper").save("/nowhere/at/all")
        small = "/run/tmp/small"
        os.makedirs(small, exist_ok=True)
        world.run("mount", "-t", "tmpfs", "-o", "size=200k", "none", small)
        self.addCleanup(world.run, "umount", small)
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED):
            self.conn.lookupByName("keeper").save(f"{small}/image")
        self.assertEqual(os.listdir(small), [])
        self.assertEqual(self.state(), "running (save canceled)")

    def test_a_state_that_cannot_be_carried_is_refused_before_the_guest_is_paused(self):
        image = "/run/tmp/old.vdi"
        world.run("qemu-img", "create", "-f", "vdi", image, "4M")
        os.chmod(image, 0o666)
        events = world.Events()
        self.addCleanup(events.close)
        disk = f"<disk type='file'><driver name='qemu' type='vdi'/><source file='{image}'/><target dev='hda'/></disk>"
        dom = self.conn.createXML(world.bare_xml("keeper", memory=64, devices=disk))
        words = "cannot migrate domain: The vdi format used by node"
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, words, origin=libvirt.VIR_FROM_QEMU):
            dom.save(IMAGE)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, words, origin=libvirt.VIR_FROM_QEMU):
            dom.coreDump(IMAGE)
        self.assertFalse(os.path.exists(IMAGE))
        self.assertEqual(self.state(), "running (booted)")
        dom.coreDumpWithFormat(IMAGE, 0, libvirt.VIR_DUMP_MEMORY_ONLY)
        events.wait("keeper", libvirt.VIR_DOMAIN_EVENT_RESUMED)
        suspended = [event for _, event, _ in events.seen if event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED]
        self.assertEqual(len(suspended), 1)  # by the dump that was made

    def test_the_guest_that_runs_already(self):
        self.start()
        virsh("save", "keeper", IMAGE)
        virsh("restore", IMAGE)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "already active"):
            self.conn.restore(IMAGE)
        virsh("destroy", "keeper")
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "not running"):
            self.conn.lookupByName("keeper").save(IMAGE)

    def test_packed_images(self):
        with open("/etc/libvirt/qemu.conf") as f:
            before = f.read()
        self.addCleanup(world.daemon.restart)
        self.addCleanup(lambda: open("/etc/libvirt/qemu.conf", "w").write(before))
        self.start()
        for number, form in ((1, "gzip"), (3, "xz")):
            with open("/etc/libvirt/qemu.conf", "w") as f:
                f.write(before + f'\nsave_image_format = "{form}"\n')
            world.daemon.restart()
            virsh("save", "keeper", IMAGE, timeout=180)
            self.assertEqual(header(IMAGE)[3], number)
            virsh("restore", IMAGE, timeout=180)
        with open("/etc/libvirt/qemu.conf", "w") as f:
            f.write(before + '\nsave_image_format = "shoe box"\n')
        world.daemon.restart()
        self.conn = self.connect()
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "Invalid save image format"):
            self.conn.lookupByName("keeper").save(IMAGE)
        self.assertTrue(self.state().startswith("running"))


class Managed(Guest):
    def test_the_next_start_goes_on(self):
        self.boot().close()
        virsh("managedsave", "keeper")
        dom = self.conn.lookupByName("keeper")
        self.assertTrue(dom.hasManagedSaveImage())
        self.assertEqual(len(self.conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)), 1)
        self.assertIn("<name>keeper</name>", dom.managedSaveGetXMLDesc())
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "managed save image exists"):
            dom.undefine()
        world.daemon.restart()
        self.conn = self.connect()
        dom = self.conn.lookupByName("keeper")
        self.assertTrue(dom.hasManagedSaveImage())
        dom.create()
        self.assertFalse(dom.hasManagedSaveImage())
        self.assertEqual(self.state(), "running (restored)")
        self.assertEqual(os.listdir(SAVES), [])
        self.check_kept()

    def test_with_a_cpu_that_came_later(self):
        dom = self.connect().defineXML(world.bare_xml("grown", extra="<vcpu current='1'>2</vcpu>"))
        dom.create()
        dom.setVcpus(2)
        dom.managedSave()
        dom.create()
        self.assertEqual(dom.state(), [libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_RESTORED])
        self.assertEqual(dom.vcpusFlags(libvirt.VIR_DOMAIN_VCPU_LIVE), 2)

    def test_nothing_to_remove(self):
        dom = self.connect().defineXML(world.bare_xml("unsaved"))
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "Failed to remove managed save file", "unsaved.save': No such file or directory"):
            dom.managedSaveRemove()

    def test_force_boot_forgets(self):
        self.start()
        virsh("managedsave", "keeper")
        virsh("start", "keeper", "--force-boot")
        self.assertFalse(self.conn.lookupByName("keeper").hasManagedSaveImage())
        self.assertEqual(self.state(), "running (booted)")

    def test_remove_and_undefine(self):
        self.start()
        virsh("managedsave", "keeper")
        virsh("managedsave-remove", "keeper")
        self.assertFalse(self.conn.lookupByName("keeper").hasManagedSaveImage())
        virsh("start", "keeper")
        virsh("managedsave", "keeper")
        virsh("undefine", "keeper", "--managed-save")
        self.assertEqual(os.listdir(SAVES), [])

    def test_a_broken_off_image_is_no_image(self):
        self.start()
        virsh("managedsave", "keeper")
        with open(f"{SAVES}/keeper.save", "r+b") as f:
            f.write(b"LibvirtQemudPart")
        virsh("start", "keeper")
        self.assertEqual(self.state(), "running (booted)")
        self.assertEqual(os.listdir(SAVES), [])

    def test_a_transient_guest_has_none(self):
        self.start(persistent=False)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "transient"):
            self.conn.lookupByName("keeper").managedSave()


class Killed(Guest):
    def test_a_daemon_killed_in_the_middle(self):
        """The guest runs on, and nothing that lies about looks whole."""
        self.start()
        pipe = SlowPipe()
        self.addCleanup(pipe.drain)

        def save():
            with contextlib.suppress(libvirt.libvirtError), contextlib.closing(libvirt.open(world.URI)) as conn:
                conn.lookupByName("keeper").save(pipe.path)

        thread = threading.Thread(target=save)
        thread.start()
        self.assertTrue(pipe.wait_for_head().startswith(b"LibvirtQemudPart"))
        world.wait_for(lambda: self.state() == "paused (saving)", 20, "the guest is paused for the save")
        world.daemon.stop(signal.SIGKILL)
        thread.join(30)
        rest = pipe.drain()
        world.daemon.start()
        self.conn = self.connect()
        self.assertNotIn(b"LibvirtQemudSave", rest[:64])
        world.wait_for(lambda: self.state() == "running (save canceled)", 20, "the guest goes on")


class Dump(Guest):
    CORE = "/var/lib/libvirt/keeper.core"

    def dump(self, *options):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.CORE)
        virsh("dump", "keeper", self.CORE, *options, timeout=120)
        with open(self.CORE, "rb") as f:
            return f.read(16)

    def test_core_files(self):
        self.start()
        self.assertTrue(self.dump("--memory-only").startswith(b"\x7fELF"))
        self.assertEqual(self.state(), "running (unpaused)")
        self.assertTrue(self.dump("--memory-only", "--format", "kdump-zlib").startswith((b"KDUMP", b"makedumpfile")))
        self.assertEqual(self.dump("--live")[:4], b"QEVM")
        self.assertTrue(self.state().startswith("running"))

    def test_the_guest_after_it(self):
        events = world.Events()
        self.addCleanup(events.close)
        self.start()
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED):
            self.conn.lookupByName("keeper").coreDumpWithFormat(self.CORE, libvirt.VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_ZLIB, 0)
        self.assertTrue(self.state().startswith("running"))
        self.dump("--crash")
        self.assertEqual(self.state(), "shut off (crashed)")
        events.wait("keeper", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED)


class Exchange(Guest):
    """What one daemon saved, the other restores."""

    def peer(self, program):
        """Another daemon in place of ours, for the time of a block."""
        world.daemon.stop()
        before, world.PEER = world.PEER, program

        def back():
            world.daemon.stop()
            world.PEER = before
            world.daemon.start()

        self.addCleanup(back)
        logd = subprocess.Popen(["virtlogd"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(logd.wait)
        self.addCleanup(logd.kill)
        world.wait_for(lambda: os.path.exists("/run/libvirt/virtlogd-sock"), 20, "virtlogd listens")
        world.daemon.start()
        self.conn = self.connect()

    @world.only_lodge
    @unittest.skipUnless(shutil.which("libvirtd"), "there is no libvirtd here")
    def test_images(self):
        self.start(persistent=False)
        virsh("save", "keeper", IMAGE)
        self.peer("libvirtd")
        virsh("restore", IMAGE)
        self.assertEqual(self.state(), "running (restored)")
        virsh("save", "keeper", IMAGE, "--paused")
        world.daemon.stop()
        world.PEER = "lodged"
        world.daemon.start()
        virsh("restore", IMAGE, "--running")
        self.assertEqual(self.state(), "running (restored)")


class Job(Guest):
    def test_abort(self):
        """A save into a pipe that nobody empties can be looked at and given up."""
        self.start()
        pipe = SlowPipe()
        self.addCleanup(pipe.drain)
        dom = self.conn.lookupByName("keeper")
        caught = []

        def save():
            try:
                with contextlib.closing(libvirt.open(world.URI)) as conn:
                    conn.lookupByName("keeper").save(pipe.path)
            except libvirt.libvirtError as error:
                caught.append(error)

        thread = threading.Thread(target=save)
        thread.start()
        pipe.wait_for_head()
        world.wait_for(lambda: dom.jobInfo()[0] == libvirt.VIR_DOMAIN_JOB_UNBOUNDED, 20, "the job is seen")
        stats = dom.jobStats()
        self.assertEqual(stats["operation"], libvirt.VIR_DOMAIN_JOB_OPERATION_SAVE)
        world.wait_for(lambda: dom.jobStats().get("memory_total", 0) > 0, 20, "the job's figures")
        dom.abortJob()
        pipe.drain()
        thread.join(60)
        self.assertEqual([e.get_error_code() for e in caught], [libvirt.VIR_ERR_OPERATION_ABORTED])
        self.assertEqual(self.state(), "running (save canceled)")


if __name__ == "__main__":
    world.main()
