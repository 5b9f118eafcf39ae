#!/usr/bin/python3
"""Devices of the host: names, documents, parents, capabilities, events, and what is refused of them."""

import os
import re

import libvirt
import world
from world import run, virsh, wait_for


class Devices(world.Case):
    def setUp(self):
        self.conn = self.connect()

    def test_the_computer_and_its_interfaces(self):
        computer = self.conn.nodeDeviceLookupByName("computer")
        self.assertIsNone(computer.parent())
        self.assertEqual(computer.listCaps(), ["system"])
        self.assertEqual(computer.numOfCaps(), 1)
        text = computer.XMLDesc()
        self.assertTrue(text.startswith("<device>\n  <name>computer</name>\n  <capability type='system'>\n"))
        self.assertRegex(text, "(?s)<hardware>.*<uuid>[-0-9a-f]{36}</uuid>\n    </hardware>\n    <firmware>")
        lo = self.conn.nodeDeviceLookupByName("net_lo_00_00_00_00_00_00")
        self.assertEqual(lo.parent(), "computer")
        text = lo.XMLDesc()
        for part in (
            "  <path>/sys/devices/virtual/net/lo</path>\n",
            "    <interface>lo</interface>\n    <address>00:00:00:00:00:00</address>\n    <link state='unknown'/>\n    <feature name='rx'/>\n",
            "    <capability type='80203'/>\n",
        ):
            self.assertIn(part, text)

    def test_lists_and_filters(self):
        names = {device.name() for device in self.conn.listAllDevices()}
        self.assertEqual(names, set(self.conn.listDevices(None)))
        self.assertEqual(len(names), self.conn.numOfDevices(None))
        net = {device.name() for device in self.conn.listAllDevices(libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET)}
        self.assertEqual(net, set(self.conn.listDevices("net")))
        self.assertEqual(net, {name for name in names if name.startswith("net_")})
        both = self.conn.listAllDevices(libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_SYSTEM)
        self.assertEqual({device.name() for device in both}, net | {"computer"})
        self.assertEqual(self.conn.numOfDevices("bogus"), 0)
        for path in os.listdir("/sys/bus/pci/devices") if os.path.exists("/sys/bus/pci/devices") else ():
            self.assertIn("pci_" + re.sub("[^0-9a-z]", "_", path), names)
        self.assertIn("computer\n  |\n  +- net_", virsh("nodedev-list", "--tree").out)

    def test_pci_and_storage(self):
        for device in self.conn.listAllDevices(libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV):
            text = device.XMLDesc()
            path = re.search("<path>(.*)</path>", text).group(1)
            with open(path + "/vendor") as f:
                self.assertIn(f"<vendor id='{f.read().strip()}'", text)
            self.assertRegex(text, "<class>0x[0-9a-f]{6}</class>\n    <domain>0</domain>\n    <bus>[0-9]+</bus>\n    <slot>")
        for device in self.conn.listAllDevices(libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_STORAGE):
            text = device.XMLDesc()
            node = re.search("<block>/dev/(.*)</block>", text).group(1)
            self.assertIn(f"<devnode type='dev'>/dev/{node}</devnode>", text)
            with open(f"/sys/class/block/{node}/size") as f:
                self.assertIn(f"<size>{int(f.read()) * 512}</size>", text)
            self.assertIn(device.parent(), self.conn.listDevices(None))

    def test_refusals(self):
        with self.refused(libvirt.VIR_ERR_NO_NODE_DEVICE, "no node device with matching name 'nobody'"):
            self.conn.nodeDeviceLookupByName("nobody")
        with self.assertRaises(libvirt.libvirtError):
            self.conn.nodeDeviceLookupSCSIHostByWWN("2001001b32a9da4e", "2001001b32a9da4e")
        computer = self.conn.nodeDeviceLookupByName("computer")
        for call in (computer.reset, computer.reAttach):
            with self.refused(libvirt.VIR_ERR_INVALID_ARG, "device computer is not a PCI device"):
                call()
        if not os.path.exists("/dev/vfio/vfio"):
            with self.refused(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, "VFIO device assignment is currently not supported"):
                computer.dettach()
        for call in (computer.destroy, computer.undefine):
            with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "Unsupported device type"):
                call()
        with self.refused(libvirt.VIR_ERR_OPERATION_INVALID, "Device is already active"):
            computer.create()
        with self.refused(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, "Unsupported device type"):
            computer.setAutostart(True)
        self.assertEqual((computer.isActive(), computer.isPersistent(), computer.autostart()), (1, 1, 1))
        mdev = "<device><parent>{}</parent><capability type='mdev'><type id='none'/></capability></device>"
        for text, code in (
            ("<device/>", libvirt.VIR_ERR_INTERNAL_ERROR),
            ("<device><name>x</name></device>", libvirt.VIR_ERR_INTERNAL_ERROR),
            (mdev.format("computer"), libvirt.VIR_ERR_PARSE_FAILED),
            ("<device>", libvirt.VIR_ERR_XML_DETAIL),
            ("<domain/>", libvirt.VIR_ERR_XML_ERROR),
            (mdev.format("computer").replace("mdev'", "vdpa'"), libvirt.VIR_ERR_INTERNAL_ERROR),
            (mdev.format("computer").replace("mdev'", "bogus'"), libvirt.VIR_ERR_XML_ERROR),
            (mdev.format("computer").replace(" id='none'", ""), libvirt.VIR_ERR_CONFIG_UNSUPPORTED),
        ):
            with self.subTest(text), self.refused(code):
                self.conn.nodeDeviceCreateXML(text)
        with self.refused(libvirt.VIR_ERR_PARSE_FAILED, "Unable to find address for parent device 'computer'"):
            self.conn.nodeDeviceDefineXML(mdev.format("computer"))
        reader = self.connect(readonly=True)
        reader.nodeDeviceLookupByName("computer").XMLDesc()
        with self.refused(libvirt.VIR_ERR_OPERATION_DENIED):
            reader.nodeDeviceLookupByName("computer").reset()

    def test_a_device_lacks_what_its_kind_needs(self):
        whole = {
            "system": "<hardware><uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid></hardware>",
            "pci": "<domain>0</domain><bus>0</bus><slot>1</slot><function>0</function><product id='0x1'/><vendor id='0x2'/>",
            "usb_device": "<bus>1</bus><device>2</device><product id='0x1'/><vendor id='0x2'/>",
            "usb": "<number>0</number><class>1</class><subclass>2</subclass><protocol>3</protocol>",
            "net": "<interface>eth0</interface>",
            "scsi_target": "<target>target0:0:0</target>",
            "scsi": "<host>1</host><bus>0</bus><target>0</target><lun>0</lun>",
            "storage": "<block>/dev/sda</block><size>1024</size>",
        }
        for kind, parts in whole.items():
            document = f"<device><capability type='{kind}'>{parts}</capability></device>"
            with self.refused(libvirt.VIR_ERR_CONFIG_UNSUPPORTED, "Unsupported device type"):
                self.conn.nodeDeviceCreateXML(document)
            for part in re.findall("<([a-z]+)[^>]*(?:/>|>[^<]*</)", parts):
                less = re.sub(f"<{part}[^>]*(/>|>[^<]*</{part}>)", "", document)
                with self.subTest(kind=kind, without=part), self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "supplied for 'new device'"):
                    self.conn.nodeDeviceCreateXML(less)
                broken = re.sub(f"<{part}(?: id='[^']*'/>|>[^<]*</{part}>)", f"<{part} id='x'>x</{part}>", document)
                if part in ("interface", "target", "block") and kind != "scsi":
                    continue
                with self.subTest(kind=kind, broken=part), self.refused(libvirt.VIR_ERR_INTERNAL_ERROR):
                    self.conn.nodeDeviceCreateXML(broken)

    # Where no udev runs, libvirtd hears of nothing.
    @world.only_lodge
    def test_devices_come_and_go(self):
        events = world.Events()
        told = []

        def lifecycle(_conn, device, event, _detail, _opaque):
            told.append((device.name(), event))

        number = events.conn.nodeDeviceEventRegisterAny(None, libvirt.VIR_NODE_DEVICE_EVENT_ID_LIFECYCLE, lifecycle, None)
        try:
            run("ip", "link", "add", "come0", "address", "52:54:00:00:00:77", "type", "veth", "peer", "name", "come1")
            name = "net_come0_52_54_00_00_00_77"
            wait_for(lambda: (name, libvirt.VIR_NODE_DEVICE_EVENT_CREATED) in told, what="the device is told of")
            self.assertIn("<interface>come0</interface>", self.conn.nodeDeviceLookupByName(name).XMLDesc())
            run("ip", "link", "del", "come0")
            wait_for(lambda: (name, libvirt.VIR_NODE_DEVICE_EVENT_DELETED) in told, what="its end is told of")
            with self.refused(libvirt.VIR_ERR_NO_NODE_DEVICE):
                self.conn.nodeDeviceLookupByName(name)
        finally:
            events.conn.nodeDeviceEventDeregisterAny(number)
            events.close()


if __name__ == "__main__":
    world.main()
