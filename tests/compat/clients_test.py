#!/usr/bin/python3
"""Programs written for libvirt, unmodified: monitoring, clusters, desktops and other languages. Each is skipped where it is not installed."""

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import unittest
import urllib.request

import world
from world import run, virsh, wait_for

GUEST_UUID = "11111111-2222-3333-4444-777777777777"
OCF = "/usr/lib/ocf/resource.d/heartbeat/VirtualDomain"


def needs(*programs):
    missing = [p for p in programs if not (shutil.which(p) or os.path.exists(p))]
    return unittest.skipIf(missing, f"not installed: {', '.join(missing)}")


def python_has(module):
    return importlib.util.find_spec(module) is not None


def guest_xml(name="kept"):
    return world.bare_xml(name, memory=32, devices="<serial type='pty'/><console type='pty'/>").replace("</name>", f"</name><uuid>{GUEST_UUID}</uuid>", 1)


def document(text, name="guest"):
    path = f"/run/tmp/{name}.xml"
    with open(path, "w") as file:
        file.write(text)
    return path


@contextlib.contextmanager
def program(*command, **more):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **more)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


class Monitoring(world.Case):
    @needs("prometheus-libvirt-exporter")
    def test_prometheus_exporter(self):
        disk = f"{world.IMAGES}/seen.img"
        run("qemu-img", "create", "-q", "-f", "raw", disk, "1M")
        world.default_network()
        virsh("create", document(world.bare_xml("seen", devices=(
            f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>"
            "<interface type='network'><source network='default'/><model type='virtio'/></interface>"))))
        with program("prometheus-libvirt-exporter", "--web.listen-address=127.0.0.1:9177", stderr=subprocess.DEVNULL):
            wait_for(lambda: self.answers(9177), 20, "the exporter listens")
            with urllib.request.urlopen("http://127.0.0.1:9177/metrics", timeout=60) as page:
                figures = page.read().decode()
        self.assertRegex(figures, r"(?m)^libvirt_up 1$")
        for pattern in (r'libvirt_domain_info_maximum_memory_bytes\{domain="seen"[^}]*\} 1\.6777216e\+07', r'libvirt_domain_info_virtual_cpus\{domain="seen"[^}]*\} 1$',
                        r'libvirt_domain_block_stats_read_bytes_total\{.*source_file="/var/lib/libvirt/images/seen.img".*target_device="vda"',
                        r'libvirt_domain_interface_stats_receive_bytes_total\{.*domain="seen".*source_bridge="virbr0"'):
            self.assertRegex(figures, "(?m)^" + pattern)

    @staticmethod
    def answers(port):
        with contextlib.closing(socket.socket()) as peer:
            return peer.connect_ex(("127.0.0.1", port)) == 0

    @needs("virt-top")
    def test_virt_top(self):
        virsh("create", document(guest_xml("seen")))
        self.assertIn("seen", run("virt-top", "--connect", world.URI, "--script", "--stream", "-n", "2", "-d", "1").out)


class Cluster(world.Case):
    """Pacemaker's agent, called as Pacemaker calls it."""

    def agent(self, action, check=True, **parameters):
        settings = {"hypervisor": world.URI, "config": "/etc/libvirt/qemu/kept.xml", **parameters}
        env = {**os.environ, "OCF_ROOT": "/usr/lib/ocf", "OCF_RESOURCE_INSTANCE": "kept", "OCF_RESOURCE_TYPE": "VirtualDomain",
               "OCF_RESKEY_CRM_meta_timeout": "90000", "HA_RSCTMP": "/run/resource-agents", "HA_debug": "0",
               **{f"OCF_RESKEY_{key}": value for key, value in settings.items()}}
        done = run(OCF, action, check=False, env=env)
        if check:
            self.assertEqual(done.rc, 0, f"{action}: {done}")
        return done

    @needs(OCF)
    def test_virtual_domain(self):
        os.makedirs("/run/resource-agents", exist_ok=True)
        virsh("define", document(guest_xml()))
        not_running = 7
        self.agent("validate-all")
        self.assertEqual(self.agent("monitor", check=False).rc, not_running)
        self.agent("start")
        self.assertEqual(virsh("domstate", "kept").out.strip(), "running")
        self.agent("monitor")
        self.agent("start")  # once more is no error
        virsh("suspend", "kept")
        self.agent("monitor")
        virsh("resume", "kept")
        self.agent("stop", force_stop="true")
        self.assertEqual(self.agent("monitor", check=False).rc, not_running)
        self.agent("stop", force_stop="true")
        virsh("define", document(guest_xml()), check=False)
        virsh("destroy", "kept", check=False)


