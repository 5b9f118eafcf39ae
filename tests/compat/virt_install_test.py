#!/usr/bin/python3
"""virt-install as people use it: importing an image, and booting a kernel directly."""

import re

import world
from world import virsh, wait_for

COMMON = (
    "virt-install --connect qemu:///system --virt-type qemu --memory 192 --vcpus 1 --osinfo detect=off,require=off "
    "--graphics none --noautoconsole"
).split()


class VirtInstall(world.Case):
    def setUp(self):
        world.default_network()

    def leased(self, name):
        mac = re.search(r"mac address='([^']+)'", virsh("dumpxml", name).out).group(1)
        return wait_for(lambda: world.leases().get(mac), 60, f"a lease for {name}")

    def test_direct_kernel_boot(self):
        boot = f"kernel={world.KERNEL},initrd={world.INITRD},kernel_args=console=ttyS0 quiet"
        done = world.run(*COMMON, "--name", "direct", "--import", "--disk", "none", "--network", "network=default,model=virtio", "--boot", boot, timeout=120)
        self.assertIn("Domain creation completed.", done.out)
        self.assertIn("direct", virsh("list", "--name").out.split())
        self.assertRegex(self.leased("direct"), r"^192\.168\.122\.\d+$")
        console = world.Console("direct")
        self.addCleanup(console.close)
        console.expect("GUEST-TICK")
        virsh("shutdown", "direct")
        wait_for(lambda: virsh("domstate", "direct").out.strip() == "shut off", 30, "the guest to shut down")

    def test_import_of_an_image(self):
        # virt-install looks every --disk path up in a storage pool and gives up without them.
        if virsh("pool-list", check=False).rc != 0:
            self.skipTest("the daemon serves no storage pools, without which virt-install takes no --disk path=")
        image = f"{world.IMAGES}/import.qcow2"
        world.run("qemu-img", "create", "-q", "-f", "qcow2", image, "64M")
        done = world.run(
            *COMMON, "--name", "imported", "--import", "--disk", f"path={image},format=qcow2,bus=virtio", "--network", "network=default", timeout=120
        )
        self.assertIn("Domain creation completed.", done.out)
        xml = virsh("dumpxml", "imported").out
        self.assertIn(f"<source file='{image}'", xml)
        self.assertRegex(xml, r"machine='pc-(q35|i440fx)-7\.2'")
        self.assertIn(image, virsh("domblklist", "imported").out)
        virsh("destroy", "imported")

    def test_print_only(self):
        out = world.run(*COMMON, "--name", "paper", "--import", "--disk", "none", "--print-xml").out
        self.assertIn("<name>paper</name>", out)


if __name__ == "__main__":
    world.main()
