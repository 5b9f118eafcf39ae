#!/usr/bin/python3
"""Storage pools with stock virsh and python3-libvirt: their life, their files, mounted ones, and lodge beside virsh."""

import os
import re
import shutil
import signal
import subprocess

import libvirt

import world
from storage import FOLDER, MIB, pool_xml, volume_xml, Storage
from world import run, virsh, wait_for


class Pools(Storage):
    def test_life_of_a_persistent_pool(self):
        shutil.rmtree(FOLDER)
        virsh("pool-define-as", "p", "dir", "--target", FOLDER)
        pool = self.conn.storagePoolLookupByName("p")
        self.assertEqual((pool.isActive(), pool.isPersistent(), pool.autostart()), (0, 1, 0))
        self.assertTrue(os.path.exists("/etc/libvirt/storage/p.xml"))
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "storage pool 'p' is not active"):
            pool.refresh()
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, FOLDER):
            pool.create()
        self.assertEqual(pool.isActive(), 0)
        virsh("pool-build", "p")
        self.assertEqual(os.stat(FOLDER).st_mode & 0o777, 0o711)
        virsh("pool-start", "p")
        self.assertEqual(pool.info()[0], libvirt.VIR_STORAGE_POOL_RUNNING)
        self.assertGreater(pool.info()[1], 0)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "storage pool 'p' is already active"):
            pool.create()
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "storage pool 'p' is still active"):
            pool.undefine()
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "storage pool 'p' is still active"):
            pool.delete()
        virsh("pool-autostart", "p")
        self.assertEqual(os.readlink("/etc/libvirt/storage/autostart/p.xml"), "/etc/libvirt/storage/p.xml")
        self.assertEqual(virsh("pool-list", "--all", "--name").out.split(), ["p"])
        self.assertRegex(virsh("pool-list").out, r"p\s+active\s+yes")
        self.assertEqual(self.conn.storagePoolLookupByTargetPath(FOLDER + "//").name(), "p")
        virsh("pool-destroy", "p")
        virsh("pool-delete", "p")
        self.assertFalse(os.path.exists(FOLDER))
        virsh("pool-undefine", "p")
        self.assertEqual(virsh("pool-list", "--all", "--name").out.split(), [])
        self.assertFalse(os.path.lexists("/etc/libvirt/storage/autostart/p.xml"))
        with self.refused(libvirt.VIR_ERR_NO_STORAGE_POOL, "no storage pool with matching uuid"):
            pool.isActive()

    def test_transient_pool(self):
        pool = self.pool()
        self.assertEqual((pool.isActive(), pool.isPersistent()), (1, 0))
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "pool has no config file"):
            pool.setAutostart(1)
        pool.destroy()
        with self.refused(libvirt.VIR_ERR_NO_STORAGE_POOL, "no storage pool with matching name 'p'"):
            self.conn.storagePoolLookupByName("p")

    def test_a_failed_start_leaves_no_pool(self):
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "/nowhere"):
            self.pool(path="/nowhere")
        self.assertEqual(self.conn.listAllStoragePools(), [])
        self.assertFalse(os.path.exists("/run/libvirt/storage/p.xml"))
        flags = libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD
        self.conn.storagePoolCreateXML(pool_xml(path=FOLDER + "/built/deep"), flags)
        self.assertTrue(os.path.isdir(FOLDER + "/built/deep"))

    def test_conflicts(self):
        pool = self.pool("one")
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "Storage source conflict with pool: 'one'"):
            self.conn.storagePoolDefineXML(pool_xml("two"))
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "pool 'one' already exists with uuid"):
            self.conn.storagePoolDefineXML(pool_xml("one", path="/tmp"))
        same = f"<uuid>{pool.UUIDString()}</uuid>"
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "pool 'one' is already defined with uuid"):
            self.conn.storagePoolDefineXML(pool_xml("two", path="/tmp", source=same))
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "pool is already active as 'one'"):
            self.conn.storagePoolCreateXML(pool_xml("one", source=same))
        # A definition for what is active waits for its end.
        self.conn.storagePoolDefineXML(pool_xml("one", path="/tmp", source=same))
        self.assertEqual(pool.isPersistent(), 1)
        self.assertIn(FOLDER, pool.XMLDesc())
        self.assertIn("<path>/tmp</path>", pool.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE))
        pool.destroy()
        self.assertIn("<path>/tmp</path>", pool.XMLDesc())

    def test_filters(self):
        self.pool("transient")
        os.makedirs(FOLDER + "/more")
        self.conn.storagePoolDefineXML(pool_xml("defined", path=FOLDER + "/more")).setAutostart(1)

        def names(flags):
            return sorted(p.name() for p in self.conn.listAllStoragePools(flags))

        both = ["defined", "transient"]
        self.assertEqual(names(0), both)
        self.assertEqual(names(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE), ["transient"])
        self.assertEqual(names(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_PERSISTENT), ["defined"])
        self.assertEqual(names(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_AUTOSTART), ["defined"])
        self.assertEqual(names(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_DIR), both)
        self.assertEqual(names(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_LOGICAL), [])
        self.assertEqual((self.conn.numOfStoragePools(), self.conn.numOfDefinedStoragePools()), (1, 1))
        self.assertEqual((self.conn.listStoragePools(), self.conn.listDefinedStoragePools()), (["transient"], ["defined"]))

    def test_refresh_sees_what_others_did(self):
        pool = self.pool()
        self.assertEqual(pool.listVolumes(), [])
        run("qemu-img", "create", "-q", "-f", "qcow2", FOLDER + "/top.qcow2", "1G")
        with open(FOLDER + "/plain", "wb") as f:
            f.truncate(MIB)
        os.makedirs(FOLDER + "/folder")
        os.symlink("nowhere", FOLDER + "/dangling")
        os.mkfifo(FOLDER + "/fifo")
        self.assertEqual(pool.numOfVolumes(), 0)
        virsh("pool-refresh", "p")
        self.assertEqual(sorted(pool.listVolumes()), ["folder", "plain", "top.qcow2"])
        kinds = {v.name(): v.info()[0] for v in pool.listAllVolumes()}
        self.assertEqual(kinds, {"folder": libvirt.VIR_STORAGE_VOL_DIR, "plain": libvirt.VIR_STORAGE_VOL_FILE, "top.qcow2": libvirt.VIR_STORAGE_VOL_FILE})
        top = pool.storageVolLookupByName("top.qcow2")
        self.assertEqual(top.info()[1], 1 << 30)
        self.assertIn("<format type='qcow2'/>", top.XMLDesc())
        self.assertIn("<compat>1.1</compat>", top.XMLDesc())
        self.assertIn("<clusterSize unit='B'>65536</clusterSize>", top.XMLDesc())
        self.assertEqual(self.conn.storageVolLookupByPath(FOLDER + "//plain").name(), "plain")
        self.assertEqual(self.conn.storageVolLookupByKey(top.key()).storagePoolLookupByVolume().name(), "p")
        os.unlink(FOLDER + "/plain")
        pool.refresh()
        with self.refused(libvirt.VIR_ERR_NO_STORAGE_VOL, "no storage vol with matching name 'plain'"):
            pool.storageVolLookupByName("plain")

    def test_a_pool_whose_folder_went_away_is_stopped(self):
        pool = self.conn.storagePoolDefineXML(pool_xml())
        pool.create()
        shutil.rmtree(FOLDER)
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, FOLDER):
            pool.refresh()
        self.assertEqual(pool.isActive(), 0)

    def test_missing_backends_and_capabilities(self):
        rbd = "<pool type='rbd'><name>r</name><source><name>r</name><host name='h'/></source></pool>"
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "missing backend for pool type 9 (rbd)"):
            self.conn.storagePoolDefineXML(rbd)
        with self.refused(libvirt.VIR_ERR_NO_SUPPORT, "pool type 'dir' does not support source discovery"):
            self.conn.findStoragePoolSources("dir", None, 0)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "unknown storage pool type heap"):
            self.conn.findStoragePoolSources("heap", None, 0)
        text = self.conn.getStoragePoolCapabilities(0)
        self.assertIn("<pool type='dir' supported='yes'>", text)
        self.assertIn("<pool type='rbd' supported='no'>", text)
        self.assertIn("<value>qcow2</value>", text)

    def test_all_kinds_can_be_defined(self):
        sources = {
            "fs": "<source><device path='/dev/none'/></source>",
            "netfs": "<source><host name='h'/><dir path='/d'/></source>",
            "logical": "<source><device path='/dev/nothing'/></source>",
            "disk": "<source><device path='/dev/nowhere'/></source>",
            "iscsi": "<source><host name='h'/><device path='iqn.x'/></source>",
            "scsi": "<source><adapter name='host9'/></source>",
            "mpath": "",
        }
        for kind, source in sources.items():
            with self.subTest(kind):
                pool = self.conn.storagePoolDefineXML(pool_xml(kind, kind=kind, source=source))
                self.assertIn(f"<pool type='{kind}'>", pool.XMLDesc())
                if kind == "scsi" and not world.IS_LODGE:
                    continue  # waits for the adapter
                if kind == "mpath" and not world.IS_LODGE:
                    continue  # is there whenever the device mapper is
                with self.assertRaises(libvirt.libvirtError) as caught:
                    pool.create()
                self.assertTrue(str(caught.exception))
                self.assertEqual(pool.isActive(), 0)

    def test_read_only_connection(self):
        self.pool()
        conn = self.connect(readonly=True)
        self.assertEqual([p.name() for p in conn.listAllStoragePools()], ["p"])
        with self.refused(libvirt.VIR_ERR_OPERATION_DENIED):
            conn.storagePoolLookupByName("p").destroy()

    def test_restart(self):
        pool = self.conn.storagePoolDefineXML(pool_xml("kept"))
        pool.setAutostart(1)
        os.makedirs(FOLDER + "/transient")
        os.makedirs(FOLDER + "/gone")
        self.pool("transient", path=FOLDER + "/transient").createXML(volume_xml("v"))
        self.pool("gone", path=FOLDER + "/gone")
        shutil.rmtree(FOLDER + "/gone")
        self.conn.close()
        world.daemon.restart(signal.SIGKILL)
        self.conn = self.connect()
        # A folder that is there makes its pool active when the daemon starts, autostart or not.
        states = {p.name(): (p.isActive(), p.isPersistent(), p.autostart()) for p in self.conn.listAllStoragePools()}
        self.assertEqual(states, {"kept": (1, 1, 1), "transient": (1, 0, 0)})
        self.assertEqual(self.conn.storagePoolLookupByName("transient").listVolumes(), ["v"])

    def test_autostart_at_boot(self):
        self.conn.storagePoolDefineXML(pool_xml()).setAutostart(1)
        self.conn.close()
        world.daemon.stop()
        os.unlink("/run/libvirt/storage/autostarted")
        world.daemon.start()
        self.conn = self.connect()
        self.assertEqual(self.conn.storagePoolLookupByName("p").isActive(), 1)

    def test_events(self):
        seen = []
        events = world.Events()
        self.addCleanup(events.close)
        lifecycle = events.conn.storagePoolEventRegisterAny(
            None, libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, lambda _c, pool, event, detail, _o: seen.append((pool.name(), event, detail)), None
        )
        refresh = events.conn.storagePoolEventRegisterAny(
            None, libvirt.VIR_STORAGE_POOL_EVENT_ID_REFRESH, lambda _c, pool, _o: seen.append((pool.name(), "refresh")), None
        )
        shutil.rmtree(FOLDER)
        pool = self.conn.storagePoolDefineXML(pool_xml())
        pool.build()
        pool.create()
        pool.refresh()
        pool.destroy()
        pool.delete()
        pool.undefine()
        kinds = ("DEFINED", "CREATED", "STARTED", "refresh", "STOPPED", "DELETED", "UNDEFINED")
        wanted = [("p", k) if k == "refresh" else ("p", getattr(libvirt, f"VIR_STORAGE_POOL_EVENT_{k}"), 0) for k in kinds]
        wait_for(lambda: len(seen) >= len(wanted), 20, f"seven events; seen: {seen}")
        self.assertEqual(seen, wanted)
        events.conn.storagePoolEventDeregisterAny(lifecycle)
        events.conn.storagePoolEventDeregisterAny(refresh)


