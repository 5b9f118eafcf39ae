#!/usr/bin/python3
"""Devices come, change and go: in running guests that see it happen, in stored documents, and in both at once."""

import contextlib
import itertools
import os
import re
import signal
import subprocess
import time
import xml.etree.ElementTree as ET

import libvirt
import world
from world import virsh, wait_for

LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
USB = "<controller type='usb' model='qemu-xhci'/>"


def image(name, size=8 << 20):
    path = f"{world.IMAGES}/{name}.img"
    with open(path, "wb") as f:
        f.truncate(size)
    return path


def disk_xml(path, target="vdb", bus="virtio", device="disk", extra="", fmt="raw"):
    source = f"<source file='{path}'/>" if path else ""
    return (
        f"<disk type='file' device='{device}'><driver name='qemu' type='{fmt}'/>{source}"
        f"<target dev='{target}' bus='{bus}'/>{extra}</disk>"
    )


def nic_xml(mac="52:54:00:00:00:07", extra="", network="default"):
    return f"<interface type='network'><mac address='{mac}'/><source network='{network}'/><model type='virtio'/>{extra}</interface>"


class DeviceEvents(world.Events):
    """Also hears of devices and trays."""

    def __init__(self):
        self.added, self.removed, self.failed, self.trays = [], [], [], []
        super().__init__()
        for event, seen in (
            (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, self.added),
            (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, self.removed),
            (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, self.failed),
        ):
            note = lambda _conn, _dom, alias, seen: seen.append(alias)
            self.ids.append(self.conn.domainEventRegisterAny(None, event, note, seen))
        tray = lambda _conn, _dom, alias, reason, _: self.trays.append((alias, reason))
        self.ids.append(self.conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, tray, None))

    def wait_added(self, alias, seconds=20):
        wait_for(lambda: alias in self.added, seconds, f"device-added of {alias}; seen: {self.added}")

    def wait_removed(self, alias, seconds=30):
        wait_for(lambda: alias in self.removed, seconds, f"device-removed of {alias}; seen: {self.removed}")


