#!/usr/bin/python3
"""Flags that a call does not know are refused, in libvirt's words, before anything happens."""

import libvirt
import world

ODD = 1 << 27  # of no call that is made here

OF_A_GUEST = {
    "XMLDesc": (),
    "abortJobFlags": (),
    "attachDeviceFlags": ("<input type='tablet' bus='usb'/>",),
    "backupGetXMLDesc": (),
    "blockJobInfo": ("vda",),
    "checkpointCreateXML": ("<domaincheckpoint/>",),
    "coreDumpWithFormat": ("/run/tmp/dump", 0),
    "destroyFlags": (),
    "detachDeviceFlags": ("<input type='tablet' bus='usb'/>",),
    "fsInfo": (),
    "hostname": (),
    "interfaceAddresses": (libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,),
    "jobStats": (),
    "listAllCheckpoints": (),
    "listAllSnapshots": (),
    "managedSave": (),
    "pinVcpuFlags": (0, (True,)),
    "reboot": (),
    "reset": (),
    "saveFlags": ("/run/tmp/saved", None),
    "schedulerParametersFlags": (),
    "setMemoryFlags": (16384,),
    "setUserPassword": ("root", "secret"),
    "setVcpusFlags": (1,),
    "shutdownFlags": (),
    "snapshotCreateXML": ("<domainsnapshot/>",),
    "snapshotListNames": (),
    "snapshotNum": (),
    "undefineFlags": (),
    "updateDeviceFlags": ("<input type='tablet' bus='usb'/>",),
    "vcpusFlags": (),
}
OF_A_CONNECTION = {
    "createXML": ("<domain/>",),
    "defineXMLFlags": ("<domain/>",),
    "domainXMLToNative": ("qemu-argv", "<domain/>"),
    "getAllDomainStats": (0,),
    "getCPUMap": (),
    "getMemoryParameters": (),
    "listAllDevices": (),
    "listAllDomains": (),
    "listAllNWFilters": (),
    "listAllNetworks": (),
    "listAllSecrets": (),
    "listAllStoragePools": (),
    "restoreFlags": ("/run/tmp/saved", None),
    "saveImageGetXMLDesc": ("/run/tmp/saved",),
}


class Flags(world.Case):
    def refuse(self, of, calls):
        for name, arguments in calls.items():
            with self.subTest(name):
                with self.refused(libvirt.VIR_ERR_INVALID_ARG) as caught:
                    getattr(of, name)(*arguments, ODD)
                self.assertRegex(str(caught.exception), r"^unsupported flags \(0x8000000\) in function \w+$")

    def test_of_a_guest(self):
        self.refuse(self.connect().defineXML(world.bare_xml("box")), OF_A_GUEST)

    def test_of_a_connection(self):
        self.refuse(self.connect(), OF_A_CONNECTION)


if __name__ == "__main__":
    world.main()
