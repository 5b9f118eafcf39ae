#!/usr/bin/python3
"""The host goes down: the daemon has asked logind to wait, and saves or shuts down its guests before it lets go."""

import os
import signal
import subprocess

import world
from world import virsh, wait_for

BUS = "/run/dbus/system_bus_socket"
CONFIG = "/etc/libvirt/lodged.conf"
POLICY = f"""<busconfig><type>system</type><listen>unix:path={BUS}</listen>
<policy context='default'><allow send_destination='*' eavesdrop='true'/><allow receive_sender='*'/><allow own='*'/><allow user='*'/></policy></busconfig>"""


@world.only_lodge  # libvirt leaves it to a script
class HostShutdown(world.Case):
    def setUp(self):
        os.makedirs(os.path.dirname(BUS), exist_ok=True)
        with open("/run/tmp/bus.conf", "w") as f:
            f.write(POLICY)
        self.child("dbus-daemon", "--config-file=/run/tmp/bus.conf", "--nofork", "--nopidfile")
        wait_for(lambda: os.path.exists(BUS), what="a bus")
        self.said = open("/run/tmp/logind.log", "w+")
        self.addCleanup(self.said.close)
        self.logind = self.child(os.path.join(world.FAKES, "logind"), stdout=self.said)
        wait_for(lambda: "ready" in self.words(), what="logind")
        with open(CONFIG) as f:
            before = f.read()

        def put_back():
            with open(CONFIG, "w") as f:
                f.write(before)

        self.addCleanup(put_back)
        self.before = before

    def child(self, *command, **more):
        child = subprocess.Popen(command, **more)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def words(self):
        with open("/run/tmp/logind.log") as f:
            return f.read()

    def configure(self, **settings):
        with open(CONFIG, "w") as f:
            f.write(self.before + "".join(f"\n{key} = {value}\n" for key, value in settings.items()))
        world.daemon.restart()

    def go_down(self):
        wait_for(lambda: "locked lodged shutdown delay" in self.words(), what="the daemon's lock")
        self.assertNotIn("released", self.words())
        self.logind.send_signal(signal.SIGUSR1)
        wait_for(lambda: "released lodged" in self.words(), 60, what="the lock to be given back")

    def test_guests_are_saved(self):
        self.configure(on_host_shutdown='"save"', host_shutdown_parallel=2)
        names = [f"g{n}" for n in range(4)]
        for name in names:
            self.connect().defineXML(world.bare_xml(name))
            virsh("start", name)
        self.go_down()
        self.assertEqual(virsh("list", "--name").out.split(), [])
        for name in names:
            self.assertRegex(virsh("dominfo", name).out, r"Managed save: +yes")
            virsh("start", name)

    def test_who_does_not_listen_is_not_waited_for_ever(self):
        self.configure(on_host_shutdown='"shutdown"', host_shutdown_timeout=2)
        self.connect().defineXML(world.bare_xml("deaf"))
        virsh("start", "deaf")
        self.go_down()
        self.assertEqual(virsh("domstate", "deaf").out.strip(), "running")

    def test_nothing_is_locked_unless_wanted(self):
        self.configure()
        virsh("list")
        self.assertNotIn("locked", self.words())


if __name__ == "__main__":
    world.main()
