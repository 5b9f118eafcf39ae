#!/usr/bin/python3
"""The units under a real systemd, which boots as process 1 of a namespace: activation, readiness, restarts, guests that outlive all of it."""

import os
import pty
import shutil
import subprocess
import threading
import unittest

import world

SYSTEMD = "/lib/systemd/systemd"
# What a booting host does beyond keeping machines has no business in a namespace.
MASKED = """libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket virtlogd.service virtlogd.socket virtlockd.service
virtlockd.socket libvirt-guests.service systemd-udevd.service systemd-udev-trigger.service systemd-networkd.service
systemd-resolved.service systemd-timesyncd.service systemd-binfmt.service systemd-tmpfiles-clean.timer getty.target
console-getty.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer""".split()
# systemd empties /tmp when it boots: it must never see the host's.
FURNISH = """
mount -t tmpfs tmpfs /tmp
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
group=/sys/fs/cgroup/lodge-systemd.$$
mkdir $group
echo $$ > $group/cgroup.procs
mount --bind "$1" /dev/console
exec unshare --cgroup --pid --fork --mount-proc --kill-child -- "$2" --system --log-target=console --show-status=false
"""


class Host:
    """A host that systemd has booted."""

    def __init__(self):
        shutil.rmtree("/etc/systemd/system", ignore_errors=True)
        os.makedirs("/etc/systemd/system")
        for unit in MASKED:
            os.symlink("/dev/null", f"/etc/systemd/system/{unit}")
        world.run("systemd-sysusers")
        world.run("systemctl", "--root=/", "enable", "lodged.service")
        world.run("systemctl", "--root=/", "set-default", "multi-user.target")
        self.heard = ""
        self.master, console = pty.openpty()
        self.boot = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "--", "bash", "-euc", FURNISH, "boot", os.ttyname(console), SYSTEMD],
            stdin=console, stdout=console, stderr=console, start_new_session=True, env={"container": "lodge", "PATH": os.environ["PATH"], "TERM": "dumb"},
        )
        os.close(console)
        threading.Thread(target=self.listen, daemon=True).start()
        self.init = world.wait_for(self.first_process, 20, "systemd is process 1")
        world.wait_for(lambda: self.run("test", "-S", "/run/dbus/system_bus_socket", check=False).rc == 0, 30, "the system bus listens")
        self.run("systemctl", "is-system-running", "--wait", check=False)

    def listen(self):
        while True:
            try:
                self.heard += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                return

    def first_process(self):
        if self.boot.poll() is not None:
            raise unittest.SkipTest(f"systemd cannot be started in a namespace here: {self.heard[-300:]}")
        try:
            with open(f"/proc/{self.boot.pid}/task/{self.boot.pid}/children") as f:
                for pid in f.read().split():
                    if os.readlink(f"/proc/{pid}/exe").endswith("/systemd"):
                        return pid
        except OSError:
            return None

    def run(self, *command, check=True):
        done = world.Result(
            subprocess.run(["nsenter", "-t", self.init, "-a", "--", *command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
        )
        if check and done.rc:
            raise AssertionError(f"{' '.join(command)}: {done}\n{self.heard[-2000:]}")
        return done

    def show(self, unit, name):
        return self.run("systemctl", "show", "--value", "-p", name, unit).out.strip()

    def end(self):
        self.boot.kill()
        self.boot.wait()


@world.only_lodge
@unittest.skipUnless(os.path.exists(SYSTEMD) and shutil.which("dbus-daemon"), "systemd or dbus is not installed")
class Systemd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        world.guest_files()
        cls.host = Host()

    @classmethod
    def tearDownClass(cls):
        cls.host.end()

    def tearDown(self):
        for name in self.host.run("virsh", "list", "--all", "--name").out.split():
            self.host.run("virsh", "destroy", name, check=False)
            self.host.run("virsh", "undefine", name, check=False)

    def start(self, name, xml):
        path = f"/run/{name}.xml"
        with open(path, "w") as f:
            f.write(xml)
        self.host.run("virsh", "define", path)
        self.host.run("virsh", "start", name)

    def pid(self):
        return self.host.show("lodged.service", "MainPID")

    def test_units_are_sound(self):
        units = [f"/lib/systemd/system/lodged{suffix}" for suffix in (".service", ".socket", "-ro.socket", "-admin.socket")]
        done = self.host.run("systemd-analyze", "verify", *units)
        self.assertNotIn("lodged", done.out + done.err)

    def test_boot_starts_it_with_the_default_network(self):
        for unit in ("lodged.service", "lodged.socket", "lodged-ro.socket", "lodged-admin.socket"):
            self.assertEqual(self.host.show(unit, "ActiveState"), "active", unit)
        self.assertIn("default", self.host.run("virsh", "net-list", "--name").out.split())
        self.assertIn("lodged", self.host.run("journalctl", "--no-pager", "-u", "lodged").out)
        for socket in ("virtqemud-sock", "virtnetworkd-sock", "virtstoraged-sock", "libvirt-admin-sock"):
            self.host.run("test", "-S", f"/run/libvirt/{socket}")

    def test_a_client_starts_what_is_stopped(self):
        self.host.run("systemctl", "stop", "lodged.service")
        self.assertEqual(self.host.show("lodged.service", "ActiveState"), "inactive")
        self.host.run("virsh", "list")
        self.assertEqual(self.host.show("lodged.service", "ActiveState"), "active")

    def test_a_guest_outlives_restart_stop_and_kill(self):
        self.start("kept", world.bare_xml("kept"))
        guest = self.host.run("cat", "/run/libvirt/qemu/kept.pid").out.strip()
        first = self.pid()
        self.host.run("systemctl", "restart", "lodged.service")
        self.assertNotEqual(self.pid(), first)
        self.assertEqual(self.host.run("virsh", "domid", "kept").out.strip(), "1")
        second = self.pid()
        self.host.run("systemctl", "kill", "--kill-whom=main", "-s", "KILL", "lodged.service")
        world.wait_for(lambda: self.pid() not in ("0", second), 10, "systemd starts it again")
        self.assertEqual(self.host.run("virsh", "domstate", "kept").out.strip(), "running")
        self.host.run("systemctl", "stop", "lodged.service")
        self.host.run("test", "-d", f"/proc/{guest}")
        self.assertEqual(self.host.run("virsh", "domid", "kept").out.strip(), "1")

    def test_hardening_leaves_what_guests_need(self):
        self.start("linked", world.guest_xml("linked"))
        world.wait_for(lambda: "ipv4" in self.host.run("virsh", "net-dhcp-leases", "default").out, 60, "a lease")
        self.assertIn("linked: started", self.host.run("journalctl", "--no-pager", "-u", "lodged").out)


if __name__ == "__main__":
    world.main()
