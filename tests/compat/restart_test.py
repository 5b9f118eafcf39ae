#!/usr/bin/python3
"""Guests outlive the daemon: ended politely or killed at any moment, the next one finds every guest as it was."""

import os
import re
import signal
import threading
import time

import libvirt
import world
from world import virsh


class Restart(world.Case):
    def setUp(self):
        world.default_network()

    def guest(self, name, transient=False, **more):
        path = f"/run/tmp/{name}.xml"
        with open(path, "w") as f:
            f.write(world.guest_xml(name, **more))
        if transient:
            virsh("create", path)
        else:
            virsh("define", path)
            virsh("start", name)
        return path

    def file(self, name, text):
        path = f"/run/tmp/{name}.xml"
        with open(path, "w") as f:
            f.write(text)
        return path

    def survives(self, sig):
        self.guest("survivor")
        self.guest("passing", transient=True)
        virsh("suspend", "passing")
        pid, number, xml = world.qemu_pid("survivor"), virsh("domid", "survivor").out, virsh("dumpxml", "survivor").out
        console = world.Console("survivor")
        console.expect("GUEST-IP eth0")
        console.close()

        world.daemon.restart(sig)
        self.assertTrue(world.alive(pid))
        self.assertEqual(virsh("domid", "survivor").out, number)
        self.assertEqual(virsh("dumpxml", "survivor").out, xml)
        self.assertEqual(virsh("domstate", "survivor").out.strip(), "running")
        self.assertEqual(virsh("domstate", "passing").out.strip(), "paused")
        self.assertRegex(virsh("dominfo", "passing").out, r"Persistent: +no")

        console = world.Console("survivor")
        self.addCleanup(console.close)
        console.expect("GUEST-TICK")
        out, rc = console.shell(f"ping -c 1 -W 5 {world.UPLINK}")
        self.assertEqual(rc, 0, out)

        events = world.Events()
        self.addCleanup(events.close)
        virsh("resume", "passing")
        events.wait("passing", libvirt.VIR_DOMAIN_EVENT_RESUMED)
        virsh("shutdown", "survivor")
        events.wait("survivor", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN, seconds=30)
        self.assertFalse(world.alive(pid))
        virsh("destroy", "passing")
        self.assertEqual(virsh("domstate", "passing", check=False).rc, 1)

    def test_terminated_politely(self):
        self.survives(signal.SIGTERM)

    def test_killed(self):
        self.survives(signal.SIGKILL)

    @world.only_lodge
    def test_a_guest_that_goes_with_its_client_goes_with_the_daemon(self):
        conn = self.connect()
        for sig in (signal.SIGTERM, signal.SIGKILL):
            conn.createXML(world.bare_xml("bound"), libvirt.VIR_DOMAIN_START_AUTODESTROY)
            pid = world.qemu_pid("bound")
            world.daemon.restart(sig)
            world.wait_for(lambda: not world.alive(pid), 10, "the guest ends")
            conn = self.connect()
            world.wait_for(lambda: not conn.listAllDomains(), 10, "the transient domain is gone")

    def test_what_a_guest_did_meanwhile(self):
        extra = "<pm><suspend-to-mem enabled='yes'/></pm>"
        xml = world.guest_xml("sleeper", nics=0, extra=extra).replace("<memballoon model='none'/>", "<memballoon model='virtio'/>")
        virsh("create", self.file("sleeper", xml))
        console = world.Console("sleeper")
        console.expect("GUEST-TICK", 120)
        console.close()
        port = re.search(r"<serial type='pty'>\s*<source path='([^']+)'", virsh("dumpxml", "sleeper").out).group(1)
        virsh("setmem", "sleeper", "150M", "--live")
        world.daemon.stop(signal.SIGKILL)
        time.sleep(2)
        world.daemon.start()
        self.assertIn("<currentMemory unit='KiB'>153600</currentMemory>", virsh("dumpxml", "sleeper").out)
        world.daemon.stop(signal.SIGKILL)
        with open(port, "wb", buffering=0) as serial:
            serial.write(b"echo mem > /sys/power/state\n")
            time.sleep(4)
        world.daemon.start()
        self.assertEqual(virsh("domstate", "sleeper").out.strip(), "pmsuspended")
        virsh("dompmwakeup", "sleeper")
        world.wait_for(lambda: virsh("domstate", "sleeper").out.strip() == "running", 20, "it is awake")
        virsh("destroy", "sleeper")

    def test_a_guest_that_died_meanwhile(self):
        self.guest("mortal", nics=0)
        self.guest("fleeting", nics=0, transient=True)
        pids = [world.qemu_pid(n) for n in ("mortal", "fleeting")]
        world.daemon.stop(signal.SIGKILL)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        world.wait_for(lambda: not any(world.alive(p) for p in pids), what="two dead guests")
        world.daemon.start()
        world.wait_for(lambda: virsh("domstate", "mortal").out.strip() == "shut off", 5, "mortal to be shut off")
        self.assertIn(virsh("domstate", "mortal", "--reason").out.strip(), ("shut off (crashed)", "shut off (unknown)", "shut off (daemon)"))
        world.wait_for(lambda: virsh("domstate", "fleeting", check=False).rc == 1, 5, "fleeting to be gone")
        self.assertFalse(os.path.exists("/run/libvirt/qemu/mortal.xml"))
        virsh("start", "mortal")

    def test_definitions_survive_a_kill_at_any_moment(self):
        names = []
        stop = threading.Event()

        def define():
            conn = None
            while not stop.is_set():
                try:
                    conn = conn or libvirt.open(world.URI)
                    name = f"many{len(names)}"
                    conn.defineXML(world.bare_xml(name))
                    names.append(name)
                except libvirt.libvirtError:
                    conn = None
                    time.sleep(0.01)

        os.makedirs("/etc/libvirt/qemu", exist_ok=True)
        with open("/etc/libvirt/qemu/unfinished.xml.new", "w") as f:
            f.write("<domain")
        writer = threading.Thread(target=define)
        writer.start()
        for _ in range(3):
            time.sleep(0.5)
            world.daemon.restart(signal.SIGKILL)
        stop.set()
        writer.join()
        listed = set(virsh("list", "--all", "--name").out.split())
        self.assertEqual(set(names) - listed, set(), "what was answered is there")
        leftovers = [f for f in os.listdir("/etc/libvirt/qemu") if not re.fullmatch(r"many\d+\.xml|networks|autostart", f)]
        if world.IS_LODGE:
            self.assertEqual(leftovers, [])
        for name in listed:
            with open(f"/etc/libvirt/qemu/{name}.xml") as f:
                self.assertIn("</domain>", f.read())

    def test_autostarted_guests_start_with_the_host(self):
        path = self.guest("early", nics=0)
        virsh("autostart", "early")
        virsh("destroy", "early")
        world.daemon.stop()
        # As after a boot: nothing in /run tells of an earlier daemon.
        for folder in ("/run/libvirt/qemu", "/run/libvirt"):
            for name in os.listdir(folder):
                if not os.path.isdir(f"{folder}/{name}"):
                    if "virtlogd" not in name:
                        os.unlink(f"{folder}/{name}")
        world.daemon.start()
        world.wait_for(lambda: virsh("domstate", "early").out.strip() == "running", 20, "the autostarted guest")
        self.assertTrue(os.path.exists(path))
        virsh("autostart", "early", "--disable")

    def test_files_written_by_hand_are_read(self):
        world.daemon.stop()
        with open("/etc/libvirt/qemu/by-hand.xml", "w") as f:
            f.write(world.bare_xml("by-hand"))
        world.daemon.start()
        self.assertEqual(virsh("domstate", "by-hand").out.strip(), "shut off")

    def test_a_definition_edited_by_hand_is_completed(self):
        virsh("define", self.file("edited", world.bare_xml("edited")))
        complete = virsh("dumpxml", "edited").out
        self.assertIn("<controller type='pci' index='0' model='pci-root'/>", complete)
        world.daemon.stop()
        path = "/etc/libvirt/qemu/edited.xml"
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(re.sub(r"<controller.*</controller>|<controller[^>]*/>", "", text, flags=re.S).replace("16384", "20480"))
        expected = complete.replace("16384", "20480")
        world.daemon.start()
        world.wait_for(lambda: virsh("dumpxml", "edited").out == expected, what="the edited definition to be complete again")
        world.daemon.restart()
        world.wait_for(lambda: virsh("dumpxml", "edited").out == expected, what="the same after another start")
        virsh("undefine", "edited")

    def test_a_broken_definition_is_reported_and_left_alone(self):
        path = "/etc/libvirt/qemu/broken.xml"
        world.daemon.stop()
        with open(path, "w") as f:
            f.write("<domain type='qemu'>\n<name>broken</name>\n<memory>many</memory>\n<os><type>hvm</type></os>\n</domain>\n")
        self.addCleanup(os.unlink, path)
        world.daemon.start()
        self.assertEqual(virsh("domstate", "broken", check=False).rc, 1)
        if world.IS_LODGE:
            with open(world.LOG) as f:
                self.assertRegex(f.read(), r"broken\.xml:3: .*'many'")
        self.assertTrue(os.path.exists(path))

    def test_a_crowd_of_guests_is_found_again(self):
        xml = "<domain type='qemu'><name>%s</name><memory unit='MiB'>4</memory><os><type machine='pc'>hvm</type></os></domain>"
        count = 10
        conn = libvirt.open(world.URI)
        ids = {}
        for i in range(count):
            dom = conn.createXML(xml % f"crowd{i}", libvirt.VIR_DOMAIN_START_PAUSED)
            ids[dom.name()] = dom.ID()
        conn.close()
        world.daemon.restart(signal.SIGKILL)
        conn = self.connect()
        self.assertEqual({d.name(): d.ID() for d in conn.listAllDomains()}, ids)
        self.assertTrue(all(d.state()[0] == libvirt.VIR_DOMAIN_PAUSED for d in conn.listAllDomains()))


if __name__ == "__main__":
    world.main()
