#!/usr/bin/python3
"""The host as stock virsh and python3-libvirt see it."""

import os
import xml.etree.ElementTree as ET

import libvirt
import world
from world import virsh


class Host(world.Case):
    def test_uri(self):
        self.assertEqual(virsh("uri").out, "qemu:///system\n\n")
        self.assertEqual(self.connect().getURI(), "qemu:///system")

    def test_version(self):
        out = virsh("version", "--daemon").out
        self.assertRegex(out, r"(?m)^Compiled against library: libvirt 9\.\d+\.\d+$")
        self.assertRegex(out, r"(?m)^Using API: QEMU 9\.\d+\.\d+$")
        self.assertRegex(out, r"(?m)^Running hypervisor: QEMU 7\.2\.\d+$")
        self.assertRegex(out, r"(?m)^Running against daemon: \d+\.\d+\.\d+$")
        conn = self.connect()
        self.assertEqual(conn.getType(), "QEMU")
        self.assertGreaterEqual(conn.getLibVersion(), 9000000)

    def test_hostname(self):
        self.assertEqual(virsh("hostname").out.strip(), "lodge-world")

    def test_nodeinfo(self):
        out = virsh("nodeinfo").out
        self.assertRegex(out, r"(?m)^CPU model: +x86_64$")
        self.assertRegex(out, rf"(?m)^CPU\(s\): +{os.cpu_count()}$")
        self.assertRegex(out, r"(?m)^Memory size: +\d{7,} KiB$")

    def test_sysfs_and_free_memory(self):
        self.assertGreater(self.connect().getFreeMemory(), 1 << 20)
        self.assertIn("user", self.connect().getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS))

    def test_capabilities(self):
        caps = ET.fromstring(virsh("capabilities").out)
        self.assertEqual(caps.tag, "capabilities")
        self.assertEqual(caps.findtext("host/cpu/arch"), "x86_64")
        self.assertRegex(caps.findtext("host/uuid"), r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        self.assertIsNotNone(caps.find("host/topology/cells/cell"))
        guest = next(g for g in caps.findall("guest") if g.find("arch").get("name") == "x86_64")
        self.assertEqual(guest.findtext("os_type"), "hvm")
        self.assertEqual(guest.findtext("arch/emulator"), "/usr/bin/qemu-system-x86_64")
        machines = {m.text: m.get("canonical") for m in guest.findall("arch/machine")}
        self.assertEqual(machines["q35"], "pc-q35-7.2")
        self.assertEqual(machines["pc"], "pc-i440fx-7.2")
        self.assertIn("qemu", [d.get("type") for d in guest.findall("arch/domain")])

    def test_domcapabilities(self):
        caps = ET.fromstring(virsh("domcapabilities", "--virttype", "qemu", "--machine", "q35").out)
        self.assertEqual(caps.tag, "domainCapabilities")
        self.assertEqual(caps.findtext("path"), "/usr/bin/qemu-system-x86_64")
        self.assertEqual(caps.findtext("domain"), "qemu")
        self.assertEqual(caps.findtext("machine"), "pc-q35-7.2")
        self.assertGreaterEqual(int(caps.find("vcpu").get("max")), 255)
        buses = [v.text for v in caps.findall("devices/disk/enum[@name='bus']/value")]
        for bus in ("virtio", "scsi", "sata"):
            self.assertIn(bus, buses)
        self.assertEqual(caps.find("os").get("supported"), "yes")
        self.assertEqual(caps.find("cpu/mode[@name='custom']").get("supported"), "yes")

    def test_domcapabilities_refuses_what_is_not_there(self):
        failed = virsh("domcapabilities", "--machine", "toaster", check=False)
        self.assertEqual(failed.rc, 1)
        self.assertIn("the machine 'toaster' is not supported by emulator", failed.err)
        failed = virsh("domcapabilities", "--arch", "z80", check=False)
        self.assertEqual(failed.rc, 1)
        self.assertIn("z80", failed.err)

    def test_list_and_info(self):
        self.assertEqual(virsh("list").out, " Id   Name   State\n--------------------\n\n")
        conn = self.connect()
        conn.defineXML(world.bare_xml("quiet", extra="<uuid>12345678-1234-1234-1234-123456789abc</uuid>"))
        self.assertEqual(virsh("list", "--all").out.splitlines()[2].split(), ["-", "quiet", "shut", "off"])
        self.assertEqual(virsh("list", "--all", "--uuid").out.strip(), "12345678-1234-1234-1234-123456789abc")
        self.assertEqual(virsh("domname", "12345678-1234-1234-1234-123456789abc").out.strip(), "quiet")
        self.assertEqual(virsh("domuuid", "quiet").out.strip(), "12345678-1234-1234-1234-123456789abc")
        self.assertEqual(virsh("domid", "quiet").out.strip(), "-")
        info = dict(line.split(":", 1) for line in virsh("dominfo", "quiet").out.strip().splitlines())
        info = {k: v.strip() for k, v in info.items()}
        self.assertEqual(
            {k: info[k] for k in ("Id", "Name", "OS Type", "State", "CPU(s)", "Max memory", "Persistent", "Autostart", "Managed save")},
            {
                "Id": "-",
                "Name": "quiet",
                "OS Type": "hvm",
                "State": "shut off",
                "CPU(s)": "1",
                "Max memory": "16384 KiB",
                "Persistent": "yes",
                "Autostart": "disable",
                "Managed save": "no",
            },
        )

    def test_what_a_minimal_document_becomes(self):
        dom = self.connect().defineXML(world.bare_xml("minimal"))
        root = ET.fromstring(dom.XMLDesc())
        self.assertEqual(root.find("os/type").attrib, {"arch": "x86_64", "machine": "pc-i440fx-7.2"})
        self.assertEqual(root.findtext("devices/emulator"), "/usr/bin/qemu-system-x86_64")
        self.assertEqual(root.findtext("on_crash"), "destroy")
        self.assertEqual(root.find("clock").get("offset"), "utc")
        controllers = {(c.get("type"), c.get("index"), c.get("model")) for c in root.findall("devices/controller")}
        self.assertEqual(controllers, {("usb", "0", "piix3-uhci"), ("pci", "0", "pci-root")})
        self.assertEqual({(i.get("type"), i.get("bus")) for i in root.findall("devices/input")}, {("mouse", "ps2"), ("keyboard", "ps2")})

    def test_defining_again_changes_nothing(self):
        conn = self.connect()
        dom = conn.defineXML(world.guest_xml("stable", disks=[("/var/lib/libvirt/images/a.qcow2", "qcow2")]))
        first = dom.XMLDesc()
        self.assertEqual(conn.defineXML(first).XMLDesc(), first)

    def test_statistics(self):
        conn = self.connect()
        conn.createXML(world.bare_xml("counted"))
        (record,) = [stats for dom, stats in conn.getAllDomainStats() if dom.name() == "counted"]
        self.assertEqual(record["state.state"], libvirt.VIR_DOMAIN_RUNNING)
        self.assertGreater(record["cpu.time"], 0)
        self.assertEqual(record["vcpu.current"], 1)
        self.assertEqual(record["balloon.maximum"], 16384)

    def test_readonly_sees_and_may_not_change(self):
        self.connect().defineXML(world.bare_xml("exhibit"))
        conn = self.connect(readonly=True)
        dom = conn.lookupByName("exhibit")
        self.assertFalse(dom.isActive())
        with self.refused(libvirt.VIR_ERR_OPERATION_DENIED):
            dom.create()
        self.assertIn("error: operation forbidden: read only access prevents virDomainCreate", virsh("start", "exhibit", readonly=True, check=False).err)

    def test_unserved_calls_leave_the_connection_alive(self):
        conn = self.connect()
        try:
            conn.storageVolLookupByPath("/nonexistent")
        except libvirt.libvirtError as error:
            self.assertIn(error.get_error_code(), (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_NO_STORAGE_VOL))
        self.assertEqual(conn.getHostname(), "lodge-world")

    def test_the_names_of_the_modular_daemons(self):
        for name in ("virtqemud-sock", "virtnetworkd-sock", "virtinterfaced-sock"):
            if world.IS_LODGE:
                uri = f"qemu+unix:///system?socket=/run/libvirt/{name}"
                self.assertEqual(virsh("uri", uri=uri).rc, 0)

    @world.only_lodge
    def test_test_default(self):
        uri = f"test+unix:///default?socket={world.SOCKET}"
        self.assertIn("test", virsh("list", "--name", uri=uri).out)
        virsh("suspend", "test", uri=uri)
        self.assertEqual(virsh("domstate", "test", uri=uri).out.strip(), "paused")
        virsh("resume", "test", uri=uri)

    def test_metadata_and_title(self):
        virsh("define", self.file(world.bare_xml("described")))
        virsh("desc", "described", "--title", "--new-desc", "a title", "--config")
        self.assertEqual(virsh("desc", "described", "--title").out.strip(), "a title")
        virsh("desc", "described", "--new-desc", "more words", "--config")
        self.assertIn("<description>more words</description>", virsh("dumpxml", "described").out)
        virsh("metadata", "described", "http://example.com/x", "--key", "x", "--set", "<tag a='1'/>", "--config")
        self.assertIn("<tag a='1'/>", virsh("metadata", "described", "http://example.com/x").out.replace('"', "'"))

    def file(self, text):
        path = "/run/tmp/document.xml"
        with open(path, "w") as f:
            f.write(text)
        return path

    def test_admin(self):
        if not os.path.exists("/usr/bin/virt-admin"):
            self.skipTest("virt-admin is not installed")
        out = world.run("virt-admin", "server-list").out
        self.assertIn("libvirtd", out)


if __name__ == "__main__":
    world.main()