class Mounted(Storage):
    def setUp(self):
        super().setUp()
        self.image = "/run/tmp/disk"
        with open(self.image, "wb") as f:
            f.truncate(32 * MIB)
        done = subprocess.run(["losetup", "--find", "--show", self.image], capture_output=True, text=True)
        if done.returncode:
            self.skipTest("no loop devices here")
        self.device = done.stdout.strip()
        self.addCleanup(run, "losetup", "--detach", self.device)

    def test_file_system(self):
        source = f"<source><device path='{self.device}'/><format type='ext4'/></source>"
        pool = self.conn.storagePoolDefineXML(pool_xml(kind="fs", source=source))
        with self.assertRaises(libvirt.libvirtError):
            pool.create()
        pool.build(libvirt.VIR_STORAGE_POOL_BUILD_NO_OVERWRITE)
        with self.refused(libvirt.VIR_ERR_STORAGE_POOL_BUILT, "already formatted using 'ext4'"):
            pool.build(libvirt.VIR_STORAGE_POOL_BUILD_NO_OVERWRITE)
        pool.create()
        self.assertTrue(os.path.ismount(FOLDER))
        self.assertLess(pool.info()[1], 40 * MIB)
        pool.createXML(volume_xml("v"))
        self.assertEqual(sorted(pool.listVolumes()), ["lost+found", "v"])
        self.conn.close()
        world.daemon.restart()
        self.conn = self.connect()
        pool = self.conn.storagePoolLookupByName("p")
        self.assertEqual((pool.isActive(), sorted(pool.listVolumes())), (1, ["lost+found", "v"]))
        pool.destroy()
        self.assertFalse(os.path.ismount(FOLDER))