class Hotplug(world.Case):
    def setUp(self):
        world.default_network()
        self.conn = self.connect()
        self.events = DeviceEvents()
        self.addCleanup(self.events.close)

    def boot(self, name, **more):
        more.setdefault("machine", "pc")
        dom = self.conn.defineXML(world.guest_xml(name, nics=0, **more))
        dom.create()
        console = world.Console(name)
        self.addCleanup(console.close)
        console.expect("Escape character is")
        console.expect("GUEST-CPUS", 120)
        console.expect("GUEST-TICK", 60)
        return dom, console

    def bare(self, name, devices="", start=True, **more):
        more.setdefault("extra", "<features><acpi/></features>")  # without it nothing can be plugged into PCI
        dom = self.conn.defineXML(world.bare_xml(name, devices=devices, **more))
        if start:
            dom.create()
        return dom

    def live(self, dom):
        return ET.fromstring(dom.XMLDesc())

    def stored(self, dom):
        return ET.fromstring(dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))

    def in_qemu(self, dom):
        answer = virsh("qemu-monitor-command", dom.name(), '{"execute":"qom-list","arguments":{"path":"/machine/peripheral"}}').out
        return set(re.findall(r'"name":\s*"([^"]+)"', answer))

    # ---- guests that look ----

    def test_a_guest_sees_a_disk_come_and_go(self):
        dom, console = self.boot("diskful")
        path = image("plugged")
        os.chown(path, 0, 0)
        xml = disk_xml(path)
        dom.attachDeviceFlags(xml, LIVE)
        self.events.wait_added("virtio-disk1")
        self.assertNotEqual(os.stat(path).st_uid, 0)
        console.shell("while [ ! -e /sys/block/vda ]; do sleep 0.1; done")
        out, _ = console.shell("cat /sys/block/vda/size")
        self.assertIn(str((8 << 20) // 512), out)
        disk = self.live(dom).find("devices/disk[target='']") or self.live(dom).find("devices/disk")
        self.assertEqual(disk.find("target").get("dev"), "vdb")
        self.assertEqual(disk.find("alias").get("name"), "virtio-disk1")
        self.assertEqual(disk.find("address").get("type"), "pci")
        self.assertIsNone(self.stored(dom).find("devices/disk"))
        with self.refused(libvirt.VIR_ERR_XML_ERROR, "target 'vdb' duplicated"):
            dom.attachDeviceFlags(xml, LIVE)
        dom.detachDeviceFlags(xml, LIVE)
        self.events.wait_removed("virtio-disk1")
        console.shell("while [ -e /sys/block/vda ]; do sleep 0.1; done")
        self.assertIsNone(self.live(dom).find("devices/disk"))
        self.assertEqual(os.stat(path).st_uid, 0)
        with self.refused(libvirt.VIR_ERR_DEVICE_MISSING, "vdb"):
            dom.detachDeviceFlags(xml, LIVE)
        # Everything is free for the next one.
        dom.attachDeviceFlags(xml, LIVE)
        console.shell("while [ ! -e /sys/block/vda ]; do sleep 0.1; done")

    def test_a_guest_sees_a_card_come_and_go(self):
        dom, console = self.boot("carded")
        mac = "52:54:00:00:00:07"
        dom.attachDeviceFlags(nic_xml(mac), LIVE | CONFIG)
        self.events.wait_added("net0")
        console.shell("while [ ! -e /sys/class/net/eth0 ]; do sleep 0.1; done")
        out, _ = console.shell("cat /sys/class/net/eth0/address")
        self.assertIn(mac, out)
        nic = self.live(dom).find("devices/interface")
        tap = nic.find("target").get("dev")
        self.assertTrue(os.path.exists(f"/sys/class/net/virbr0/brif/{tap}"))
        self.assertEqual(self.stored(dom).find("devices/interface/mac").get("address"), mac)
        console.shell("ip link set eth0 up; udhcpc -i eth0 -n -q -t 20 -T 1 -s /usr/share/udhcpc/default.script >/dev/null 2>&1")
        out, rc = console.shell(f"ping -c 2 -W 5 {world.UPLINK}")
        self.assertEqual(rc, 0, out)

        virsh("domif-setlink", "carded", mac, "down")
        wait_for(lambda: "1" not in console.shell("cat /sys/class/net/eth0/carrier")[0].replace("eth0", ""), 10, "the carrier goes")
        self.assertIn("down", virsh("domif-getlink", "carded", mac).out)
        virsh("domif-setlink", "carded", mac, "up")

        dom.detachDeviceFlags(nic_xml(mac), LIVE | CONFIG)
        self.events.wait_removed("net0")
        console.shell("while [ -e /sys/class/net/eth0 ]; do sleep 0.1; done")
        self.assertIsNone(self.live(dom).find("devices/interface"))
        self.assertIsNone(self.stored(dom).find("devices/interface"))
        wait_for(lambda: not os.path.exists(f"/sys/class/net/{tap}"), 5, "the tap is gone")

    def test_a_scsi_disk_on_a_plugged_controller(self):
        dom, console = self.boot("scsi")
        dom.attachDeviceFlags("<controller type='scsi' index='0' model='virtio-scsi'/>", LIVE | CONFIG)
        dom.attachDeviceFlags(disk_xml(image("scsi"), "sda", "scsi"), LIVE | CONFIG)
        console.shell("while [ ! -e /sys/block/sda ]; do sleep 0.1; done", 40)
        for document in (self.live(dom), self.stored(dom)):
            self.assertIsNotNone(document.find("devices/controller[@type='scsi']"))

    def test_disks_of_a_bus_stand_in_order(self):
        dom = self.bare("order", "<controller type='scsi' model='virtio-scsi'/>", start=True)
        for name in ("vdb", "sda", "sdc", "vdc", "sdb"):
            text = f"<disk type='file' device='disk'><source file='{image('order-' + name)}'/><target dev='{name}'/></disk>"
            dom.attachDeviceFlags(text, LIVE | CONFIG)
        for document in (self.live(dom), self.stored(dom)):
            names = [target.get("dev") for target in document.findall("devices/disk/target")]
            self.assertEqual(names, ["vdb", "vdc", "sda", "sdb", "sdc"])

    def test_a_controller_that_nobody_asked_for_comes_untold(self):
        dom = self.bare("implied", "<controller type='scsi' model='virtio-scsi'/><controller type='scsi' index='3' model='virtio-scsi'/>")
        dom.attachDeviceFlags(disk_xml(image("implied"), "sdn", "scsi"), LIVE)
        self.events.wait_added("scsi1-0-0-6")
        self.assertEqual([alias for alias in self.events.added if not alias.startswith("scsi1-")], [])
        indexes = [c.get("index") for c in self.live(dom).iter("controller") if c.get("type") == "scsi"]
        self.assertEqual(indexes, ["0", "1", "3"])

    def test_media_change_and_eject(self):
        first, second = image("first", 1 << 20), image("second", 2 << 20)
        drive = disk_xml(first, "hdc", "ide", "cdrom", "<readonly/>")
        dom = self.bare("changer", drive)
        alias = self.live(dom).find("devices/disk/alias").get("name")
        virsh("change-media", "changer", "hdc", second, "--live")
        self.assertEqual(self.live(dom).find("devices/disk/source").get("file"), second)
        self.assertIn(second, virsh("qemu-monitor-command", "changer", "--hmp", "info block").out)
        self.assertEqual(self.stored(dom).find("devices/disk/source").get("file"), first)
        # The firmware's reset may close it in between, which QEMU tells nobody; then it is opened once more.
        self.assertEqual([tray for tray, _ in itertools.groupby(self.events.trays)][:2], [(alias, 0), (alias, 1)])
        virsh("change-media", "changer", "hdc", "--eject", "--live", "--config")
        self.assertIsNone(self.live(dom).find("devices/disk/source[@file]"))
        self.assertIsNone(self.stored(dom).find("devices/disk/source[@file]"))
        virsh("change-media", "changer", "hdc", first, "--insert", "--live")
        self.assertEqual(self.live(dom).find("devices/disk/source").get("file"), first)
        # Attaching a drive that is there is a change of its medium too.
        dom.attachDeviceFlags(disk_xml(second, "hdc", "ide", "cdrom", "<readonly/>"), LIVE)
        self.assertEqual(self.live(dom).find("devices/disk/source").get("file"), second)
        with contextlib.suppress(libvirt.libvirtError):
            dom.updateDeviceFlags(disk_xml(f"{world.IMAGES}/absent.iso", "hdc", "ide", "cdrom", "<readonly/>"), LIVE)
            self.fail("an absent medium was taken")
        self.assertEqual(self.live(dom).find("devices/disk/source").get("file"), second)
        self.assertIn(second, virsh("qemu-monitor-command", "changer", "--hmp", "info block").out)

    def test_what_cannot_change_is_refused_by_name(self):
        dom = self.bare("rigid", disk_xml(image("rigid"), "vda"))
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "disk source can be changed only in removable drives"):
            dom.updateDeviceFlags(disk_xml(image("other"), "vda"), LIVE)
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "cannot modify field 'serial' of the disk"):
            dom.updateDeviceFlags(disk_xml(f"{world.IMAGES}/rigid.img", "vda", extra="<serial>x</serial>"), LIVE)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "disk 'vdq' not found"):
            dom.updateDeviceFlags(disk_xml(image("other"), "vdq"), LIVE)
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "live update of device 'rng' is not supported"):
            dom.updateDeviceFlags("<rng model='virtio'><backend model='random'/></rng>", LIVE)
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "persistent update of device 'rng' is not supported"):
            dom.updateDeviceFlags("<rng model='virtio'><backend model='random'/></rng>", CONFIG)

    def test_a_card_moves_to_another_bridge(self):
        subprocess.run(["ip", "link", "add", "elsewhere", "type", "bridge"], check=True)
        self.addCleanup(subprocess.run, ["ip", "link", "del", "elsewhere"])
        dom = self.bare("mover", nic_xml())
        tap = self.live(dom).find("devices/interface/target").get("dev")
        moved = nic_xml().replace("type='network'", "type='bridge'").replace("network='default'", "bridge='elsewhere'")
        dom.updateDeviceFlags(moved, LIVE)
        self.assertTrue(os.path.exists(f"/sys/class/net/elsewhere/brif/{tap}"))
        self.assertEqual(self.live(dom).find("devices/interface/source").get("bridge"), "elsewhere")
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "cannot modify network device model"):
            dom.updateDeviceFlags(moved.replace("type='virtio'", "type='e1000'"), LIVE)
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "bridge nowhere doesn't exist"):
            dom.updateDeviceFlags(moved.replace("elsewhere", "nowhere"), LIVE)
        self.assertTrue(os.path.exists(f"/sys/class/net/elsewhere/brif/{tap}"))

    def test_a_folder_of_the_host_comes_and_goes(self):
        folder = "/var/lib/libvirt/shared-folder"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/hello", "w") as f:
            f.write("from the host")
        memory = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
        dom, _ = self.boot("sharing", extra=memory)
        xml = f"<filesystem type='mount'><driver type='virtiofs'/><source dir='{folder}'/><target dir='shared'/></filesystem>"
        dom.attachDeviceFlags(xml, LIVE | CONFIG)
        self.events.wait_added("fs0")
        self.assertIn("fs0", self.in_qemu(dom))
        self.assertIn("virtiofsd", world.run("ps", "-e").out)
        for document in (self.live(dom), self.stored(dom)):
            self.assertEqual(document.find("devices/filesystem/target").get("dir"), "shared")
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "Target already exists"):
            dom.attachDeviceFlags(xml, LIVE)
        dom.detachDeviceFlags(xml, LIVE | CONFIG)
        self.events.wait_removed("fs0")
        wait_for(lambda: "virtiofsd" not in world.run("ps", "-e").out, 20, "its helper ends")

    # ---- every kind ----

    def test_kinds_that_can_be_plugged(self):
        scsi = "<controller type='scsi' model='virtio-scsi'/>"
        dom = self.bare("kinds", f"{USB}{scsi}<controller type='virtio-serial'/>")
        kinds = [
            ("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>", "rng0"),
            ("<watchdog model='i6300esb' action='poweroff'/>", "watchdog0"),
            ("<input type='tablet' bus='usb'/>", "input2"),
            ("<input type='keyboard' bus='virtio'/>", "input3"),
            ("<channel type='null'><target type='virtio' name='org.example.0'/></channel>", "channel0"),
            ("<channel type='unix'><target type='virtio' name='org.example.1'/></channel>", "channel1"),
            (disk_xml(image("kind-s"), "sda", "scsi"), "scsi0-0-0-0"),
            (disk_xml(image("kind-u"), "sdq", "usb"), "usb-disk16"),
            ("<redirdev bus='usb' type='tcp'><source mode='bind' host='127.0.0.1' service='4321'/></redirdev>", "redir0"),
            ("<shmem name='shared'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>", "shmem0"),
            ("<controller type='scsi' index='1' model='virtio-scsi'/>", "scsi1"),
            ("<serial type='pty'><target type='pci-serial'/></serial>", "serial0"),
            ("<interface type='user'><mac address='52:54:00:11:11:11'/><model type='e1000'/></interface>", "net0"),
        ]
        for xml, alias in kinds:
            with self.subTest(alias):
                dom.attachDeviceFlags(xml, LIVE)
                self.events.wait_added(alias)
                self.assertIn(f"<alias name='{alias}'/>", dom.XMLDesc())
                self.assertIn(alias, self.in_qemu(dom))
        before = dom.XMLDesc().replace(" state='disconnected'", "")
        world.daemon.restart(signal.SIGKILL)
        again = self.connect().lookupByName("kinds")
        self.assertEqual(again.XMLDesc().replace(" state='disconnected'", ""), before)

    def test_kinds_that_cannot_be_plugged_are_refused(self):
        dom = self.bare("fixed")
        sound, video = "<sound model='ac97'/>", "<video><model type='virtio'/></video>"
        for flags, word in ((LIVE, "live"), (CONFIG, "persistent")):
            with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, f"{word} attach of device 'video' is not supported"):
                dom.attachDeviceFlags(video, flags)
            with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, f"{word} detach of device 'video' is not supported"):
                dom.detachDeviceFlags(video, flags)
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "live attach of device 'sound' is not supported"):
            dom.attachDeviceFlags(sound, LIVE)
        dom.attachDeviceFlags(sound, CONFIG)
        dom.detachDeviceFlags(sound, CONFIG)
        nine = "<filesystem type='mount'><source dir='/tmp'/><target dir='nine'/></filesystem>"
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "only virtiofs filesystems can be hotplugged"):
            dom.attachDeviceFlags(nine, LIVE)
        for kind, xml in (
            ("tpm", "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"),
            ("panic", "<panic model='isa'/>"),
            ("memballoon", "<memballoon model='virtio'/>"),
        ):
            with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, f"live attach of device '{kind}' is not supported"):
                dom.attachDeviceFlags(xml, LIVE)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "Could not find sata controller with index 0"):
            dom.attachDeviceFlags(disk_xml(image("sata"), "sda", "sata"), LIVE)
        port = "<channel type='unix'><target type='virtio' name='org.example.0'/></channel>"
        ported = self.bare("ported", f"<controller type='virtio-serial'/>{port}")
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "chardev already exists"):
            ported.attachDeviceFlags(port, LIVE)
        if not os.path.exists("/dev/vhost-vsock"):
            with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "unable to open vhost-vsock device"):
                dom.attachDeviceFlags("<vsock model='virtio'><cid auto='yes'/></vsock>", LIVE)
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "unknown device type 'nothing'"):
            dom.attachDeviceFlags("<nothing/>", LIVE)
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "'usb' controller cannot be hot plugged"):
            dom.attachDeviceFlags("<controller type='usb' index='4' model='qemu-xhci'/>", LIVE)
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "'sata' controller cannot be hot unplugged."):
            dom.detachDeviceFlags("<controller type='sata' index='7'/>", LIVE)
        with self.refused(libvirt.VIR_ERR_DEVICE_MISSING):
            dom.detachDeviceFlags(nic_xml(), LIVE)
        with self.refused(libvirt.VIR_ERR_DEVICE_MISSING):
            dom.detachDeviceFlags(nic_xml(), CONFIG)
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "unsupported flags"):
            dom.attachDeviceFlags(sound, 1 << 10)
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "no device found with alias nobody"):
            dom.detachDeviceAlias("nobody", LIVE)

    def test_wrong_states(self):
        dom = self.bare("still", start=False)
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running"):
            dom.attachDevice(nic_xml())
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running"):
            dom.detachDevice(nic_xml())
        passing = self.conn.createXML(world.bare_xml("passing"))
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "transient domains do not have any persistent config"):
            passing.attachDeviceFlags(nic_xml(), CONFIG)
        reader = self.connect(readonly=True).lookupByName("still")
        for call in (reader.attachDeviceFlags, reader.detachDeviceFlags, reader.updateDeviceFlags):
            with self.refused(libvirt.VIR_ERR_OPERATION_DENIED, "read only access"):
                call(nic_xml(), CONFIG)

    # ---- all or nothing ----

    def test_a_failure_in_one_document_leaves_both_alone(self):
        dom = self.bare("torn", disk_xml(image("torn"), "vda"))
        dom.detachDeviceFlags(disk_xml(f"{world.IMAGES}/torn.img", "vda"), CONFIG)
        stored, live = dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), dom.XMLDesc()
        with self.assertRaises(libvirt.libvirtError):  # the live document has it already
            dom.attachDeviceFlags(disk_xml(f"{world.IMAGES}/torn.img", "vda"), LIVE | CONFIG)
        self.assertEqual((dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), dom.XMLDesc()), (stored, live))
        with self.assertRaises(libvirt.libvirtError):  # QEMU cannot open it
            dom.attachDeviceFlags(disk_xml(f"{world.IMAGES}/absent.img", "vdz"), LIVE | CONFIG)
        self.assertEqual((dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), dom.XMLDesc()), (stored, live))
        self.assertNotIn("vdz", virsh("qemu-monitor-command", "torn", "--hmp", "info block").out)

    def test_a_guest_that_does_not_let_go_keeps_its_disk(self):
        dom = self.bare("deaf", disk_xml(image("deaf"), "vda"))  # no system runs in it
        began = time.monotonic()
        dom.detachDeviceFlags(disk_xml(f"{world.IMAGES}/deaf.img", "vda"), LIVE)
        self.assertLess(time.monotonic() - began, 20)
        self.assertIn("virtio-disk0", self.in_qemu(dom))
        self.assertIsNotNone(self.live(dom).find("devices/disk"))

    # ---- the stored document ----

    def test_a_stored_document_changes_and_the_guest_does_not(self):
        dom = self.bare("paper")
        dom.attachDeviceFlags(disk_xml(image("paper"), "sda", "scsi"), CONFIG)
        stored = self.stored(dom)
        self.assertEqual(stored.find("devices/disk/address").get("type"), "drive")
        self.assertIsNotNone(stored.find("devices/controller[@type='scsi']"))
        self.assertIsNone(self.live(dom).find("devices/disk"))
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "target sda already exists"):
            dom.attachDeviceFlags(disk_xml(image("paper"), "sda", "scsi"), CONFIG)
        changed = disk_xml(image("paper2"), "sda", "scsi", extra="<serial>abc</serial>")
        dom.updateDeviceFlags(changed, CONFIG)
        self.assertEqual(self.stored(dom).find("devices/disk/serial").text, "abc")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "target sdz doesn't exist."):
            dom.updateDeviceFlags(disk_xml(image("paper"), "sdz", "scsi"), CONFIG)
        dom.detachDeviceFlags(changed, CONFIG)
        self.assertIsNone(self.stored(dom).find("devices/disk"))
        with self.refused(libvirt.VIR_ERR_DEVICE_MISSING, "no target device sda"):
            dom.detachDeviceFlags(changed, CONFIG)
        self.assertTrue(os.path.exists("/etc/libvirt/qemu/paper.xml"))

    def test_ports_of_stored_consoles(self):
        dom = self.bare("consoles", "<serial type='pty'/><console type='pty'/>", start=False)
        dom.attachDeviceFlags("<console type='pty'><target type='virtio'/></console>", CONFIG)
        targets = [console.find("target").attrib for console in self.stored(dom).iter("console")]
        self.assertEqual(targets, [{"type": "serial", "port": "0"}, {"type": "virtio", "port": "1"}])

    def test_named_by_alias(self):
        dom, _ = self.boot("aliased")
        xml = disk_xml(image("aliased"), extra="<alias name='ua-mine'/>")
        dom.attachDeviceFlags(xml, LIVE | CONFIG)
        self.events.wait_added("ua-mine")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "non unique alias detected: ua-mine"):
            dom.attachDeviceFlags(disk_xml(image("aliased2"), "vdc", extra="<alias name='ua-mine'/>"), CONFIG)
        dom.detachDeviceAlias("ua-mine", LIVE | CONFIG)
        self.events.wait_removed("ua-mine")
        self.assertIsNone(self.stored(dom).find("devices/disk"))

    # ---- the daemon dies ----

    def test_killed_between_the_request_and_the_answer(self):
        dom, console = self.boot("survivor")
        path = image("survivor")
        for step in range(4):
            attach = subprocess.Popen(
                ["virsh", "-c", world.URI, "attach-disk", "survivor", path, "vdb", "--live"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(0.01 + 0.03 * step)  # any moment must do: this only varies which one it is
            world.daemon.restart(signal.SIGKILL)
            attach.wait(30)
            again = self.connect().lookupByName("survivor")
            self.addCleanup(lambda: None)
            wait_for(lambda: (b"virtio-disk1" in again.XMLDesc().encode()) == ("virtio-disk1" in self.in_qemu(again)), 15, "agreement")
            if "virtio-disk1" in again.XMLDesc():
                again.detachDeviceFlags(disk_xml(path), LIVE)
                wait_for(lambda: "virtio-disk1" not in again.XMLDesc(), 20, "the disk goes")
            again.attachDeviceFlags(disk_xml(path), LIVE)
            again.detachDeviceFlags(disk_xml(path), LIVE)
            wait_for(lambda: "virtio-disk1" not in again.XMLDesc(), 20, "the disk goes")


if __name__ == "__main__":
    world.main()