class Bus(world.Case):
    """libvirt-dbus on a bus of its own."""

    CONF = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/tmp/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>"""

    def ask(self, path, interface, method, *arguments):
        return run("busctl", "--address=unix:path=/run/tmp/bus", "call", "org.libvirt", path, interface, method, *arguments).out.strip()

    @needs("libvirt-dbus", "dbus-daemon", "busctl")
    def test_libvirt_dbus(self):
        with open("/run/tmp/bus.conf", "w") as file:
            file.write(self.CONF)
        virsh("define", document(guest_xml()))
        qemu = "/org/libvirt/QEMU"
        connect, domain = "org.libvirt.Connect", "org.libvirt.Domain"
        env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/run/tmp/bus"}
        with program("dbus-daemon", "--config-file=/run/tmp/bus.conf", "--nofork", "--nopidfile"):
            wait_for(lambda: os.path.exists("/run/tmp/bus"), 20, "the bus")
            with program(shutil.which("libvirt-dbus") or "/usr/sbin/libvirt-dbus", "--system", env=env):
                wait_for(lambda: "org.libvirt" in run("busctl", "--address=unix:path=/run/tmp/bus", "list").out.split(), 20, "libvirt-dbus")
                listed = self.ask(qemu, connect, "ListDomains", "u", "0")
                self.assertIn("ao 1 ", listed)
                path = listed.split('"')[1]
                self.assertEqual(self.ask(qemu, connect, "DomainLookupByName", "s", "kept"), f'o "{path}"')
                self.ask(path, domain, "Create", "u", "0")
                self.assertEqual(virsh("domstate", "kept").out.strip(), "running")
                self.assertIn("1 ", self.ask(path, domain, "GetState", "u", "0"))
                self.assertIn(GUEST_UUID, self.ask(path, domain, "GetXMLDesc", "u", "0"))
                self.assertIn("state.state", self.ask(path, domain, "GetStats", "uu", "0", "0"))
                self.ask(path, domain, "Suspend")
                self.ask(path, domain, "Resume")
                self.ask(path, domain, "Destroy", "u", "0")
                self.assertIn("default", self.ask(self.ask(qemu, connect, "NetworkLookupByName", "s", "default").split('"')[1],
                                                  "org.libvirt.Network", "GetXMLDesc", "u", "0"))
                self.assertIn("<capabilities>", self.ask(qemu, connect, "GetCapabilities"))
                run("busctl", "--address=unix:path=/run/tmp/bus", "introspect", "org.libvirt", path)


class OtherLanguages(world.Case):
    @unittest.skipUnless(shutil.which("perl") and subprocess.run(["perl", "-MSys::Virt", "-e", "1"], capture_output=True).returncode == 0,
                         "Sys::Virt is not installed")
    def test_perl(self):
        world.default_network()
        done = run("perl", os.path.join(world.HERE, "sys_virt.pl"), world.URI, check=False)
        self.assertEqual(done.rc, 0, f"{done.out}{done.err}")
        failed = [line for line in done.out.splitlines() if line.startswith("not ok")]
        self.assertEqual([], failed, done.err)
        self.assertRegex(done.out, r"(?m)^1\.\.\d+$")

    @unittest.skipUnless(python_has("libvirtaio"), "libvirtaio is not installed")
    def test_asyncio(self):
        script = f"""
import asyncio, libvirt, libvirtaio
async def main():
    libvirtaio.virEventRegisterAsyncIOImpl()
    conn = libvirt.open("{world.URI}")
    seen = asyncio.Queue()
    conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lambda c, d, e, x, o: seen.put_nowait((d.name(), e)), None)
    conn.setKeepAlive(5, 3)
    dom = await asyncio.to_thread(conn.createXML, {guest_xml("awaited")!r}, 0)
    await asyncio.to_thread(dom.destroy)
    events = []
    while ("awaited", libvirt.VIR_DOMAIN_EVENT_STOPPED) not in events:
        events.append(await asyncio.wait_for(seen.get(), 60))
    print(events)
    conn.close()
