#!/usr/bin/python3
"""What goes wrong must be said with libvirt's code, leave nothing behind and delay nobody else."""

import glob
import os
import shutil
import socket
import threading
import time

import libvirt
import world
from world import virsh, wait_for

FAKES = "/usr/local/lib/lodge-fakes"  # where QEMU's account may execute


def processes(word):
    """pid -> command line of the running processes whose command line has this word."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                line = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        pid = int(path.split("/")[2])
        if word in line and pid != os.getpid() and world.alive(pid):
            found[pid] = line
    return found


class Documents(world.Case):
    def setUp(self):
        self.conn = self.connect()

    def test_text_that_is_no_xml(self):
        with self.refused(libvirt.VIR_ERR_XML_DETAIL, "(domain_definition):1:"):
            self.conn.defineXML("<domain")

    def test_another_document(self):
        with self.refused(libvirt.VIR_ERR_XML_ERROR, "expecting root element of 'domain', not 'network'"):
            self.conn.defineXML("<network><name>x</name></network>")

    def test_no_type(self):
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "missing domain type attribute"):
            self.conn.defineXML("<domain><name>x</name></domain>")

    def test_unknown_type(self):
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "invalid domain type nonsense"):
            self.conn.defineXML("<domain type='nonsense'><name>x</name></domain>")

    def test_no_name(self):
        with self.refused(libvirt.VIR_ERR_NO_NAME):
            self.conn.defineXML("<domain type='qemu'><memory>1024</memory><os><type>hvm</type></os></domain>")

    def test_names_with_slashes(self):
        with self.refused(libvirt.VIR_ERR_XML_ERROR, "name ../../etc/passwd cannot contain '/'"):
            self.conn.defineXML(world.bare_xml("../../etc/passwd"))
        with self.refused(libvirt.VIR_ERR_XML_DETAIL, "invalid char in name: /"):
            self.conn.networkDefineXML("<network><name>a/b</name><bridge name='virbr7'/></network>")

    def test_no_memory(self):
        with self.refused(libvirt.VIR_ERR_XML_ERROR):
            self.conn.defineXML("<domain type='qemu'><name>x</name><os><type>hvm</type></os></domain>")

    def test_bad_uuid(self):
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "malformed uuid element"):
            self.conn.defineXML(world.bare_xml("x", extra="<uuid>no-uuid</uuid>"))

    def test_same_name_other_uuid(self):
        self.conn.defineXML(world.bare_xml("twin", extra="<uuid>00000000-1111-2222-3333-444444444444</uuid>"))
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "domain 'twin' already exists with uuid 00000000-1111-2222-3333-444444444444",
                          origin=libvirt.VIR_FROM_DOMAIN):
            self.conn.defineXML(world.bare_xml("twin", extra="<uuid>00000000-1111-2222-3333-444444444445</uuid>"))
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "domain 'twin' is already defined with uuid"):
            self.conn.createXML(world.bare_xml("other", extra="<uuid>00000000-1111-2222-3333-444444444444</uuid>"))
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "Can't rename domain to itself", origin=libvirt.VIR_FROM_DOMAIN):
            self.conn.lookupByName("twin").rename("twin")

    def test_metadata_that_is_none(self):
        dom = self.conn.defineXML(world.bare_xml("bare"))
        with self.refused(libvirt.VIR_ERR_XML_DETAIL, "(metadata_xml):1:"):
            dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<x", "key", "http://example.com/x")
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "unknown metadata type '9'", origin=libvirt.VIR_FROM_DOMAIN):
            dom.metadata(9, None)
        with self.refused(libvirt.VIR_ERR_NO_DOMAIN_METADATA, "Requested metadata element is not present", origin=libvirt.VIR_FROM_DOMAIN):
            dom.metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None)

    def test_first_of_two_mistakes(self):
        """Kinds of devices are read one after another, then get defaults and places, and are validated last."""
        broken_disk = "<disk type='file'><source file='/a'/><target dev='hda' bus='nonsense'/></disk>"
        broken_card = "<interface type='user'><mac address='03:00:00:00:00:01'/></interface>"
        twice = 2 * "<rng model='virtio'><backend model='random'/><address type='pci' slot='3'/></rng>"
        unfit = "<watchdog model='diag288'/>"
        for devices, code, text in (
            (broken_card + broken_disk, libvirt.VIR_ERR_XML_ERROR, "Invalid value for attribute 'bus'"),
            (twice + broken_card, libvirt.VIR_ERR_XML_ERROR, "found multicast"),
            (unfit + twice, libvirt.VIR_ERR_XML_ERROR, "Attempted double use of PCI Address"),
            (unfit, libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "diag288 model of watchdog"),
        ):
            with self.refused(code, text):
                self.conn.defineXML(world.bare_xml("two", devices=devices))
        with self.refused(libvirt.VIR_ERR_XML_ERROR, "Attempted double use of PCI Address"):  # before the machine is looked at
            self.conn.defineXML(world.bare_xml("two", devices=twice).replace("type='qemu'", "type='xen'"))

    def test_nothing_is_kept_of_what_is_refused(self):
        consoles = "<console type='pty'><target type='serial' port='0'/></console><console type='pty'><target port='0'/></console>"
        with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "Only the first console can be a serial port"):
            self.conn.defineXML(world.bare_xml("consoles", devices=consoles))
        self.assertNotIn("consoles", [d.name() for d in self.conn.listAllDomains()])

    def test_an_empty_part_is_no_trap(self):
        """An empty <source/> says nothing and is not written, yet what was defined stays to be read, changed and undefined."""
        below = "<backingStore type='file'><format type='raw'/><source/><backingStore/></backingStore>"
        disk = f"<disk type='file'><driver name='qemu' type='qcow2'/><source file='/a'/>{below}<target dev='vda' bus='virtio'/></disk>"
        dom = self.conn.defineXML(world.bare_xml("hollow", devices=disk))
        self.assertIn("<backingStore type='file'>", dom.XMLDesc())
        dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "hollow", None, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
        dom.undefine()

    def test_elements_given_twice_are_read_as_one(self):
        two = world.bare_xml("halves", devices="<rng model='virtio'><backend model='random'/></rng>").replace(
            "</domain>", "<devices><tpm model='tpm-tis'><backend type='passthrough'/></tpm></devices></domain>")
        domain = self.conn.defineXML(two)
        self.assertIn("<rng model='virtio'>", domain.XMLDesc())
        self.assertIn("<tpm model='tpm-tis'>", domain.XMLDesc())

    def test_limits_of_a_card(self):
        def card(parts):
            return world.bare_xml("card", devices=f"<interface type='user'>{parts}</interface>")

        for parts, code, text in (
            ("<bandwidth classID='1'/>", libvirt.VIR_ERR_XML_DETAIL, "classID attribute not supported on <bandwidth>"),
            ("<bandwidth><inbound/></bandwidth>", libvirt.VIR_ERR_XML_DETAIL, "Missing mandatory average or floor attributes"),
            ("<bandwidth><inbound floor='1'/></bandwidth>", libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "floor attribute is not supported"),
            ("<vlan/>", libvirt.VIR_ERR_XML_ERROR, "missing tag id"),
            ("<ip address='10.0.0.300'/>", libvirt.VIR_ERR_XML_ERROR, "Invalid address '10.0.0.300' in <ip>"),
            ("<ip address='10.0.0.3' peer='fe::1'/>", libvirt.VIR_ERR_INVALID_ARG, "Invalid peer 'fe::1' in <ip>"),
            ("<route address='fe::' gateway='fe::1'/>", libvirt.VIR_ERR_XML_ERROR, "guest interface: No family specified"),
        ):
            with self.refused(code, text):
                self.conn.defineXML(card(parts))

    def test_xml_bomb(self):
        levels = "".join(f"<!ENTITY l{i} \"{'&l%d;' % (i - 1) * 10}\">" for i in range(1, 12))
        bomb = f"<?xml version='1.0'?><!DOCTYPE domain [<!ENTITY l0 'x'>{levels}]><domain type='qemu'><name>&l11;</name></domain>"
        start = time.monotonic()
        with self.assertRaises(libvirt.libvirtError):
            self.conn.defineXML(bomb)
        self.assertLess(time.monotonic() - start, 5)
        self.assertTrue(self.conn.isAlive())

    def test_nesting_without_end(self):
        with self.assertRaises(libvirt.libvirtError):
            self.conn.defineXML("<domain type='qemu'>" + "<a>" * 100000)
        self.assertEqual(self.conn.listAllDomains(), [])

    def test_lookups_that_find_nothing(self):
        with self.refused(libvirt.VIR_ERR_NO_DOMAIN, "Domain not found: no domain with matching name 'nobody'"):
            self.conn.lookupByName("nobody")
        with self.refused(libvirt.VIR_ERR_NO_DOMAIN, "no domain with matching id 4711"):
            self.conn.lookupByID(4711)
        with self.refused(libvirt.VIR_ERR_NO_DOMAIN, "no domain with matching uuid '00000000-0000-0000-0000-000000000001'"):
            self.conn.lookupByUUIDString("00000000-0000-0000-0000-000000000001")
        with self.refused(libvirt.VIR_ERR_NO_NETWORK, "Network not found: no network with matching name 'nowhere'"):
            self.conn.networkLookupByName("nowhere")

    def test_unknown_procedures_and_flags(self):
        dom = self.conn.defineXML(world.bare_xml("flags"))
        with self.refused(libvirt.VIR_ERR_INVALID_ARG, "unsupported flags"):
            dom.XMLDesc(1 << 30)
        self.assertTrue(self.conn.isAlive())


class Starts(world.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        shutil.copytree(world.FAKES, FAKES, dirs_exist_ok=True)

    def setUp(self):
        self.conn = self.connect()

    def left_behind(self, name):
        """Files and processes of a guest that does not run."""
        files = [p for pattern in ("/run/libvirt/qemu/%s.*", "/var/lib/libvirt/qemu/domain-*-%s") for p in glob.glob(pattern % name)]
        links = [l for l in os.listdir("/sys/class/net") if l.startswith("vnet")]
        return files + links + list(processes(f"guest={name},").values())

    def test_missing_disk(self):
        dom = self.conn.defineXML(world.guest_xml("nodisk", nics=0, disks=[("/nonexistent/disk.img", "raw")]))
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "Cannot access storage file '/nonexistent/disk.img'", "No such file or directory"):
            dom.create()
        self.assertEqual(dom.state()[0], libvirt.VIR_DOMAIN_SHUTOFF)
        self.assertEqual(self.left_behind("nodisk"), [])

    def test_missing_kernel(self):
        world.default_network()
        dom = self.conn.defineXML(world.guest_xml("nokernel").replace(world.KERNEL, "/nonexistent/vmlinuz"))
        with self.assertRaises(libvirt.libvirtError) as caught:
            dom.create()
        self.assertIn("/nonexistent/vmlinuz", str(caught.exception))
        self.assertEqual(self.left_behind("nokernel"), [])

    def test_missing_network(self):
        dom = self.conn.defineXML(world.guest_xml("nonet").replace("network='default'", "network='nowhere'"))
        with self.refused(libvirt.VIR_ERR_NO_NETWORK, "no network with matching name 'nowhere'"):
            dom.create()
        self.assertEqual(self.left_behind("nonet"), [])

    def test_what_a_bridge_cannot_give_a_card(self):
        world.default_network()
        card = "<interface type='network'><mac address='52:54:00:00:00:31'/><source network='default'/>{}</interface>"
        for more, origin, words in (
            ("<vlan><tag id='3'/></vlan>", libvirt.VIR_FROM_DOMAIN, "interface 52:54:00:00:00:31 - vlan tag not supported for this connection type"),
            ("<virtualport type='openvswitch'/>", libvirt.VIR_FROM_NETWORK,
             "<virtualport type='openvswitch'> not supported for network 'default' which uses IP forwarding"),
        ):
            with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, words, origin=origin):
                self.conn.createXML(world.bare_xml("tagged", devices=card.format(more)))
            dom = self.conn.createXML(world.bare_xml("plain", devices=card.format("")))
            with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, words, origin=origin):
                dom.updateDeviceFlags(card.format(more), libvirt.VIR_DOMAIN_AFFECT_LIVE)
            dom.destroy()

    def test_wrong_emulator(self):
        with self.refused(libvirt.VIR_ERR_SYSTEM_ERROR, "Cannot check QEMU binary /nonexistent/qemu: No such file or directory"):
            self.conn.defineXML(world.bare_xml("noqemu", emulator="/nonexistent/qemu"))

    def test_emulator_that_is_none(self):
        with self.assertRaises(libvirt.libvirtError):
            self.conn.createXML(world.bare_xml("notqemu", emulator="/bin/true"))
        self.assertEqual(self.left_behind("notqemu"), [])

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 5977)):
            dom = self.conn.defineXML(world.bare_xml("port", devices="<graphics type='vnc' port='5977'/>"))
            with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "Address already in use"):
                dom.create()
        self.assertEqual(self.left_behind("port"), [])
        dom.create()

    def test_qemu_refuses_with_its_own_words(self):
        extra = "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-device'/><qemu:arg value='no-such-device'/></qemu:commandline>"
        dom = self.conn.defineXML(world.bare_xml("refused").replace("</domain>", extra + "</domain>"))
        start = time.monotonic()
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "'no-such-device' is not a valid device model name"):
            dom.create()
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual(self.left_behind("refused"), [])

    def test_emulator_that_dies_at_once(self):
        dom = self.conn.defineXML(world.bare_xml("mayfly", emulator=FAKES + "/dies_at_once"))
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "the emulator has no wish to live"):
            dom.create()
        self.assertEqual(dom.state()[0], libvirt.VIR_DOMAIN_SHUTOFF)
        self.assertEqual(self.left_behind("mayfly"), [])

    def test_emulator_that_hangs_before_its_greeting(self):
        dom = self.conn.defineXML(world.bare_xml("mute", emulator=FAKES + "/hangs"))
        other = self.conn.defineXML(world.bare_xml("other"))
        failures = []

        def start():
            with world.contextlib.closing(libvirt.open(world.URI)) as conn:
                try:
                    conn.lookupByName("mute").create()
                except libvirt.libvirtError as error:
                    failures.append(error)

        thread = threading.Thread(target=start)
        thread.start()
        wait_for(lambda: processes("sleep 3600"), what="the fake emulator")
        begun = time.monotonic()
        other.create()
        self.assertIn("other", virsh("list", "--name").out)
        self.assertEqual(dom.name(), "mute")
        self.assertLess(time.monotonic() - begun, 3)
        if not world.IS_LODGE:  # the peer waits longer than a test should
            for pid in processes("sleep 3600"):
                os.kill(pid, 9)
        thread.join(60)
        self.assertFalse(thread.is_alive())
        self.assertEqual(len(failures), 1)
        self.assertEqual(dom.state()[0], libvirt.VIR_DOMAIN_SHUTOFF)
        self.assertEqual(self.left_behind("mute"), [])
        self.assertEqual(processes("sleep 3600"), {})

    def test_emulator_that_floods_its_monitor(self):
        dom = self.conn.defineXML(world.bare_xml("flood", emulator=FAKES + "/floods"))
        begun = time.monotonic()
        with self.assertRaises(libvirt.libvirtError):
            dom.create()
        self.assertLess(time.monotonic() - begun, 60)
        wait_for(lambda: not self.left_behind("flood"), 10, "the flooding emulator to be gone")
        with open(f"/proc/{world.daemon.process.pid}/status") as f:
            rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        self.assertLess(rss, 400 * 1024, "the flood stays bounded in memory")
        self.assertTrue(self.conn.isAlive())

    def test_start_of_what_runs(self):
        dom = self.conn.createXML(world.bare_xml("running"))
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "domain is already running"):
            dom.create()
        with self.refused(libvirt.VIR_ERR_OPERATION_FAILED, "domain 'running' already exists"):
            self.conn.createXML(world.bare_xml("running"))

    def test_broken_files_are_reported_and_kept(self):
        path = "/etc/libvirt/qemu/broken.xml"
        with open(path, "w") as f:
            f.write("<domain type='qemu'>\n<name>broken</name>\n<memory\n")
        self.addCleanup(os.unlink, path)
        self.conn.close()
        world.daemon.restart()
        self.assertEqual(virsh("list", "--all", "--name").out.split(), [])
        with open(path) as f:
            self.assertIn("<memory", f.read())
        if world.IS_LODGE:
            with open(world.LOG) as f:
                self.assertIn("broken.xml", f.read())


if __name__ == "__main__":
    world.main()
