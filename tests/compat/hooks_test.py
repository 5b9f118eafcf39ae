#!/usr/bin/python3
"""The administrator's programs in /etc/libvirt/hooks: when they are called, with what, and what their refusal does."""

import contextlib
import os
import shutil
import signal
import subprocess
import unittest

import libvirt
import world
from world import virsh, wait_for

HOOKS = "/etc/libvirt/hooks"
SEEN = "/run/tmp/hooks"  # what the programs note: a line per call, and what they read

NOTE = f"""#!/bin/sh
echo "$(basename $(dirname $0))/$(basename $0) $*" >> {SEEN}/calls
cat > {SEEN}/$(basename $0).$2
[ ! -e {SEEN}/refuse.$2 ] || {{ cat {SEEN}/refuse.$2 >&2; exit 3; }}
[ ! -e {SEEN}/print.$2 ] || cat {SEEN}/print.$2
[ ! -e {SEEN}/run.$2 ] || . {SEEN}/run.$2
"""


class Hooks(world.Case):
    def setUp(self):
        shutil.rmtree(SEEN, ignore_errors=True)
        os.makedirs(SEEN)

    def tearDown(self):
        for path in os.listdir(SEEN):
            if path.split(".")[0] in ("refuse", "print", "run"):
                os.unlink(f"{SEEN}/{path}")
        super().tearDown()
        shutil.rmtree(HOOKS, ignore_errors=True)

    def install(self, *names):
        """Puts programs in their place and starts the daemon anew: the peer looks for them then only."""
        for name in names:
            path = f"{HOOKS}/{name}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                f.write(NOTE)
            os.chmod(path, 0o755)
        world.daemon.restart()
        self.forget()

    def forget(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{SEEN}/calls")

    def calls(self):
        try:
            with open(f"{SEEN}/calls") as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def put(self, name, text):
        with open(f"{SEEN}/{name}", "w") as f:
            f.write(text)

    def read(self, name):
        with open(f"{SEEN}/{name}") as f:
            return f.read()

    def define(self, name, **more):
        self.connect().defineXML(world.bare_xml(name, **more))

    def test_a_guest_from_start_to_end(self):
        self.install("qemu")
        self.define("told")
        virsh("start", "told")
        self.assertEqual(self.calls(), [f"hooks/qemu told {op} begin -" for op in ("prepare", "start", "started")])
        document = self.read("qemu.started")
        self.assertTrue(document.startswith("<domain type='qemu' id='"), document[:80])
        self.assertIn("<name>told</name>", document)
        self.assertIn("<alias name=", document)
        self.forget()
        virsh("destroy", "told")
        self.assertEqual(self.calls(), ["hooks/qemu told stopped end -", "hooks/qemu told release end -"])
        self.assertIn("<name>told</name>", self.read("qemu.release"))

    def test_a_guest_that_dies_by_itself(self):
        self.install("qemu")
        self.define("mortal")
        virsh("start", "mortal")
        self.forget()
        os.kill(world.qemu_pid("mortal"), signal.SIGKILL)
        wait_for(lambda: len(self.calls()) == 2, what="two calls")
        self.assertEqual(self.calls(), ["hooks/qemu mortal stopped end -", "hooks/qemu mortal release end -"])
        wait_for(lambda: virsh("domstate", "mortal").out.strip() == "shut off")

    def test_each_step_of_a_start_may_be_refused(self):
        self.install("qemu")
        self.define("unwanted")
        for op in ("prepare", "start", "started"):
            self.put(f"refuse.{op}", f"not today ({op})\n")
            with self.refused(libvirt.VIR_ERR_HOOK_SCRIPT_FAILED, "Hook script execution failed", "exit status 3", f"not today ({op})") as caught:
                self.connect().lookupByName("unwanted").create()
            self.assertEqual(caught.exception.get_error_domain(), libvirt.VIR_FROM_HOOK)
            self.assertEqual(virsh("domstate", "unwanted").out.strip(), "shut off")
            self.assertFalse(os.path.exists("/run/libvirt/qemu/unwanted.xml"))
            self.assertEqual(self.calls()[-2:], ["hooks/qemu unwanted stopped end -", "hooks/qemu unwanted release end -"])
            os.unlink(f"{SEEN}/refuse.{op}")
        virsh("start", "unwanted")

    def test_nobody_can_refuse_an_end(self):
        self.install("qemu")
        self.define("leaving")
        virsh("start", "leaving")
        self.put("refuse.stopped", "stay\n")
        self.put("refuse.release", "stay\n")
        virsh("destroy", "leaving")
        self.assertEqual(virsh("domstate", "leaving").out.strip(), "shut off")

    def test_a_folder_of_programs(self):
        self.install("qemu", "qemu.d/20-second", "qemu.d/10-first")
        os.makedirs(f"{HOOKS}/qemu.d", exist_ok=True)
        with open(f"{HOOKS}/qemu.d/15-no-program", "w") as f:
            f.write("exit 1\n")
        self.define("many")
        virsh("start", "many")
        prepared = [line for line in self.calls() if " prepare " in line]
        self.assertEqual(prepared, [f"{p} many prepare begin -" for p in ("hooks/qemu", "qemu.d/10-first", "qemu.d/20-second")])

    def test_a_restored_guest_may_be_changed(self):
        self.install("qemu", "qemu.d/later")
        self.define("moved")
        virsh("start", "moved")
        virsh("save", "moved", "/run/tmp/moved.save")
        self.forget()
        changed = virsh("save-image-dumpxml", "/run/tmp/moved.save", "--security-info").out.replace(
            "<name>moved</name>", "<name>moved</name><title>by a program</title>")
        self.put("print.restore", changed)
        virsh("restore", "/run/tmp/moved.save")
        self.assertEqual(self.calls()[:2], ["hooks/qemu moved restore begin -", "qemu.d/later moved restore begin -"])
        self.assertIn("<title>by a program</title>", self.read("later.restore"))
        self.assertIn("<title>by a program</title>", virsh("dumpxml", "moved").out)

    def test_a_managed_save_may_be_refused(self):
        self.install("qemu")
        self.define("kept")
        virsh("start", "kept")
        virsh("managedsave", "kept")
        self.put("refuse.restore", "not this one\n")
        failed = virsh("start", "kept", check=False)
        self.assertIn("not this one", failed.err)
        self.assertRegex(virsh("dominfo", "kept").out, r"Managed save: +yes")
        os.unlink(f"{SEEN}/refuse.restore")
        virsh("start", "kept")

    def test_a_new_daemon_tells_of_guests_it_found(self):
        self.install("qemu")
        self.define("found")
        self.define("refused")
        for name in ("found", "refused"):
            virsh("start", name)
        self.put("run.reconnect", '[ "$1" != refused ] || exit 1\n')
        self.forget()
        world.daemon.restart(signal.SIGKILL)
        wait_for(lambda: virsh("domstate", "refused").out.strip() == "shut off", what="the refused guest's end")
        wait_for(lambda: "hooks/qemu found reconnect begin -" in self.calls())
        self.assertEqual(virsh("domstate", "found").out.strip(), "running")

    def test_the_daemon_itself(self):
        self.install("daemon")
        os.kill(world.daemon.process.pid, signal.SIGHUP)
        wait_for(lambda: "hooks/daemon - reload begin SIGHUP" in self.calls(), what="reload")
        world.daemon.restart()
        self.assertEqual(self.calls()[1:], ["hooks/daemon - shutdown - shutdown", "hooks/daemon - start - start"])

    def test_a_network_and_its_ports(self):
        self.install("network")
        with contextlib.suppress(libvirt.libvirtError):
            self.connect().networkLookupByName("default").destroy()
        self.forget()
        virsh("net-start", "default")
        self.assertEqual(self.calls(), [f"hooks/network default {op} begin -" for op in ("start", "started")])
        self.assertRegex(self.read("network.started"), r"(?s)^<hookData>\n  <network.*</network>\n</hookData>$")
        self.forget()
        self.define("plugged", devices="<interface type='network'><source network='default'/></interface>")
        virsh("start", "plugged")
        self.assertEqual(self.calls(), ["hooks/network default port-created begin -"])
        self.assertRegex(self.read("network.port-created"), r"(?s)</network>\n  <networkport>\n    <uuid>.*<name>plugged</name>")
        self.forget()
        virsh("destroy", "plugged")
        wait_for(lambda: self.calls() == ["hooks/network default port-deleted begin -"], what="port-deleted")
        self.forget()
        virsh("net-update", "default", "add", "dns-host", "<host ip='192.168.122.9'><hostname>nine</hostname></host>", "--live")
        self.assertEqual(self.calls(), ["hooks/network default updated begin -"])
        self.forget()
        virsh("net-destroy", "default")
        self.assertEqual(self.calls(), ["hooks/network default stopped end -"])

    def test_a_network_or_a_port_may_be_refused(self):
        self.install("network")
        with contextlib.suppress(libvirt.libvirtError):
            self.connect().networkLookupByName("default").destroy()
        for op in ("start", "started") if world.IS_LODGE else ("start",):  # the peer then leaves its bridge behind
            self.put(f"refuse.{op}", "no network\n")
            failed = virsh("net-start", "default", check=False)
            self.assertIn("no network", failed.err)
            self.assertNotIn("default", virsh("net-list", "--name").out.split())
            os.unlink(f"{SEEN}/refuse.{op}")
        virsh("net-start", "default")
        self.define("alone", devices="<interface type='network'><source network='default'/></interface>")
        self.put("refuse.port-created", "no plug\n")
        failed = virsh("start", "alone", check=False)
        self.assertIn("no plug", failed.err)
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        self.assertNotIn("vnet", links)

    @world.only_lodge  # libvirt forbids it: it would wait for itself
    def test_a_program_may_ask_the_daemon(self):
        self.install("qemu")
        self.define("curious")
        self.put("run.start", f"virsh -c {world.URI} dumpxml $1 > {SEEN}/dumped && virsh -c {world.URI} list --all > {SEEN}/listed\n")
        virsh("start", "curious")
        self.assertIn("<name>curious</name>", self.read("dumped"))
        self.assertIn("curious", self.read("listed"))

    @world.only_lodge  # libvirt waits for ever
    def test_a_program_that_does_not_end(self):
        with open("/etc/libvirt/lodged.conf") as f:
            before = f.read()
        with open("/etc/libvirt/lodged.conf", "a") as f:
            f.write("\nhook_timeout = 2\n")

        def put_back():
            with open("/etc/libvirt/lodged.conf", "w") as f:
                f.write(before)
            world.daemon.restart()

        self.addCleanup(put_back)
        self.install("qemu")
        self.define("patient")
        self.define("other")
        self.put("run.prepare", '[ "$1" != patient ] || exec sleep 1000\n')
        start = subprocess.Popen(["virsh", "-c", world.URI, "start", "patient"], stderr=subprocess.PIPE, text=True)
        virsh("start", "other")  # nobody else waits
        self.assertIn("did not end within", start.communicate(timeout=120)[1])
        self.assertEqual(virsh("domstate", "patient").out.strip(), "shut off")


if __name__ == "__main__":
    world.main()