# A line is one run of each program, the second on what the first has left.
SAME_OUTPUT = """
pool-list
pool-list --all
pool-list --all --details
pool-list --name
pool-list --uuid
pool-list --name --uuid
pool-list --type dir
pool-list --inactive
pool-list --persistent --transient
pool-info p
pool-info --bytes p
pool-dumpxml p
pool-dumpxml --inactive d
pool-uuid p
pool-refresh p
pool-autostart d; pool-info d; pool-autostart d --disable
pool-start p
pool-destroy d
pool-info nosuch
vol-list p
vol-list p --details
vol-list d
vol-info v --pool p
vol-info v --pool p --bytes
vol-info v --pool p --physical
vol-info {folder}/v
vol-dumpxml v --pool p
vol-dumpxml q --pool p
vol-key v --pool p
vol-path v --pool p
vol-name {folder}/v
vol-pool {folder}/v
vol-pool --uuid {folder}/v
vol-delete nosuch p
vol-info nosuch p
"""


class CommandLine(Storage):
    def lodge(self):
        found = os.environ.get("LODGE_BIN") or shutil.which("lodge") or os.path.join(world.ROOT, "build", world.preset(), "lodge")
        if not os.path.exists(found):
            self.skipTest("no lodge is built")
        return found

    def test_says_what_virsh_says(self):
        pool = self.pool()
        pool.createXML(volume_xml("v", 4 * MIB, 0))
        pool.createXML(volume_xml("q", 4 * MIB, 0, "qcow2"))
        os.makedirs(FOLDER + "/d")
        self.conn.storagePoolDefineXML(pool_xml("d", path=FOLDER + "/d"))
        pool.refresh()
        programs = (["virsh", "-c", world.URI], [self.lodge(), "-c", world.URI])
        for line in SAME_OUTPUT.strip().splitlines():
            said = []
            for program in programs:
                done = run(*program, line.format(folder=FOLDER), check=False)
                # Errors are two lines of virsh's and one of lodge's.
                words = " ".join(done.err.replace("error: ", "").split())
                # What others do on this disk meanwhile, and times of reading.
                text = re.sub(r"<([am]time|ctime|capacity|allocation|available)\b.*?</\1>", "", done.out)
                text = re.sub(r"(?m)^(Capacity|Allocation|Available):.*\n", "", text) if "pool-" in line else text
                text = re.sub(r"[\d.]+ [GT]iB", "SIZE", text) if "details" in line else text
                said.append((done.rc, text, bool(words)))
            with self.subTest(line):
                self.assertEqual(said[0], said[1])


if __name__ == "__main__":
    world.main()
