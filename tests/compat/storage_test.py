#!/usr/bin/python3
"""Storage pools and volumes with stock virsh and python3-libvirt: life of pools, volumes of all common forms, their content."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading

import libvirt

import world
from world import run, virsh, wait_for

FOLDER = "/var/lib/libvirt/pool-under-test"
MIB = 1 << 20


def pool_xml(name="p", path=FOLDER, kind="dir", source=""):
    return f"<pool type='{kind}'><name>{name}</name>{source}<target><path>{path}</path></target></pool>"


def volume_xml(name, capacity=4 * MIB, allocation=None, kind="raw", target="", more=""):
    given = "" if allocation is None else f"<allocation>{allocation}</allocation>"
    return (
        f"<volume><name>{name}</name><capacity>{capacity}</capacity>{given}"
        f"<target><format type='{kind}'/>{target}</target>{more}</volume>"
    )


def image_info(path):
    return json.loads(run("qemu-img", "info", "--output=json", path).out)


def content(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Storage(world.Case):
    def setUp(self):
        self.conn = self.connect()
        shutil.rmtree(FOLDER, ignore_errors=True)
        os.makedirs(FOLDER)

    def tearDown(self):
        super().tearDown()
        with contextlib.closing(libvirt.open(world.URI)) as conn:
            for pool in conn.listAllStoragePools():
                with contextlib.suppress(libvirt.libvirtError):
                    pool.destroy()
                with contextlib.suppress(libvirt.libvirtError):
                    pool.undefine()

    def pool(self, name="p", **more):
        return self.conn.storagePoolCreateXML(pool_xml(name, **more))


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


class Volumes(Storage):
    def test_raw(self):
        pool = self.pool()
        sparse = pool.createXML(volume_xml("sparse", 8 * MIB, 0))
        self.assertEqual(sparse.info(), [libvirt.VIR_STORAGE_VOL_FILE, 8 * MIB, 0])
        self.assertEqual(sparse.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2], 8 * MIB)
        full = pool.createXML(volume_xml("full", 2 * MIB))
        self.assertGreaterEqual(full.info()[2], 2 * MIB)
        mode = os.stat(full.path())
        self.assertEqual((mode.st_mode & 0o777, mode.st_size), (0o600, 2 * MIB))
        owned = pool.createXML(volume_xml("owned", target="<permissions><mode>0640</mode><owner>7</owner><group>8</group></permissions>"))
        status = os.stat(owned.path())
        self.assertEqual((status.st_mode & 0o777, status.st_uid, status.st_gid), (0o640, 7, 8))
        self.assertIn("<owner>7</owner>", owned.XMLDesc())
        with self.refused(libvirt.VIR_ERR_STORAGE_VOL_EXIST, "storage volume 'full' exists already"):
            pool.createXML(volume_xml("full"))
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "volume name 'a/b' cannot contain '/'"):
            pool.createXML(volume_xml("a/b"))
        open(FOLDER + "/unseen", "w").close()
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "already exists"):
            pool.createXML(volume_xml("unseen"))
        with self.refused(libvirt.VIR_ERR_NO_SUPPORT, "backing storage not supported for raw volumes"):
            pool.createXML(volume_xml("backed", more="<backingStore><path>/x</path></backingStore>"))
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "metadata preallocation is not supported for raw volumes"):
            pool.createXML(volume_xml("meta"), libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA)
        full.delete()
        self.assertFalse(os.path.exists(FOLDER + "/full"))
        self.assertEqual(sorted(pool.listVolumes()), ["owned", "sparse"])
        self.assertEqual(sorted(os.listdir(FOLDER)), ["owned", "sparse", "unseen"])

    def test_qcow2(self):
        pool = self.pool()
        base = pool.createXML(volume_xml("base.qcow2", 64 * MIB, 0, "qcow2"))
        self.assertEqual(image_info(base.path())["format-specific"]["data"]["compat"], "0.10")
        backing = f"<backingStore><path>{base.path()}</path><format type='qcow2'/></backingStore>"
        top = pool.createXML(f"<volume><name>top.qcow2</name><target><format type='qcow2'/></target>{backing}</volume>")
        info = image_info(top.path())
        self.assertEqual((info["virtual-size"], info["backing-filename"], info["backing-filename-format"]), (64 * MIB, base.path(), "qcow2"))
        pool.refresh()
        self.assertIn(f"<backingStore>\n    <path>{base.path()}</path>\n    <format type='qcow2'/>", top.XMLDesc())
        rich = "<compat>1.1</compat><clusterSize unit='KiB'>128</clusterSize><features><lazy_refcounts/></features>"
        made = image_info(pool.createXML(volume_xml("rich", kind="qcow2", target=rich)).path())
        data = made["format-specific"]["data"]
        self.assertEqual((data["compat"], data["lazy-refcounts"], made["cluster-size"]), ("1.1", True, 131072))
        meta = pool.createXML(volume_xml("meta", 16 * MIB, 0, "qcow2"), libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA)
        self.assertGreater(image_info(meta.path())["actual-size"], image_info(base.path())["actual-size"])
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "inaccessible backing store volume /nowhere"):
            pool.createXML(volume_xml("lost", kind="qcow2", more="<backingStore><path>/nowhere</path></backingStore>"))
        with self.refused(libvirt.VIR_ERR_XML_ERROR, "missing capacity element"):
            pool.createXML("<volume><name>nothing</name><target><format type='qcow2'/></target></volume>")
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "qemu-img"):
            pool.createXML(volume_xml("odd", kind="qcow2", target="<clusterSize>3</clusterSize>"))
        self.assertEqual(sorted(os.listdir(FOLDER)), ["base.qcow2", "meta", "rich", "top.qcow2"])
        self.assertEqual(sorted(pool.listVolumes()), ["base.qcow2", "meta", "rich", "top.qcow2"])

    def test_other_formats(self):
        pool = self.pool()
        for kind in ("vmdk", "vdi", "vpc", "qed"):
            volume = pool.createXML(volume_xml(kind, 64 * MIB, 0, kind))
            self.assertEqual(image_info(volume.path())["format"], kind)
        pool.createXML(volume_xml("folder", kind="dir"))
        pool.refresh()
        found = {v.name(): re.search(r"<format type='(\w+)'", v.XMLDesc()).group(1) for v in pool.listAllVolumes()}
        self.assertEqual(found, {"vmdk": "vmdk", "vdi": "vdi", "vpc": "vpc", "qed": "qed", "folder": "dir"})
        with open(FOLDER + "/folder/file", "w"):
            pass
        folder = pool.storageVolLookupByName("folder")
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "cannot remove directory"):
            folder.delete()
        os.unlink(FOLDER + "/folder/file")
        folder.delete()
        self.assertFalse(os.path.exists(FOLDER + "/folder"))

    def fill(self, path, size=3 * MIB):
        with open(path, "r+b") as f:
            f.write(os.urandom(size))
        return content(path)

    def test_clone(self):
        pool = self.pool()
        raw = pool.createXML(volume_xml("raw", 8 * MIB, 0))
        digest = self.fill(raw.path())
        virsh("vol-clone", "raw", "copy", "--pool", "p")
        self.assertEqual(content(FOLDER + "/copy"), digest)
        self.assertLess(os.stat(FOLDER + "/copy").st_blocks * 512, 8 * MIB)
        converted = pool.createXMLFrom(volume_xml("converted", 1, kind="qcow2"), raw)
        self.assertEqual((image_info(converted.path())["format"], converted.info()[1]), ("qcow2", 8 * MIB))
        os.makedirs(FOLDER + "/other")
        other = self.pool("other", path=FOLDER + "/other")
        back = other.createXMLFrom(volume_xml("back", 1), converted)
        self.assertEqual(content(back.path()), digest)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "storage volume name 'copy' already in use."):
            pool.createXMLFrom(volume_xml("copy", 1), raw)

    def test_resize(self):
        pool = self.pool()
        raw = pool.createXML(volume_xml("raw", 4 * MIB, 0))
        raw.resize(8 * MIB)
        self.assertEqual(os.stat(raw.path()).st_size, 8 * MIB)
        raw.resize(MIB, libvirt.VIR_STORAGE_VOL_RESIZE_DELTA)
        self.assertEqual(raw.info()[1], 9 * MIB)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "unless shrink flag explicitly specified"):
            raw.resize(MIB)
        raw.resize(MIB, libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK)
        self.assertEqual(raw.info()[1], MIB)
        raw.resize(2 * MIB, libvirt.VIR_STORAGE_VOL_RESIZE_ALLOCATE)
        self.assertGreaterEqual(raw.info()[2], 2 * MIB)
        qcow2 = pool.createXML(volume_xml("qcow2", 4 * MIB, 0, "qcow2"))
        virsh("vol-resize", "qcow2", "16M", "--pool", "p")
        self.assertEqual(image_info(qcow2.path())["virtual-size"], 16 * MIB)
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "preallocate is only supported for raw"):
            qcow2.resize(32 * MIB, libvirt.VIR_STORAGE_VOL_RESIZE_ALLOCATE)

    def test_wipe(self):
        pool = self.pool()
        zeros = hashlib.sha256(bytes(4 * MIB)).hexdigest()
        for name, allocation in (("sparse", 0), ("full", 4 * MIB)):
            volume = pool.createXML(volume_xml(name, 4 * MIB, allocation))
            self.fill(volume.path(), MIB)
            virsh("vol-wipe", name, "--pool", "p")
            self.assertEqual(content(volume.path()), zeros)
        with self.refused(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, "'trim' algorithm not supported"):
            volume.wipePattern(libvirt.VIR_STORAGE_VOL_WIPE_ALG_TRIM)
        if not shutil.which("scrub"):
            with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "Cannot find 'scrub' in path"):
                volume.wipePattern(libvirt.VIR_STORAGE_VOL_WIPE_ALG_DOD)
        qcow2 = pool.createXML(volume_xml("qcow2", 4 * MIB, 0, "qcow2"))
        qcow2.wipe()
        self.assertIn("<format type='raw'/>", qcow2.XMLDesc())

    def test_encryption(self):
        pool = self.pool()
        uuid = "e78d4b51-a2af-485f-b0f5-afca709a80f4"
        locked = f"<encryption format='luks'><secret type='passphrase' uuid='{uuid}'/></encryption>"
        with self.refused(libvirt.VIR_ERR_NO_SECRET, uuid):
            pool.createXML(volume_xml("luks", target=locked))
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "A single <secret type='passphrase'...> element is expected"):
            pool.createXML(volume_xml("luks", target="<encryption format='luks'/>"))
        self.assertEqual((pool.listVolumes(), os.listdir(FOLDER)), ([], []))
        usage = f"<usage type='volume'><volume>{FOLDER}/luks</volume></usage>"
        secret = self.conn.secretDefineXML(f"<secret ephemeral='no' private='yes'><uuid>{uuid}</uuid>{usage}</secret>")
        self.addCleanup(secret.undefine)
        secret.setValue(b"open sesame", 0)
        plain = pool.createXML(volume_xml("plain", 4 * MIB, 0))
        digest = self.fill(plain.path())
        luks = pool.createXML(volume_xml("luks", target=locked))
        self.assertEqual((image_info(luks.path())["format"], luks.info()[1]), ("luks", 4 * MIB))
        luks.resize(8 * MIB)
        self.assertEqual(luks.info()[1], 8 * MIB)
        qcow2 = pool.createXMLFrom(volume_xml("qcow2", 4 * MIB, 0, "qcow2", target=locked), plain)
        self.assertTrue(image_info(qcow2.path())["encrypted"])
        back = pool.createXMLFrom(volume_xml("back", 4 * MIB, 0), qcow2)
        self.assertEqual(content(back.path()), digest)
        # After a refresh the image alone tells what it is; the secret for its path is found again.
        pool.refresh()
        self.assertIn(f"<secret type='passphrase' uuid='{uuid}'/>", luks.XMLDesc())
        self.assertIn("<encryption format='luks'>", luks.XMLDesc())
        self.assertIn("<encryption format='luks'", pool.storageVolLookupByName("qcow2").XMLDesc())


class Content(Storage):
    def upload(self, volume, path, *options):
        virsh("vol-upload", volume, path, "--pool", "p", *options, timeout=120)

    def download(self, volume, path, *options):
        virsh("vol-download", volume, path, "--pool", "p", *options, timeout=120)

    def test_round_trip(self):
        pool = self.pool()
        size = 24 * MIB + 123
        with open("/run/tmp/source", "wb") as f:
            f.write(os.urandom(size))
        pool.createXML(volume_xml("v", size))
        self.upload("v", "/run/tmp/source")
        self.assertEqual(content(FOLDER + "/v"), content("/run/tmp/source"))
        self.download("v", "/run/tmp/back")
        self.assertEqual(content("/run/tmp/back"), content("/run/tmp/source"))
        self.download("v", "/run/tmp/part", "--offset", "1000", "--length", "5000")
        with open("/run/tmp/source", "rb") as f:
            whole = f.read()
        with open("/run/tmp/part", "rb") as f:
            self.assertEqual(f.read(), whole[1000:6000])
        with open("/run/tmp/patch", "wb") as f:
            f.write(b"x" * 2000)
        self.upload("v", "/run/tmp/patch", "--offset", "500")
        with open(FOLDER + "/v", "rb") as f:
            self.assertEqual(f.read(3000), whole[:500] + b"x" * 2000 + whole[2500:3000])
        pool.storageVolLookupByName("v").delete()

    def test_sparse_round_trip(self):
        pool = self.pool()
        size = 64 * MIB
        with open("/run/tmp/holes", "wb") as f:
            f.truncate(size)
            for at in (0, 20 * MIB, 40 * MIB):
                f.seek(at)
                f.write(os.urandom(MIB))
        pool.createXML(volume_xml("v", size, 0))
        self.upload("v", "/run/tmp/holes", "--sparse")
        self.assertEqual(content(FOLDER + "/v"), content("/run/tmp/holes"))
        self.assertLess(os.stat(FOLDER + "/v").st_blocks * 512, 16 * MIB)
        self.download("v", "/run/tmp/back", "--sparse")
        self.assertEqual(content("/run/tmp/back"), content("/run/tmp/holes"))
        self.assertLess(os.stat("/run/tmp/back").st_blocks * 512, 16 * MIB)

    @world.only_lodge  # libvirtd leaves what was there in place of holes
    def test_holes_show_nothing_of_before(self):
        pool = self.pool()
        volume = pool.createXML(volume_xml("v", 4 * MIB))
        with open(volume.path(), "r+b") as f:
            f.write(b"secret" * 1000)
        with open("/run/tmp/holes", "wb") as f:
            f.truncate(4 * MIB)
        self.upload("v", "/run/tmp/holes", "--sparse")
        self.assertEqual(content(volume.path()), content("/run/tmp/holes"))

    def test_upload_refreshes_the_pool(self):
        pool = self.pool()
        run("qemu-img", "create", "-q", "-f", "qcow2", "/run/tmp/image", "1G")
        pool.createXML(volume_xml("v", os.stat("/run/tmp/image").st_size))
        self.upload("v", "/run/tmp/image")
        volume = pool.storageVolLookupByName("v")
        wait_for(lambda: "<format type='qcow2'/>" in volume.XMLDesc(), 20, "the pool to see the image")
        self.assertEqual(volume.info()[1], 1 << 30)

    def test_too_much_is_refused(self):
        pool = self.pool()
        volume = pool.createXML(volume_xml("v", MIB))
        stream = self.conn.newStream()
        volume.upload(stream, 0, 1000)
        with self.assertRaises(libvirt.libvirtError):
            for _ in range(100):
                stream.send(b"y" * 100000)
            stream.finish()
        with contextlib.suppress(libvirt.libvirtError):
            stream.abort()
        self.assertEqual(self.conn.storageVolLookupByPath(FOLDER + "/v").name(), "v")

    @world.only_lodge  # libvirtd counts a stream's volume as used only while it opens it
    def test_a_volume_in_use_stays(self):
        pool = self.pool()
        volume = pool.createXML(volume_xml("v", MIB))
        stream = self.conn.newStream()
        volume.upload(stream, 0, 0)
        for attempt in (volume.delete, volume.wipe, lambda: volume.resize(2 * MIB)):
            with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "volume 'v' is still in use."):
                attempt()
        stream.send(b"abc")
        stream.finish()
        with open(volume.path(), "rb") as f:
            self.assertEqual(f.read(3), b"abc")
        volume.delete()

    def test_a_lost_client_lets_go(self):
        pool = self.pool()
        pool.createXML(volume_xml("v", MIB))
        other = libvirt.open(world.URI)
        stream = other.newStream()
        other.storageVolLookupByPath(FOLDER + "/v").upload(stream, 0, 0)
        stream.send(b"abc")
        stream.abort()
        other.close()

        def gone():
            with contextlib.suppress(libvirt.libvirtError):
                pool.storageVolLookupByName("v").delete()
            return not os.path.exists(FOLDER + "/v")

        wait_for(gone, 20, "the volume to be free again")


class Busy(Storage):
    """Long work on volumes holds up nobody else."""

    @world.only_lodge  # a fake qemu-img at the daemon's place
    def test_slow_creation(self):
        gate = "/run/tmp/gate"
        os.makedirs("/usr/local/bin", exist_ok=True)
        fake = "/usr/local/bin/qemu-img"
        with open(fake, "w") as f:
            f.write(f"#!/bin/sh\nwhile ! [ -e {gate} ]; do sleep 0.05; done\nexec /usr/bin/qemu-img \"$@\"\n")
        os.chmod(fake, 0o755)
        self.addCleanup(os.unlink, fake)
        self.conn.close()
        world.daemon.restart()
        self.conn = self.connect()
        pool = self.pool()
        failures = []

        def create():
            try:
                with contextlib.closing(libvirt.open(world.URI)) as conn:
                    conn.storagePoolLookupByName("p").createXML(volume_xml("slow", kind="qcow2"))
            except libvirt.libvirtError as error:
                failures.append(error)

        worker = threading.Thread(target=create)
        worker.start()
        wait_for(lambda: "slow" in pool.listVolumes(), 20, "the volume in the making to be listed")
        slow = pool.storageVolLookupByName("slow")
        self.assertEqual(slow.info()[1], 4 * MIB)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "volume 'slow' is still being allocated."):
            slow.delete()
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "pool 'p' has asynchronous jobs running."):
            pool.destroy()
        pool.createXML(volume_xml("quick")).delete()
        self.assertFalse(os.path.exists(FOLDER + "/slow"))
        open(gate, "w").close()
        self.addCleanup(os.unlink, gate)
        worker.join(30)
        self.assertEqual(failures, [])
        self.assertEqual(image_info(FOLDER + "/slow")["format"], "qcow2")
        slow.delete()


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


class Guests(Storage):
    def test_disk_from_a_volume(self):
        pool = self.pool()
        pool.createXML(volume_xml("v", 16 * MIB, 0, "qcow2"))
        disk = (
            "<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='p' volume='{}'/>"
            "<target dev='vda' bus='virtio'/></disk>"
        )
        dom = self.conn.defineXML(world.bare_xml("guest", devices=disk.format("v")))
        dom.create()
        self.assertIn("<source pool='p' volume='v'", dom.XMLDesc())
        with open(f"/proc/{world.qemu_pid('guest')}/cmdline") as f:
            self.assertIn(FOLDER + "/v", f.read())
        dom.destroy()
        dom.undefine()
        dom = self.conn.defineXML(world.bare_xml("guest", devices=disk.format("none")))
        with self.refused(libvirt.VIR_ERR_NO_STORAGE_VOL, "no storage vol with matching name 'none'"):
            dom.create()
        pool.destroy()
        with self.refused(libvirt.VIR_ERR_NO_STORAGE_POOL, "no storage pool with matching name 'p'"):
            dom.create()


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
