#!/usr/bin/python3
"""The host's own interfaces: virsh iface-* as a person uses it, with a live bridge move that keeps the host reachable."""

import os
import re

import world
from world import run, virsh

ETH0 = "198.51.100.2/24"
IFUPDOWN = f"""# by hand
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
    address {ETH0}
    gateway {world.UPLINK}
    dns-nameservers 192.0.2.53
"""


def addresses(link):
    return re.findall(r"inet (\S+)", run("ip", "-4", "-o", "addr", "show", "dev", link, check=False).out)


def default_route():
    return run("ip", "route", "show", "default").out.strip()


def listed(*options):
    """name -> state"""
    return {w[0]: w[1] for w in (line.split() for line in virsh("iface-list", *options).out.splitlines()[2:]) if w}


def read(path):
    with open(path) as f:
        return f.read()


@world.only_lodge
class Interfaces(world.Case):
    def setUp(self):
        os.makedirs("/etc/network/interfaces.d", exist_ok=True)
        self.configure(IFUPDOWN)
        run("ip", "route", "replace", "default", "via", world.UPLINK)
        world.daemon.restart()  # which program runs the host is looked at when the daemon starts

    def configure(self, text):
        with open("/etc/network/interfaces", "w") as f:
            f.write(text)

    def reachable(self):
        run("ping", "-c", "1", "-W", "2", world.UPLINK)

    def test_list_and_documents(self):
        self.assertEqual(listed()["eth0"], "active")
        mac = virsh("iface-mac", "eth0").out.strip()
        self.assertEqual(virsh("iface-name", mac).out.strip(), "eth0")
        live = virsh("iface-dumpxml", "eth0").out
        self.assertIn("<ip address='198.51.100.2' prefix='24'/>", live)
        self.assertIn(f"<route gateway='{world.UPLINK}'/>", live)
        self.assertIn(f"<mac address='{mac}'/>", live)
        inactive = virsh("iface-dumpxml", "--inactive", "eth0").out
        self.assertIn("<start mode='onboot'/>", inactive)
        failed = virsh("iface-dumpxml", "nosuch", check=False)
        self.assertIn("error: Interface not found: couldn't find interface named 'nosuch'", failed.err)

    def test_bridge_and_unbridge(self):
        virsh("iface-bridge", "eth0", "br0")
        self.assertEqual(addresses("br0"), [ETH0])
        self.assertEqual(addresses("eth0"), [])
        self.assertIn("dev br0", default_route())
        self.reachable()
        self.assertEqual(os.path.basename(os.readlink("/sys/class/net/eth0/master")), "br0")
        self.assertIn("br0", listed())
        self.assertNotIn("eth0", listed())
        text = read("/etc/network/interfaces")
        for line in ("iface br0 inet static", f"    address {ETH0}", "    bridge_ports eth0", "    dns-nameservers 192.0.2.53", "# by hand"):
            self.assertIn(line + "\n", text)

        virsh("iface-unbridge", "br0")
        self.assertEqual(addresses("eth0"), [ETH0])
        self.assertIn("dev eth0", default_route())
        self.reachable()
        self.assertFalse(os.path.exists("/sys/class/net/br0"))
        text = read("/etc/network/interfaces")
        for line in ("iface eth0 inet static", f"    address {ETH0}", f"    gateway {world.UPLINK}", "    dns-nameservers 192.0.2.53"):
            self.assertIn(line + "\n", text)
        self.assertNotIn("br0", text)

    def test_networkd(self):
        self.configure("auto lo\niface lo inet loopback\n")
        os.makedirs("/etc/systemd/network", exist_ok=True)
        own = "/etc/systemd/network/20-eth0.network"
        with open(own, "w") as f:
            f.write(f"[Match]\nName=eth0\n\n[Network]\nAddress={ETH0}\nGateway={world.UPLINK}\nDNS=192.0.2.53\n")
        world.daemon.restart()
        virsh("iface-bridge", "eth0", "br0")
        self.assertEqual(addresses("br0"), [ETH0])
        self.reachable()
        folder = "/etc/systemd/network/10-lodge-"
        self.assertIn("Kind=bridge\n", read(folder + "br0.netdev"))
        self.assertIn("DNS=192.0.2.53\n", read(folder + "br0.network"))
        self.assertIn("Bridge=br0\n", read(folder + "eth0.network"))
        virsh("iface-unbridge", "br0")
        self.assertEqual(addresses("eth0"), [ETH0])
        self.assertFalse(os.path.exists(folder + "br0.netdev"))
        for name in os.listdir("/etc/systemd/network"):
            os.remove("/etc/systemd/network/" + name)

    def test_begin_and_rollback(self):
        virsh("iface-begin")
        self.assertIn("another transaction", virsh("iface-begin", check=False).err)
        virsh("iface-bridge", "eth0", "br0")
        self.assertEqual(addresses("br0"), [ETH0])
        world.daemon.restart(9)
        virsh("iface-rollback")
        self.assertEqual(addresses("eth0"), [ETH0])
        self.assertIn("dev eth0", default_route())
        self.assertFalse(os.path.exists("/sys/class/net/br0"))
        self.assertEqual(read("/etc/network/interfaces"), IFUPDOWN)
        virsh("iface-begin")
        virsh("iface-commit")
        self.assertNotEqual(virsh("iface-rollback", check=False).rc, 0)

    def test_define_start_destroy_undefine(self):
        path = "/run/tmp/iface.xml"
        with open(path, "w") as f:
            f.write(
                "<interface type='bridge' name='br7'><start mode='none'/><protocol family='ipv4'>"
                "<ip address='192.0.2.1' prefix='24'/></protocol><bridge stp='off' delay='0'/></interface>"
            )
        virsh("iface-define", path)
        self.assertEqual(listed("--inactive").get("br7"), "inactive")
        virsh("iface-start", "br7")
        self.assertEqual(addresses("br7"), ["192.0.2.1/24"])
        self.assertEqual(listed().get("br7"), "active")
        # virsh 9.0.0 says that it did and exits with 1 all the same.
        self.assertIn("Interface br7 destroyed", virsh("iface-destroy", "br7", check=False).out)
        self.assertFalse(os.path.exists("/sys/class/net/br7"))
        virsh("iface-undefine", "br7")
        self.assertNotIn("br7", listed("--all"))
        self.assertEqual(read("/etc/network/interfaces").strip(), IFUPDOWN.strip())


if __name__ == "__main__":
    world.main()
