#!/usr/bin/python3
"""Block jobs of running guests: pull, commit, copy; what is refused meanwhile, what is told, and what the documents say after."""

import contextlib
import os
import signal
import threading
import xml.etree.ElementTree as ET

import libvirt

import world
from world import IMAGES, virsh

PULL, COPY, COMMIT, ACTIVE = 1, 2, 3, 4
COMPLETED, FAILED, CANCELED, READY = 0, 1, 2, 3
SLOW = 1  # MiB/s: the job lasts as long as the test looks at it


class BlockEvents(world.Events):
    """Also (target, type, status) of block jobs, and the older event's (path, type, status)."""

    def __init__(self):
        super().__init__()
        self.jobs, self.paths = [], []
        for number, seen in ((libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, self.jobs), (libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB, self.paths)):
            self.ids.append(self.conn.domainEventRegisterAny(None, number, lambda _c, _d, name, kind, status, told: told.append((name, kind, status)), seen))

    def wait_job(self, *what):
        world.wait_for(lambda: what in self.jobs, 20, f"block job event {what}; seen: {self.jobs}")


class BlockJob(world.Case):
    def setUp(self):
        self.name = "mover"
        for file in os.listdir(IMAGES):
            os.unlink(f"{IMAGES}/{file}")
        self.base, self.mid, self.top, self.raw = (f"{IMAGES}/{n}" for n in ("base.qcow2", "mid.qcow2", "top.qcow2", "other.raw"))
        self.image(self.base, None, (1, "0 8M"))
        self.image(self.mid, self.base, (2, "8M 4M"))
        self.image(self.top, self.mid, (3, "16M 1M"))
        world.run("qemu-img", "create", "-q", "-f", "raw", self.raw, "8M")
        self.conn = self.connect()
        self.events = BlockEvents()
        self.addCleanup(self.events.close)
        self.dom = self.start()

    def image(self, path, below, written):
        world.run("qemu-img", "create", "-q", "-f", "qcow2", *(["-F", "qcow2", "-b", below] if below else []), path, *([] if below else ["32M"]))
        world.run("qemu-io", "-f", "qcow2", "-c", f"write -P {written[0]} {written[1]}", path)

    def document(self):
        disks = "".join(
            f"<disk type='file' device='disk'><driver name='qemu' type='{kind}'/><source file='{path}'/><target dev='{dev}' bus='virtio'/></disk>"
            for path, kind, dev in ((self.top, "qcow2", "vda"), (self.raw, "raw", "vdb"))
        )
        return world.bare_xml(self.name, devices=disks + "<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>")

    def start(self):
        dom = self.conn.defineXML(self.document())
        dom.create()
        return dom

    def tearDown(self):
        with contextlib.suppress(libvirt.libvirtError):
            for snapshot in self.dom.listAllSnapshots():
                snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        super().tearDown()

    def disk(self, target="vda", flags=0):
        for disk in ET.fromstring(self.dom.XMLDesc(flags)).iter("disk"):
            if disk.find("target").get("dev") == target:
                return disk
        return None

    def chain(self, flags=0):
        """Paths of vda from the top down, and "end" where it is said that nothing lies below."""
        at, paths = self.disk(flags=flags), []
        while at is not None:
            source = at.find("source")
            if source is None:
                return paths + ["end"]
            paths.append(source.get("file"))
            at = at.find("backingStore")
        return paths

    def holds(self, path):
        """The image has what was written into the three of the chain."""
        for pattern, where in ((1, "0 8M"), (2, "8M 4M"), (3, "16M 1M")):
            world.run("qemu-io", "-U", "-r", "-f", "qcow2", "-c", f"read -P {pattern} {where}", path)

    def make_transient(self):
        self.dom.undefine()

    # ---- what the document says of a chain ----

    def test_the_chain_is_shown(self):
        self.assertEqual(self.chain(), [self.top, self.mid, self.base, "end"])
        self.assertEqual(self.chain(libvirt.VIR_DOMAIN_XML_INACTIVE), [self.top])
        disk = self.disk()
        numbers = [disk.find("source").get("index"), disk.find("backingStore").get("index"), disk.find("backingStore/backingStore").get("index")]
        self.assertEqual(numbers, ["3", "4", "5"])
        self.assertEqual(list(self.disk("vdb").find("backingStore")), [])
        self.assertIsNone(self.disk("hdc").find("backingStore"))

    def test_a_guessed_format_is_refused(self):
        self.dom.destroy()
        for path in (self.top, self.mid):  # the extension that says the format becomes one that nobody knows
            with open(path, "r+b") as image:
                head = image.read(65536)
                image.seek(head.index(b"\xe2\x79\x2a\xca"))
                image.write(b"\x12\x34\x56\x78")
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "was not specified in the image metadata"):
            self.dom.create()
        world.run("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", self.mid, self.top)
        self.dom.create()
        self.assertEqual(self.chain(), [self.top, self.mid, self.base, "end"], "a guess that leads nowhere is good enough")
        self.dom.destroy()
        os.unlink(self.mid)
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "Cannot access backing file"):
            self.dom.create()

    # ---- pull ----

    def test_pull_all(self):
        self.assertEqual(self.dom.blockJobInfo("vda"), {})
        self.dom.blockPull("vda")
        self.events.wait_job("vda", PULL, COMPLETED)
        self.assertIn((self.top, PULL, COMPLETED), self.events.paths)
        self.assertEqual(self.chain(), [self.top, "end"])
        self.assertEqual(self.chain(libvirt.VIR_DOMAIN_XML_INACTIVE), [self.top])
        self.assertEqual(self.dom.blockJobInfo("vda"), {})
        self.dom.destroy()
        os.unlink(self.mid)
        self.holds(self.top)

    def test_pull_to_a_base(self):
        self.dom.blockRebase("vda", self.base)
        self.events.wait_job("vda", PULL, COMPLETED)
        self.assertEqual(self.chain(), [self.top, self.base, "end"])
        self.assertIn(self.base, world.run("qemu-img", "info", "-U", self.top).out)

    def test_a_job_is_looked_at_and_broken_off(self):
        self.dom.blockPull("vda", SLOW)
        info = self.dom.blockJobInfo("vda")
        self.assertEqual((info["type"], info["bandwidth"], info["end"]), (PULL, 1, 32 << 20))
        self.dom.blockJobSetSpeed("vda", 3 << 19, libvirt.VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES)
        self.assertEqual(self.dom.blockJobInfo("vda")["bandwidth"], 2, "rounded up")
        self.assertEqual(self.dom.blockJobInfo("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES)["bandwidth"], 3 << 19)
        self.dom.blockJobAbort("vda")
        self.events.wait_job("vda", PULL, CANCELED)
        self.assertEqual(self.dom.blockJobInfo("vda"), {})
        self.assertEqual(self.chain(), [self.top, self.mid, self.base, "end"])

    def test_what_a_job_forbids(self):
        self.dom.blockPull("vda", SLOW)
        for forbidden in (
            lambda: self.dom.blockPull("vda"),
            lambda: self.dom.blockRebase("vda", None),
            lambda: self.dom.blockCommit("vda", None, None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE),
            lambda: self.dom.blockCopy("vda", f"<disk type='file'><source file='{IMAGES}/x'/></disk>", flags=libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB),
            lambda: self.dom.snapshotCreateXML("<domainsnapshot/>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY),
            lambda: self.dom.detachDevice("<disk type='file' device='disk'><target dev='vda' bus='virtio'/></disk>"),
        ):
            with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "disk 'vda' already in active block job"):
                forbidden()
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain has active block job"):
            self.dom.save("/run/tmp/image")
        with self.refused(libvirt.VIR_ERR_BLOCK_COPY_ACTIVE, "not ready for pivot yet"):
            self.dom.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        self.dom.blockJobAbort("vda")

    def test_wrong_requests(self):
        for call in (self.dom.blockPull, self.dom.blockJobInfo, self.dom.blockJobAbort):
            with self.refused(libvirt.VIR_ERR_INVALID_ARG, "disk 'vdz' not found in domain"):
                call("vdz")
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "must not have null value"):
            self.dom.blockPull("hdc")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "disk vda does not have an active block job"):
            self.dom.blockJobAbort("vda")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "disk vda does not have an active block job"):
            self.dom.blockJobSetSpeed("vda", 1)
        with self.refused(libvirt.VIR_ERR_OVERFLOW, "bandwidth must be less than 8796093022207"):
            self.dom.blockPull("vda", 1 << 60)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "could not find image '/nowhere' beneath", "in chain for 'vda'"):
            self.dom.blockRebase("vda", "/nowhere")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "could not find backing store index '9' in chain for 'vda'"):
            self.dom.blockRebase("vda", "vda[9]")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "requested target 'vdb' does not match target 'vda'"):
            self.dom.blockRebase("vda", "vdb[2]")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "could not find base image in chain for 'vdb'"):
            self.dom.blockCommit("vdb", None, None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "commit of 'vda' active layer requires active flag"):
            self.dom.blockCommit("vda", None, None)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "active commit requested but", "is not active"):
            self.dom.blockCommit("vda", None, self.mid, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "can't keep relative backing relationship"):
            self.dom.blockCommit("vda", None, self.mid, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_RELATIVE)
        self.dom.destroy()
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running"):
            self.dom.blockPull("vda")

    # ---- commit ----

    def test_commit_in_the_middle(self):
        self.dom.blockCommit("vda", "vda[5]", "vda[4]", 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_DELETE)
        self.events.wait_job("vda", COMMIT, COMPLETED)
        self.assertEqual(self.chain(), [self.top, self.base, "end"])
        self.assertFalse(os.path.exists(self.mid))
        self.dom.destroy()
        self.holds(self.top)
        self.dom.create()

    def test_commit_of_the_active_image(self):
        self.dom.blockCommit("vda", None, None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | libvirt.VIR_DOMAIN_BLOCK_COMMIT_DELETE)
        self.events.wait_job("vda", ACTIVE, READY)
        mirror = self.disk().find("mirror")
        self.assertEqual((mirror.get("type"), mirror.get("job"), mirror.get("ready")), ("file", "active-commit", "yes"))
        self.assertEqual((mirror.find("source").get("file"), mirror.find("source").get("index")), (self.base, "5"))
        with self.refused(libvirt.VIR_ERR_BLOCK_COPY_ACTIVE, "disk 'vda' already in active block job"):
            self.dom.blockPull("vda")
        self.dom.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT | libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC)
        self.events.wait_job("vda", ACTIVE, COMPLETED)
        self.assertIn((self.base, ACTIVE, COMPLETED), self.events.paths)
        self.assertEqual(self.chain(), [self.base, "end"])
        self.assertEqual(self.chain(libvirt.VIR_DOMAIN_XML_INACTIVE), [self.base, "end"])
        self.assertEqual(sorted(os.listdir(IMAGES)), ["base.qcow2", "other.raw"])
        self.dom.destroy()
        self.holds(self.base)
        self.dom.create()

    def test_a_commit_is_called_off(self):
        self.dom.blockCommit("vda", None, None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | libvirt.VIR_DOMAIN_BLOCK_COMMIT_SHALLOW)
        self.events.wait_job("vda", ACTIVE, READY)
        self.dom.blockJobAbort("vda")
        self.events.wait_job("vda", ACTIVE, CANCELED)
        self.assertEqual(self.chain(), [self.top, self.mid, self.base, "end"])
        self.assertIsNone(self.disk().find("mirror"))

    def test_snapshot_and_commit(self):
        self.dom.snapshotCreateXML("<domainsnapshot><name>s1</name><disks><disk name='vdb' snapshot='no'/></disks></domainsnapshot>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        overlay = f"{IMAGES}/top.s1"
        self.assertEqual(self.chain(), [overlay, self.top, self.mid, self.base, "end"])
        self.assertEqual(self.chain(libvirt.VIR_DOMAIN_XML_INACTIVE), [overlay, self.top])
        self.assertEqual(self.disk().find("source").get("index"), "6")
        self.dom.blockCommit("vda", self.top, None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE)
        self.events.wait_job("vda", ACTIVE, READY)
        with self.refused(libvirt.VIR_ERR_BLOCK_COPY_ACTIVE, "already in active block job"):
            self.dom.snapshotCreateXML("<domainsnapshot/>", libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY)
        self.dom.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        self.assertEqual(self.chain(), [self.top, self.mid, self.base, "end"])
        self.assertEqual(self.chain(libvirt.VIR_DOMAIN_XML_INACTIVE)[0], self.top)

    # ---- copy ----

    def destination(self, name, driver="<driver type='qcow2'/>"):
        return f"<disk type='file'><source file='{IMAGES}/{name}'/>{driver}</disk>"

    def test_copy_and_pivot(self):
        copy = f"{IMAGES}/copy.qcow2"
        params = {"bandwidth": SLOW << 20, "granularity": 65536, "buf-size": 1 << 20}
        self.dom.blockCopy("vda", self.destination("copy.qcow2"), params, libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB)
        mirror = self.disk().find("mirror")
        self.assertEqual((mirror.get("file"), mirror.get("format"), mirror.get("job"), mirror.get("ready")), (copy, "qcow2", "copy", None))
        self.assertIsNone(self.disk(flags=libvirt.VIR_DOMAIN_XML_INACTIVE).find("mirror"))
        with self.refused(libvirt.VIR_ERR_BLOCK_COPY_ACTIVE, "block job 'copy-vda-libvirt-3-format' not ready for pivot yet"):
            self.dom.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        self.dom.blockJobSetSpeed("vda", 0)
        self.events.wait_job("vda", COPY, READY)
        self.assertEqual(self.dom.blockJobInfo("vda")["cur"], 32 << 20)
        self.dom.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        self.events.wait_job("vda", COPY, COMPLETED)
        self.assertIn((copy, COPY, COMPLETED), self.events.paths)
        for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
            self.assertEqual(self.chain(flags), [copy, "end"])
        self.dom.destroy()
        self.holds(copy)
        self.dom.create()

    def test_shallow_copies(self):
        self.make_transient()
        shallow = libvirt.VIR_DOMAIN_BLOCK_COPY_SHALLOW
        self.dom.blockCopy("vda", self.destination("shallow.qcow2"), flags=shallow)
        self.events.wait_job("vda", COPY, READY)
        self.assertIsNone(self.disk().find("mirror/backingStore"))
        self.dom.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        self.assertEqual(self.chain(), [f"{IMAGES}/shallow.qcow2", self.mid, self.base, "end"])
        world.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", self.mid, f"{IMAGES}/again.qcow2")
        self.events.jobs.clear()
        self.dom.blockCopy("vda", self.destination("again.qcow2"), flags=shallow | libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT)
        self.events.wait_job("vda", COPY, READY)
        self.assertEqual(self.disk().find("mirror/backingStore/source").get("file"), self.mid)
        self.dom.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        self.assertEqual(self.chain(), [f"{IMAGES}/again.qcow2", self.mid, self.base, "end"])
        self.dom.destroy()
        self.holds(f"{IMAGES}/again.qcow2")

    def test_copy_by_rebase(self):
        flags = libvirt.VIR_DOMAIN_BLOCK_REBASE_COPY | libvirt.VIR_DOMAIN_BLOCK_REBASE_COPY_RAW
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not transient"):
            self.dom.blockRebase("vdb", f"{IMAGES}/copy.raw", 0, flags)
        self.make_transient()
        self.dom.blockRebase("vdb", f"{IMAGES}/copy.raw", 0, flags)
        self.events.wait_job("vdb", COPY, READY)
        mirror = self.disk("vdb").find("mirror")
        self.assertEqual((mirror.get("format"), list(mirror.find("backingStore"))), ("raw", []))
        self.dom.blockJobAbort("vdb")
        self.events.wait_job("vdb", COPY, CANCELED)
        self.assertIsNone(self.disk("vdb").find("mirror"))
        self.assertTrue(os.path.exists(f"{IMAGES}/copy.raw"))

    def test_wrong_destinations(self):
        transient = libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB

        def copy(xml, flags=0, params=None):
            self.dom.blockCopy("vda", xml, params or {}, flags | transient)

        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "absolute path must be used"):
            copy("<disk type='file'><source file='x'/></disk>")
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "missing destination file for disk vda: /x"):
            copy("<disk type='block'><source dev='/x'/></disk>")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "granularity must be power of 2"):
            copy(self.destination("x"), params={"granularity": 3})
        with self.refused(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, "parameter 'nonsense' not supported"):
            copy(self.destination("x"), params={"nonsense": 3})
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "failed to create copy target"):
            copy("<disk type='file'><source file='/nowhere/x'/></disk>")
        with self.refused(libvirt.VIR_ERR_XML_DETAIL):
            copy("<disk type='file'>")
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "into a raw file is not possible"):
            copy(self.destination("x", "<driver type='raw'/>"), libvirt.VIR_DOMAIN_BLOCK_COPY_SHALLOW)
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "already exists and is not a block device"):
            copy(self.destination("mid.qcow2"))
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "missing destination file"):
            copy(self.destination("x"), libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT)
        self.assertFalse(os.path.exists(f"{IMAGES}/x"))

    # ---- over the life of daemon and guest ----

    def test_jobs_outlive_the_daemon(self):
        self.dom.blockPull("vda", SLOW)
        self.dom.blockCopy("vdb", f"<disk type='file'><source file='{IMAGES}/copy.raw'/><driver type='raw'/></disk>", flags=libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB)
        self.events.wait_job("vdb", COPY, READY)
        self.events.close()
        world.daemon.restart(signal.SIGKILL)
        self.conn = self.connect()
        self.dom = self.conn.lookupByName(self.name)
        self.events = BlockEvents()
        self.addCleanup(self.events.close)
        self.assertEqual(self.dom.blockJobInfo("vda")["type"], PULL)
        self.assertEqual(self.disk("vdb").find("mirror").get("ready"), "yes")
        self.dom.blockJobAbort("vdb", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        self.assertEqual(self.disk("vdb").find("source").get("file"), f"{IMAGES}/copy.raw")
        self.dom.blockJobSetSpeed("vda", 0)
        self.events.wait_job("vda", PULL, COMPLETED)
        self.assertEqual(self.chain(), [self.top, "end"])

    def test_a_job_ends_while_no_daemon_looks(self):
        self.dom.blockPull("vda", 16)
        world.daemon.stop(signal.SIGKILL)
        world.wait_for(lambda: "backing file:" not in world.run("qemu-img", "info", "-U", self.top).out, 30, "the image stands alone")
        world.daemon.start()
        self.conn = self.connect()
        self.dom = self.conn.lookupByName(self.name)
        world.wait_for(lambda: self.chain() == [self.top, "end"], 20, "the document says so")
        self.assertEqual(self.dom.blockJobInfo("vda"), {})
        self.dom.blockPull("vda")  # a new one may begin

    def test_the_death_of_the_guest_ends_a_wait(self):
        pid = world.qemu_pid(self.name)
        self.dom.blockPull("vda", SLOW)
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(1, lambda: os.kill(pid, signal.SIGKILL)).start()
        with self.assertRaises(libvirt.libvirtError):
            self.dom.blockJobAbort("vda")
        world.wait_for(lambda: not self.dom.isActive(), 20, "the guest is seen to be gone")
        self.dom.create()
        self.assertEqual(self.dom.blockJobInfo("vda"), {})

    # ---- by hand ----

    def test_virsh_waits(self):
        out = virsh("blockpull", self.name, "vda", "--base", self.base, "--wait", "--verbose").out
        self.assertIn("Pull complete", out)
        out = virsh("blockcopy", self.name, "vda", f"{IMAGES}/v.qcow2", "--format", "qcow2", "--wait", "--verbose", "--pivot", "--transient-job").out
        self.assertIn("Successfully pivoted", out)
        self.assertEqual(self.chain(), [f"{IMAGES}/v.qcow2", "end"])
        virsh("snapshot-create-as", self.name, "s", "--disk-only", "--no-metadata", "--diskspec", "vdb,snapshot=no")
        self.assertIn("Successfully pivoted", virsh("blockcommit", self.name, "vda", "--active", "--wait", "--verbose", "--pivot").out)
        self.assertEqual(self.chain(), [f"{IMAGES}/v.qcow2", "end"])
        virsh("blockcopy", self.name, "vdb", f"{IMAGES}/w.raw", "--bytes", "--bandwidth", "1048576", "--transient-job")
        shown = virsh("blockjob", self.name, "vdb")
        self.assertRegex(shown.err, r"Block Copy: \[ *\d+(\.\d+)? %\]")
        self.assertIn("1048576 bytes/s", shown.out)
        virsh("blockjob", self.name, "vdb", "--abort", "--async")
        self.events.wait_job("vdb", COPY, CANCELED)
        self.assertIn("No current block job", virsh("blockjob", self.name, "vdb").out)


if __name__ == "__main__":
    world.main()
