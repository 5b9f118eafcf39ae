#!/usr/bin/python3
"""Backups of a running guest's disks by virDomainBackupBegin: pushed into files or pulled over NBD, whole or what has changed
since a checkpoint; what is told of them, and what they forbid."""

import contextlib
import json
import os
import re
import signal

import libvirt

import world
from world import IMAGES, virsh

BACKUP = 5  # as a kind of block job
CREATE = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY


class DiskBackup(world.Case):
    def setUp(self):
        for file in os.listdir(IMAGES):
            os.unlink(f"{IMAGES}/{file}")
        self.disk = f"{IMAGES}/keeper.qcow2"
        world.run("qemu-img", "create", "-q", "-f", "qcow2", self.disk, "32M")
        world.run("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 4M", self.disk)
        self.events = world.Events()
        self.addCleanup(self.events.close)
        self.told = []
        for number, note in (
            (libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, lambda _c, _d, params, told: told.append(params)),
            (libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2, lambda _c, _d, disk, kind, status, told: told.append((disk, kind, status))),
        ):
            self.events.ids.append(self.events.conn.domainEventRegisterAny(None, number, note, self.told))
        self.conn = self.connect()
        self.dom = self.conn.defineXML(
            world.bare_xml("keeper", devices=f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{self.disk}'/><target dev='vda' bus='virtio'/></disk><disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>")
        )
        self.dom.create()

    def tearDown(self):
        with contextlib.closing(libvirt.open(world.URI)) as conn:
            for dom in conn.listAllDomains():
                with contextlib.suppress(libvirt.libvirtError):
                    dom.abortJob()
                for moment in dom.listAllCheckpoints() + dom.listAllSnapshots():
                    with contextlib.suppress(libvirt.libvirtError):
                        moment.delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY if isinstance(moment, libvirt.virDomainCheckpoint) else libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
        super().tearDown()

    def write(self, pattern, where):
        """As the guest would: through its device."""
        virsh("qemu-monitor-command", "keeper", "--hmp", f'qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "write -P {pattern} {where}"')

    def begin(self, inside="", mode="push", incremental="", checkpoint=None):
        since = f"<incremental>{incremental}</incremental>" if incremental else ""
        text = f"<domaincheckpoint><name>{checkpoint}</name></domaincheckpoint>" if checkpoint else None
        self.dom.backupBegin(f"<domainbackup mode='{mode}'>{since}{inside}</domainbackup>", text)

    def push(self, name, incremental="", checkpoint=None):
        path = f"{IMAGES}/{name}"
        self.told.clear()
        self.begin(f"<disks><disk name='vda' type='file'><target file='{path}'/><driver type='qcow2'/></disk></disks>", "push", incremental, checkpoint)
        self.wait_done()
        return path

    def wait_done(self):
        return world.wait_for(lambda: [t for t in self.told if isinstance(t, dict)], 30, "the end of the backup")[-1]

    def holds(self, path, *parts):
        for pattern, where in parts:
            world.run("qemu-io", "-U", "-r", "-f", "qcow2", "-c", f"read -P {pattern} {where}", path)

    # ---- push ----

    def test_push_whole_and_what_changed(self):
        full = self.push("full.qcow2", checkpoint="one")
        done = self.wait_done()
        self.assertEqual((done["operation"], done["success"], done["disk_total"], done["disk_remaining"]), (9, True, 32 << 20, 0))
        world.wait_for(lambda: ("vda", BACKUP, 0) in self.told, 20, "the block job's end is told")
        self.assertEqual(self.told[0], done, "the backup's end is told before its disks'")
        stats = self.dom.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
        self.assertEqual((stats["type"], stats["success"]), (libvirt.VIR_DOMAIN_JOB_COMPLETED, True))
        self.holds(full, (1, "0 4M"))
        self.write(2, "8M 1M")
        second = self.push("second.qcow2", "one", "two")
        mapped = json.loads(world.run("qemu-img", "map", "-U", "--output=json", second).out)
        data = [(e["start"], e["length"]) for e in mapped if e["data"] and e["depth"] == 0]
        self.assertEqual(data, [(8 << 20, 1 << 20)])
        self.write(3, "16M 1M")
        third = self.push("third.qcow2", "two", "three")
        self.assertEqual([c.getName() for c in self.dom.listAllCheckpoints(libvirt.VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL)], ["one", "two", "three"])
        self.dom.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)
        world.run("qemu-img", "rebase", "-u", "-F", "qcow2", "-b", full, second)
        world.run("qemu-img", "rebase", "-u", "-F", "qcow2", "-b", second, third)
        self.holds(third, (1, "0 4M"), (2, "8M 1M"), (3, "16M 1M"))

    def test_changes_are_known_through_snapshot_and_commit(self):
        self.push("full.qcow2", checkpoint="one")
        self.write(2, "8M 64k")
        self.dom.snapshotCreateXML("<domainsnapshot><name>s</name></domainsnapshot>", CREATE)
        self.write(3, "16M 64k")
        second = self.push("second.qcow2", "one")
        self.dom.blockCommit("vda", None, None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE)
        world.wait_for(lambda: ("vda", 4, 3) in self.told, 20, "the commit has caught up")
        self.write(4, "20M 64k")
        self.dom.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        self.write(5, "24M 64k")
        third = self.push("third.qcow2", "one")
        self.assertIn("size='262144'", self.dom.checkpointLookupByName("one").getXMLDesc(libvirt.VIR_DOMAIN_CHECKPOINT_XML_SIZE | libvirt.VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN))
        self.dom.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)
        for image, places in ((second, (8, 16)), (third, (8, 16, 20, 24))):
            mapped = json.loads(world.run("qemu-img", "map", "-U", "--output=json", image).out)
            self.assertEqual([e["start"] >> 20 for e in mapped if e["data"] and e["depth"] == 0], list(places))

    def test_a_checkpoint_goes_from_all_layers(self):
        self.push("full.qcow2", checkpoint="one")
        self.dom.snapshotCreateXML("<domainsnapshot><name>s</name></domainsnapshot>", CREATE)
        self.dom.checkpointLookupByName("one").delete()
        self.dom.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL)
        for image in (self.disk, f"{IMAGES}/keeper.s"):
            self.assertNotIn("bitmaps", world.run("qemu-img", "info", image).out)

    # ---- pull ----

    def server(self, path="/run/tmp/backup.sock"):
        with contextlib.suppress(OSError):
            os.unlink(path)
        os.chmod("/run/tmp", 0o777)
        return path, f"<server transport='unix' socket='{path}'/>"

    def test_pull(self):
        path, server = self.server()
        self.begin(server, "pull", checkpoint="one")
        text = self.dom.backupGetXMLDesc()
        self.assertRegex(text, r"<disk name='vda' backup='yes' type='file' backupmode='full' exportname='vda' index='\d+'>")
        scratch = re.search(r"<scratch file='([^']+)'", text).group(1)
        self.assertEqual(scratch, f"{self.disk}.one")
        self.write(9, "0 1M")
        world.run("qemu-io", "-r", "-f", "raw", "-c", "read -P 1 0 4M", f"nbd+unix:///vda?socket={path}")
        stats = self.dom.jobStats()
        self.assertEqual((stats["type"], stats["operation"], stats["disk_temp_total"]), (libvirt.VIR_DOMAIN_JOB_UNBOUNDED, 9, 32 << 20))
        self.assertEqual(self.dom.blockJobInfo("vda")["type"], BACKUP)
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "disk 'vda' already in active block job"):
            self.dom.blockPull("vda")
        self.dom.abortJob()
        done = self.wait_done()
        self.assertEqual((done["success"], "disk_temp_used" in done), (True, True))
        world.wait_for(lambda: ("vda", BACKUP, 2) in self.told, 20, "the block job's end is told")
        self.assertFalse(os.path.exists(scratch))
        with self.refused(libvirt.VIR_ERR_NO_DOMAIN_BACKUP):
            self.dom.backupGetXMLDesc()

    def test_pull_what_changed(self):
        self.push("full.qcow2", checkpoint="one")
        self.write(2, "8M 1M")
        path, server = self.server()
        scratch = f"{IMAGES}/scratch.qcow2"
        self.begin(f"{server}<disks><disk name='vda' type='file' exportname='mine' exportbitmap='changed'><scratch file='{scratch}'/></disk></disks>", "pull", "one", "two")
        self.write(3, "16M 1M")  # after the moment of the backup
        mapped = world.run("qemu-img", "map", "--output=json", "--image-opts", f"driver=nbd,export=mine,server.type=unix,server.path={path},x-dirty-bitmap=qemu:dirty-bitmap:changed").out
        self.assertEqual([(e["start"], e["length"]) for e in json.loads(mapped) if not e["data"]], [(8 << 20, 1 << 20)])
        self.dom.blockJobAbort("vda")
        self.wait_done()
        self.assertFalse(os.path.exists(scratch))
        self.assertEqual([c.getName() for c in self.dom.listAllCheckpoints(libvirt.VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL)], ["one", "two"])

    def test_pull_outlives_the_daemon(self):
        path, server = self.server()
        self.begin(server, "pull")
        text = self.dom.backupGetXMLDesc()
        self.events.close()
        world.daemon.restart(signal.SIGKILL)
        self.conn = self.connect()
        self.dom = self.conn.lookupByName("keeper")
        # The peer forgets under which name it exports.
        self.assertEqual(self.dom.backupGetXMLDesc().replace(" exportname='vda'", ""), text.replace(" exportname='vda'", ""))
        world.run("qemu-io", "-r", "-f", "raw", "-c", "read -P 1 0 4M", f"nbd+unix:///vda?socket={path}")
        self.dom.abortJob()
        world.wait_for(lambda: os.listdir(IMAGES) == ["keeper.qcow2"], 20, "the scratch file is gone")
        self.begin(self.server()[1], "pull")

    # ---- refusals and ends ----

    def test_what_is_refused(self):
        with self.refused(libvirt.VIR_ERR_NO_DOMAIN_CHECKPOINT, "Checkpoint 'nope' for incremental backup of disk 'vda' not found"):
            self.begin(incremental="nope")
        with self.refused(libvirt.VIR_ERR_XML_INVALID_SCHEMA):
            self.begin("<nonsense/>")
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "must specify TCP port"):
            self.begin("<server transport='tcp' name='localhost'/>", "pull")
        with open(f"{IMAGES}/x", "w") as file:
            file.write("mine")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, f"store '{IMAGES}/x' for backup of 'vda' exists"):
            self.begin(f"<disks><disk name='vda' type='file'><target file='{IMAGES}/x'/></disk></disks>", checkpoint="one")
        self.assertEqual(self.dom.listAllCheckpoints(), [], "nothing is left of a backup that did not begin")
        self.assertEqual(self.dom.blockJobInfo("vda"), {})
        self.dom.destroy()
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "inactive domain"):
            self.begin()

    def test_the_guest_ends_meanwhile(self):
        self.begin(self.server()[1], "pull")
        self.dom.destroy()
        self.assertFalse(self.wait_done()["success"])
        self.assertEqual(os.listdir(IMAGES), ["keeper.qcow2"])


if __name__ == "__main__":
    world.main()
