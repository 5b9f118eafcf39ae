#!/usr/bin/python3
"""The daemon is killed at many points of time of every change. What it did not finish is undone or done, never half of it."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time

import libvirt
import world
from world import virsh, wait_for

# Moments after the call was made, in seconds; a start takes some 40 ms on a quiet machine, and a busy one spreads them.
MOMENTS = (0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.4)


def machines():
    """The names of guests whose QEMU runs."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
            if words[0].endswith(b"qemu-system-x86_64") and b"-name" in words and world.alive(int(pid)):
                found.append(words[words.index(b"-name") + 1].decode().split(",")[0].removeprefix("guest="))
    return sorted(found)


def helpers(action):
    """The qemu-img processes that do this."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
            if f.read().startswith(b"qemu-img\0" + action.encode()):
                found.append(int(pid))
    return found


def taps():
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    return [line.split(": ")[1] for line in links.splitlines() if ": vnet" in line]


def disk_of(path):
    return f"<disk type='file'><driver name='qemu' type='qcow2'/><source file='{path}'/><target dev='vda' bus='virtio'/></disk>"


def pattern(path, size="24M"):
    subprocess.run(["qemu-io", "-c", f"write -P 7 0 {size}", path], check=True, stdout=subprocess.DEVNULL)


@world.only_lodge
class KillPoints(world.Case):
    def guest(self, name, **more):
        self.connect().defineXML(world.bare_xml(name, **more))

    def kill_during(self, *command, moments=MOMENTS):
        """The call is made; a moment later the daemon is gone; then there is a new one. Yields at each moment."""
        for moment in moments:
            call = subprocess.Popen(["virsh", "-c", world.URI, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(moment)
            world.daemon.stop(signal.SIGKILL)
            call.kill()
            call.wait()
            world.daemon.start()
            yield moment

    def assert_whole(self, *running):
        """What the daemon says runs is what runs; nothing is left of anything else."""
        said = sorted(virsh("list", "--name").out.split())
        wait_for(lambda: machines() == said, what=lambda: f"just {said} to run, not {machines()}")
        status = sorted(f[:-4] for f in os.listdir("/run/libvirt/qemu") if f.endswith(".xml"))
        self.assertEqual(status, said)
        for folder in ("/etc/libvirt/qemu", "/run/libvirt/qemu", "/etc/libvirt/qemu/autostart"):
            if os.path.isdir(folder):
                self.assertEqual([f for f in os.listdir(folder) if f.endswith(".new") or ".tmp" in f], [], folder)
        for name in running:
            self.assertIn(name, said)
        return said

    def test_start(self):
        world.default_network()
        self.guest("a", devices="<interface type='network'><source network='default'/></interface>")
        for moment in self.kill_during("start", "a"):
            said = self.assert_whole()
            wait_for(lambda: len(taps()) == len(virsh("list", "--name").out.split()), what=lambda: f"a tap for each guest only, not {taps()}")
            if not said:
                self.assertIn("shut off", virsh("domstate", "a").out, moment)
                virsh("start", "a")
            virsh("suspend", "a")
            virsh("resume", "a")
            virsh("destroy", "a")

    def test_destroy(self):
        self.guest("a")
        for _ in range(1):
            virsh("start", "a")
            for moment in self.kill_during("destroy", "a"):
                if not self.assert_whole():
                    virsh("start", "a")
                self.assertEqual(virsh("domstate", "a").out.strip(), "running", moment)

    def test_managed_save(self):
        self.guest("a", memory=64)
        virsh("start", "a")
        for moment in self.kill_during("managedsave", "a"):
            wait_for(lambda: virsh("domstate", "a").out.strip() in ("running", "shut off"), what="a guest that goes on or is saved")
            said = self.assert_whole()

            def is_saved():
                return "yes" in virsh("dominfo", "a").out.split("Managed save:")[1].split("\n")[0]

            # A guest that goes on runs first; only then its saved state is removed.
            wait_for(lambda: is_saved() != bool(said), what=f"{moment}: runs or is saved, never both or neither")
            self.assertEqual(os.path.exists("/var/lib/libvirt/qemu/save/a.save"), is_saved())
            if not said:
                virsh("start", "a")

    def test_restore(self):
        self.guest("a")
        virsh("start", "a")
        virsh("save", "a", "/run/tmp/a.save")
        for _ in self.kill_during("restore", "/run/tmp/a.save"):
            if not self.assert_whole():
                virsh("restore", "/run/tmp/a.save")
            virsh("destroy", "a")

    def test_snapshot(self):
        path = f"{world.IMAGES}/k.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
        os.chmod(path, 0o666)
        self.addCleanup(os.unlink, path)
        self.guest("a", devices=disk_of(path))
        virsh("start", "a")
        for moment in self.kill_during("snapshot-create-as", "a", "s"):
            self.assert_whole("a")
            wait_for(lambda: virsh("domstate", "a").out.strip() == "running", what="the guest to go on")
            if "s" in virsh("snapshot-list", "a", "--name").out.split():
                virsh("snapshot-delete", "a", "s")
            else:
                virsh("snapshot-create-as", "a", "s")
                virsh("snapshot-delete", "a", "s")
            self.assertEqual(virsh("snapshot-list", "a", "--name").out.split(), [], moment)

    def test_deleting_a_snapshot_beside(self):
        """Its image flows into the one below and is removed; whenever that ends, the disk leads to all that the guest wrote."""
        below, above = f"{world.IMAGES}/below.qcow2", f"{world.IMAGES}/above.qcow2"
        self.addCleanup(lambda: [os.unlink(path) for path in (below, above) if os.path.exists(path)])
        for running in (False, True):
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", below, "32M"], check=True)
            os.chmod(below, 0o666)
            self.guest("a", devices=disk_of(below))

            def prepare():
                virsh("snapshot-create-as", "a", "s", "--disk-only", "--diskspec", f"vda,file={above}")
                subprocess.run(["qemu-io", "-c", "write -P 7 0 24M", above], check=True, stdout=subprocess.DEVNULL)
                if running:
                    virsh("start", "a")

            prepare()
            for moment in self.kill_during("snapshot-delete", "a", "s"):
                self.assert_whole(*["a"] * running)
                if running:
                    wait_for(lambda: "No current block job" in virsh("blockjob", "a", "vda").out, what="no block job to go on")
                if "s" in virsh("snapshot-list", "a", "--name").out.split():
                    virsh("snapshot-delete", "a", "s")
                self.assertEqual(virsh("snapshot-list", "a", "--name").out.split(), [], moment)
                self.assertIn(below, virsh("domblklist", "a").out, moment)
                if running:
                    virsh("destroy", "a")
                self.assertFalse(os.path.exists(above), moment)
                found = subprocess.run(["qemu-io", "-r", "-c", "read -P 7 0 24M", below], capture_output=True, text=True, check=True)
                self.assertNotIn("verification failed", found.stdout, moment)
                prepare()
            virsh("destroy", "a", check=False)
            virsh("undefine", "a", "--snapshots-metadata")
            for path in (below, above):
                os.unlink(path)

    def test_a_copy(self):
        """The disk leads to its first image or to the copy, and both hold all data where it does."""
        first, copy = self.images("first.qcow2", "copy.qcow2")
        self.guest("a", devices=disk_of(first))
        pattern(first)
        virsh("start", "a")
        for moment in self.kill_during("blockcopy", "a", "vda", "--dest", copy, "--format", "qcow2", "--transient-job", "--wait", "--pivot"):
            self.assert_whole("a")
            self.settle(moment)
            used = self.used_image()
            self.assertIn(used, (first, copy), moment)
            virsh("destroy", "a")  # only now is all in the file that QEMU keeps in mind
            self.assert_pattern(used, moment)
            if os.path.exists(copy):
                os.unlink(copy)
            virsh("start", "a")

    def test_a_pull(self):
        """What stands below flows up; the disk has all of it, from one image or from two."""
        below, above = self.images("below.qcow2", "above.qcow2")
        for moment in MOMENTS:
            self.guest("a", devices=disk_of(below))
            pattern(below)
            virsh("start", "a")
            virsh("snapshot-create-as", "a", "--disk-only", "--no-metadata", "--diskspec", f"vda,file={above}")
            for _ in self.kill_during("blockpull", "a", "vda", "--wait", moments=[moment]):
                self.assert_whole("a")
            self.settle(moment)
            self.assertEqual(self.used_image(), above, moment)
            virsh("destroy", "a")
            self.assert_pattern(above, moment)
            virsh("undefine", "a")
            os.unlink(above)

    def images(self, *names, size="32M"):
        paths = [f"{world.IMAGES}/{name}" for name in names]
        self.addCleanup(lambda: [os.unlink(path) for path in paths if os.path.exists(path)])
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", paths[0], size], check=True)
        os.chmod(paths[0], 0o666)
        return paths

    def settle(self, moment):
        """A job that the new daemon found goes on; one that waits to be told how to end is told to go back."""
        def is_over():
            said = virsh("blockjob", "a", "vda")
            if "Block Copy: [100 %]" in said.err:
                virsh("blockjob", "a", "vda", "--abort", check=False)
            return "No current block job" in said.out

        wait_for(is_over, what=lambda: f"{moment}: no block job to go on: {virsh('blockjob', 'a', 'vda', check=False)}")

    def used_image(self):
        return virsh("domblklist", "a").out.split("vda")[1].split()[0]

    def assert_pattern(self, path, moment):
        found = subprocess.run(["qemu-io", "-r", "-c", "read -P 7 0 24M", path], capture_output=True, text=True, check=False)
        self.assertEqual((found.returncode, found.stdout.count("failed"), found.stderr), (0, 0, ""), moment)

    def test_a_helper_is_left(self):
        """What works on an image when its daemon is killed goes, too, and is not run into by what comes next."""
        below, above = self.images("below.qcow2", "above.qcow2", size="1G")
        self.guest("a", devices=disk_of(below))
        virsh("snapshot-create-as", "a", "s", "--disk-only", "--diskspec", f"vda,file={above}")
        pattern(above, "600M")  # takes long enough to be met while it is merged
        call = subprocess.Popen(["virsh", "-c", world.URI, "snapshot-delete", "a", "s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        helper = self.halt("commit")
        world.daemon.stop(signal.SIGKILL)
        call.wait()
        world.daemon.start()
        virsh("snapshot-delete", "a", "s")
        self.assertNotIn(helper, helpers("commit"))
        self.assertFalse(os.path.exists(above))
        self.assert_pattern(below, "afterwards")

    def halt(self, action):
        """The qemu-img that does this, stopped where it is."""
        found = wait_for(lambda: helpers(action), what=f"qemu-img to {action}")
        os.kill(found[0], signal.SIGSTOP)

        def end():
            with contextlib.suppress(ProcessLookupError):
                os.kill(found[0], signal.SIGKILL)

        self.addCleanup(end)
        return found[0]

    def test_a_helper_that_is_long_in_dying(self):
        """Until the kernel has written what it owes, its files are locked: whoever needs them waits, and nobody else."""
        (path,) = self.images("k.qcow2")
        self.guest("a", devices=disk_of(path))
        world.daemon.stop()  # it has the lock itself, once it has worked on an image
        with open("/run/libvirt/qemu/images.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            world.daemon.start()
            call = subprocess.Popen(["virsh", "-c", world.URI, "snapshot-create-as", "a", "s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(call.kill)
            time.sleep(1)
            self.assertIsNone(call.poll())
            self.guest("b")
            virsh("start", "b")
            virsh("destroy", "b")
            self.assertIsNone(call.poll())
        self.assertEqual(call.wait(20), 0)
        self.assertEqual(virsh("snapshot-list", "a", "--name").out.split(), ["s"])

    def test_hotplug(self):
        self.guest("a", devices="<controller type='usb' model='nec-xhci'/>")
        virsh("start", "a")
        with open("/run/tmp/pen.xml", "w") as f:
            f.write("<input type='tablet' bus='usb'><alias name='ua-pen'/></input>")
        for moment in self.kill_during("attach-device", "a", "/run/tmp/pen.xml", "--live"):
            self.assert_whole("a")
            said = "ua-pen" in virsh("dumpxml", "a").out
            there = "ua-pen" in virsh("qemu-monitor-command", "a", '{"execute":"qom-list","arguments":{"path":"/machine/peripheral"}}').out
            self.assertEqual(said, there, moment)
            if said:
                virsh("detach-device-alias", "a", "ua-pen", "--live")
                wait_for(lambda: "ua-pen" not in virsh("dumpxml", "a").out)

    def test_undefine(self):
        for moment in MOMENTS:
            self.guest("a")
            virsh("autostart", "a")
            call = subprocess.Popen(["virsh", "-c", world.URI, "undefine", "a"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(moment)
            world.daemon.stop(signal.SIGKILL)
            call.kill()
            call.wait()
            there = os.path.exists("/etc/libvirt/qemu/a.xml")
            link = os.path.lexists("/etc/libvirt/qemu/autostart/a.xml")
            self.assertFalse(link and not there, f"{moment}: a link without its definition")
            world.daemon.start()
            self.assertEqual("a" in virsh("list", "--all", "--name").out.split(), there)
            if there:
                virsh("undefine", "a")

    def test_a_networks_start(self):
        with open("/run/tmp/net.xml", "w") as f:
            f.write("<network><name>k</name><bridge name='virbr77'/><ip address='192.168.77.1' netmask='255.255.255.0'>"
                    "<dhcp><range start='192.168.77.2' end='192.168.77.9'/></dhcp></ip></network>")
        virsh("net-define", "/run/tmp/net.xml")
        self.addCleanup(virsh, "net-undefine", "k", check=False)
        self.addCleanup(virsh, "net-destroy", "k", check=False)
        for moment in self.kill_during("net-start", "k"):
            active = "k" in virsh("net-list", "--name").out.split()
            if not active:
                virsh("net-start", "k")  # whatever is left of the last time must not be in the way
            self.assertTrue(os.path.exists("/sys/class/net/virbr77"), moment)
            virsh("net-destroy", "k")
            self.assertFalse(os.path.exists("/sys/class/net/virbr77"), moment)

    def test_events_go_on(self):
        self.guest("a")
        virsh("start", "a")
        number, pid = virsh("domid", "a").out, world.qemu_pid("a")
        world.daemon.restart(signal.SIGKILL)
        events = world.Events()
        self.addCleanup(events.close)
        self.assertEqual((virsh("domid", "a").out, world.qemu_pid("a")), (number, pid))
        virsh("suspend", "a")
        events.wait("a", libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)
        os.kill(pid, signal.SIGKILL)
        events.wait("a", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED)
        self.assertEqual(virsh("domstate", "a", "--reason").out.strip(), "shut off (crashed)")


if __name__ == "__main__":
    world.main()