asyncio.run(main())
"""
        out = run(sys.executable, "-c", script).out
        self.assertIn(f"('awaited', {world.libvirt.VIR_DOMAIN_EVENT_STARTED})", out)

    @unittest.skipUnless(python_has("gi") and os.path.exists("/usr/lib/x86_64-linux-gnu/girepository-1.0/LibvirtGLib-1.0.typelib"), "libvirt-glib is not installed")
    def test_glib(self):
        virsh("define", document(guest_xml()))
        script = f"""
import gi
gi.require_version("LibvirtGLib", "1.0"); gi.require_version("LibvirtGObject", "1.0"); gi.require_version("LibvirtGConfig", "1.0")
from gi.repository import LibvirtGLib, LibvirtGObject
LibvirtGLib.init_check(None); LibvirtGLib.event_register()
conn = LibvirtGObject.Connection.new("{world.URI}")
conn.open(None)
conn.fetch_domains(None)
for dom in conn.get_domains():
    config = dom.get_config(0)
    print(dom.get_name(), dom.get_uuid(), config.get_memory())
    dom.start(0); print(dom.get_info().state.value_nick); dom.stop(0)
conn.fetch_storage_pools(None)
conn.close()
"""
        out = run(sys.executable, "-c", script).out
        self.assertIn(f"kept {GUEST_UUID} 32768", out)
        self.assertIn("running", out)


class Names(world.Case):
    @unittest.skipUnless(os.path.exists("/lib/x86_64-linux-gnu/libnss_libvirt.so.2"), "libnss-libvirt is not installed")
    def test_guests_by_name(self):
        """libnss-libvirt reads the lease files of our dnsmasq."""
        world.default_network()
        with open("/etc/nsswitch.conf") as file:
            text = file.read()
        with open("/etc/nsswitch.conf", "w") as file:
            file.write(re.sub(r"(?m)^hosts:.*", "hosts: files libvirt libvirt_guest", text))
        virsh("create", document(world.guest_xml("called")))
        mac = re.search(r"mac address='([^']+)'", virsh("dumpxml", "called").out).group(1)
        address = wait_for(lambda: world.leases().get(mac), 60, "a lease")
        self.assertIn(address, wait_for(lambda: run("getent", "hosts", "called", check=False).out, 20, "the guest's name"))


class VirtManager(world.Case):
    """The desktop itself, on a display that nobody sees."""

    @needs("virt-manager", "Xvfb", "dbus-run-session")
    def test_shows_a_guest_and_its_screen(self):
        virsh("create", document(world.bare_xml("shown", devices="<graphics type='vnc' port='-1'/><video><model type='vga'/></video>")))
        self.addCleanup(virsh, "destroy", "shown", check=False)
        home, log = "/run/tmp/desktop", "/run/tmp/virt-manager.log"
        os.makedirs(home, mode=0o700, exist_ok=True)
        env = {**os.environ, "DISPLAY": ":77", "HOME": home, "XDG_RUNTIME_DIR": home, "GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1"}
        command = ["dbus-run-session", "--", "virt-manager", "--no-fork", "--debug", "--connect", world.URI, "--show-domain-console", "shown"]

        def said():
            with open(log, errors="replace") as file:
                return file.read()

        with program("Xvfb", ":77", "-screen", "0", "1024x768x24", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            wait_for(lambda: os.path.exists("/tmp/.X11-unix/X77"), 20, "a display")
            with open(log, "w") as file, program(*command, env=env, stdout=file, stderr=file):
                wait_for(lambda: "Viewer connected" in said(), 60, "the guest's screen in virt-manager")
                virsh("suspend", "shown")
                wait_for(lambda: "domain lifecycle event: domain=shown" in said(), 20, "news of the guest in virt-manager")
        self.assertNotIn("Traceback", said())


class VirtManagerTools(world.Case):
    @needs("virt-clone", "virt-xml")
    def test_clone_and_edit(self):
        disk = f"{world.IMAGES}/kept.qcow2"
        run("qemu-img", "create", "-q", "-f", "qcow2", disk, "4M")
        self.addCleanup(lambda: [os.remove(p) for p in (disk, f"{world.IMAGES}/copy.qcow2") if os.path.exists(p)])
        virsh("define", document(world.bare_xml("kept", devices=(
            f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>"))))
        run("virt-clone", "--connect", world.URI, "--original", "kept", "--name", "copy", "--file", f"{world.IMAGES}/copy.qcow2")
        self.assertIn(f"{world.IMAGES}/copy.qcow2", virsh("domblklist", "copy").out)
        self.assertNotEqual(virsh("domuuid", "kept").out, virsh("domuuid", "copy").out)
        run("virt-xml", "--connect", world.URI, "copy", "--edit", "--memory", "64")
        self.assertIn(">65536<", virsh("dumpxml", "copy", "--xpath", "/domain/memory").out)
        run("virt-xml", "--connect", world.URI, "copy", "--add-device", "--watchdog", "i6300esb")
        self.assertIn("i6300esb", virsh("dumpxml", "copy").out)
        run("virt-xml", "--connect", world.URI, "copy", "--remove-device", "--watchdog", "1")
        self.assertNotIn("i6300esb", virsh("dumpxml", "copy").out)

    @needs("virt-xml-validate")
    def test_documents_are_valid(self):
        virsh("define", document(guest_xml()))
        for name, text in (("domain", virsh("dumpxml", "kept").out), ("network", virsh("net-dumpxml", "default").out)):
            run("virt-xml-validate", document(text, name), name)


class Administration(world.Case):
    SERVER = "libvirtd"

    @needs("virt-admin")
    def test_every_command(self):
        self.assertIn(self.SERVER, run("virt-admin", "server-list").out)
        workers = run("virt-admin", "server-threadpool-info", self.SERVER).out
        self.assertRegex(workers, r"maxWorkers +: \d+")
        run("virt-admin", "server-threadpool-set", self.SERVER, "--max-workers", "30", "--min-workers", "6")
        self.assertRegex(run("virt-admin", "server-threadpool-info", self.SERVER).out, r"maxWorkers +: 30")
        run("virt-admin", "server-clients-set", self.SERVER, "--max-clients", "4000", "--max-unauth-clients", "19")
        limits = run("virt-admin", "server-clients-info", self.SERVER).out
        self.assertRegex(limits, r"nclients_max +: 4000")
        self.assertRegex(limits, r"nclients_unauth_max +: 19")
        conn = self.connect()
        listed = run("virt-admin", "client-list", self.SERVER).out
        number = re.search(r"(?m)^ (\d+) +unix", listed).group(1)
        info = run("virt-admin", "client-info", self.SERVER, number).out
        self.assertRegex(info, r"unix_user_name *: root")
        self.assertRegex(info, rf"unix_process_id *: {os.getpid()}")
        run("virt-admin", "client-disconnect", self.SERVER, number)
        with self.assertRaises(world.libvirt.libvirtError):
            wait_for(lambda: not conn.getHostname(), 10, "the client is cut off")
        before = run("virt-admin", "daemon-log-filters").out
        run("virt-admin", "daemon-log-filters", "--filters", "3:util 2:rpc")
        self.assertRegex(run("virt-admin", "daemon-log-filters").out, r"Logging filters: (3:util 2:rpc|3:\*util\* 2:\*rpc\*)")
        run("virt-admin", "daemon-log-filters", "--filters", before.split(":", 1)[1].strip())
        self.assertIn("Logging outputs:", run("virt-admin", "daemon-log-outputs").out)
        self.assertNotEqual(run("virt-admin", "daemon-log-filters", "--filters", "nonsense", check=False).rc, 0)
        self.assertNotEqual(run("virt-admin", "server-threadpool-info", "nobody", check=False).rc, 0)
        run("virt-admin", "daemon-timeout", "--timeout", "0")
        run("virt-admin", "server-update-tls", self.SERVER, check=False)
        self.assertIn("libvirtd:///system", run("virt-admin", "uri").out)

    def test_a_daemon_that_nobody_needs_ends(self):
        for name in virsh("net-list", "--name").out.split():
            virsh("net-destroy", name)
        conn = self.connect()
        conn.createXML(world.bare_xml("last"))
        run("virt-admin", "daemon-timeout", "--timeout", "2")
        conn.close()
        time.sleep(4)
        self.assertIsNone(world.daemon.process.poll(), "a guest runs, so it stays")
        os.kill(world.qemu_pid("last"), 9)
        began = time.monotonic()
        wait_for(lambda: world.daemon.process.poll() is not None, 10, "the daemon ends")
        self.assertGreater(time.monotonic() - began, 1.5)
        self.assertEqual(world.daemon.process.returncode, 0)


if __name__ == "__main__":
    world.main()
