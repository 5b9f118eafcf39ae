#!/usr/bin/python3
"""Secrets: documents, values, rules, files that both daemons read, and events."""

import base64
import contextlib
import os
import stat
import uuid

import libvirt
import world
from world import virsh, wait_for

FOLDER = "/etc/libvirt/secrets"
CEPH = "<secret ephemeral='{e}' private='{p}'><uuid>{u}</uuid><usage type='ceph'><name>{n}</name></usage></secret>"


def document(name, ephemeral="no", private="no", own=None):
    return CEPH.format(e=ephemeral, p=private, n=name, u=own or uuid.uuid4())


class SecretEvents(world.Events):
    """Lifecycle and value events of secrets as (uuid, event)."""

    def __init__(self):
        self.told = []
        super().__init__()
        self.numbers = [
            self.conn.secretEventRegisterAny(None, libvirt.VIR_SECRET_EVENT_ID_LIFECYCLE, self.lifecycle, None),
            self.conn.secretEventRegisterAny(None, libvirt.VIR_SECRET_EVENT_ID_VALUE_CHANGED, self.changed, None),
        ]

    def lifecycle(self, _conn, secret, event, _detail, _opaque):
        self.told.append((secret.UUIDString(), event))

    def changed(self, _conn, secret, _opaque):
        self.told.append((secret.UUIDString(), "value"))

    def close(self):
        for number in self.numbers:
            self.conn.secretEventDeregisterAny(number)
        super().close()


class Secrets(world.Case):
    def setUp(self):
        self.conn = self.connect()

    def tearDown(self):
        with contextlib.closing(libvirt.open(world.URI)) as conn:
            for secret in conn.listAllSecrets():
                secret.undefine()
        super().tearDown()

    def test_document_and_look_ups(self):
        text = document("one")
        secret = self.conn.secretDefineXML(text)
        self.assertEqual(self.conn.secretLookupByUUIDString(secret.UUIDString()).usageID(), "one")
        self.assertEqual(self.conn.secretLookupByUsage(libvirt.VIR_SECRET_USAGE_TYPE_CEPH, "one").UUID(), secret.UUID())
        self.assertEqual(secret.usageType(), libvirt.VIR_SECRET_USAGE_TYPE_CEPH)
        self.assertEqual(
            secret.XMLDesc(),
            f"<secret ephemeral='no' private='no'>\n  <uuid>{secret.UUIDString()}</uuid>\n"
            "  <usage type='ceph'>\n    <name>one</name>\n  </usage>\n</secret>\n",
        )
        self.assertEqual(self.conn.numOfSecrets(), 1)
        self.assertEqual(self.conn.listSecrets(), [secret.UUIDString()])
        listed = virsh("secret-list").out
        self.assertIn(f" {secret.UUIDString()}   ceph one", listed)
        # Without a usage, and without a UUID of its own.
        plain = self.conn.secretDefineXML("<secret><description>d</description></secret>")
        self.assertEqual((plain.usageType(), plain.usageID()), (libvirt.VIR_SECRET_USAGE_TYPE_NONE, ""))
        with self.refused(libvirt.VIR_ERR_NO_SECRET, "no secret with matching usage 'two'"):
            self.conn.secretLookupByUsage(libvirt.VIR_SECRET_USAGE_TYPE_CEPH, "two")
        with self.refused(libvirt.VIR_ERR_NO_SECRET, "no secret with matching uuid"):
            self.conn.secretLookupByUUIDString(str(uuid.uuid4()))

    def test_values(self):
        secret = self.conn.secretDefineXML(document("values"))
        with self.refused(libvirt.VIR_ERR_NO_SECRET, "does not have a value"):
            secret.value()
        secret.setValue(b"\0two\xff words")
        self.assertEqual(secret.value(), b"\0two\xff words")
        virsh("secret-set-value", secret.UUIDString(), base64.b64encode(b"via virsh").decode())
        self.assertEqual(secret.value(), b"via virsh")
        self.assertEqual(virsh("secret-get-value", secret.UUIDString()).out.strip(), base64.b64encode(b"via virsh").decode())
        # A new definition keeps the value.
        self.conn.secretDefineXML(document("values", own=secret.UUIDString()))
        self.assertEqual(secret.value(), b"via virsh")

    def test_private_values_stay_inside(self):
        secret = self.conn.secretDefineXML(document("private", private="yes"))
        secret.setValue(b"x")
        with self.refused(libvirt.VIR_ERR_INVALID_SECRET, "secret is private"):
            secret.value()
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "cannot change private flag on existing secret"):
            self.conn.secretDefineXML(document("private", own=secret.UUIDString()))

    def test_readers_may_not_ask_for_values(self):
        made = self.conn.secretDefineXML(document("readonly"))
        made.setValue(b"x")
        reader = self.connect(readonly=True)
        secret = reader.secretLookupByUUIDString(made.UUIDString())
        secret.XMLDesc()
        for call in (secret.value, lambda: secret.setValue(b"y"), secret.undefine, lambda: reader.secretDefineXML(document("no"))):
            with self.refused(libvirt.VIR_ERR_OPERATION_DENIED):
                call()

    def test_conflicts(self):
        one = self.conn.secretDefineXML(document("same"))
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, f"a secret with UUID {one.UUIDString()} already defined for use with same"):
            self.conn.secretDefineXML(document("same"))
        with self.refused(libvirt.VIR_ERR_INTERNAL_ERROR, "is already defined for use with same"):
            self.conn.secretDefineXML(document("other", own=one.UUIDString()))
        for text, code in (
            ("<secret ephemeral='x'/>", libvirt.VIR_ERR_XML_ERROR),
            ("<secret><usage type='x'/></secret>", libvirt.VIR_ERR_CONFIG_UNSUPPORTED),
            ("<secret><usage type='iscsi'/></secret>", libvirt.VIR_ERR_INTERNAL_ERROR),
            ("<secret>", libvirt.VIR_ERR_XML_DETAIL),
            ("<domain/>", libvirt.VIR_ERR_XML_ERROR),
        ):
            with self.subTest(text), self.refused(code):
                self.conn.secretDefineXML(text)
        self.assertEqual(self.conn.numOfSecrets(), 1)

    def test_filters(self):
        for ephemeral in ("yes", "no"):
            for private in ("yes", "no"):
                self.conn.secretDefineXML(document(f"{ephemeral}{private}", ephemeral, private))

        def names(flags):
            return sorted(secret.usageID() for secret in self.conn.listAllSecrets(flags))

        self.assertEqual(names(libvirt.VIR_CONNECT_LIST_SECRETS_EPHEMERAL), ["yesno", "yesyes"])
        self.assertEqual(names(libvirt.VIR_CONNECT_LIST_SECRETS_NO_PRIVATE), ["nono", "yesno"])
        self.assertEqual(names(libvirt.VIR_CONNECT_LIST_SECRETS_EPHEMERAL | libvirt.VIR_CONNECT_LIST_SECRETS_PRIVATE), ["yesyes"])
        self.assertEqual(len(names(libvirt.VIR_CONNECT_LIST_SECRETS_EPHEMERAL | libvirt.VIR_CONNECT_LIST_SECRETS_NO_EPHEMERAL)), 4)

    def test_files(self):
        kept = self.conn.secretDefineXML(document("kept", private="yes"))
        kept.setValue(b"secret")
        passing = self.conn.secretDefineXML(document("passing", ephemeral="yes"))
        passing.setValue(b"memory only")
        path = f"{FOLDER}/{kept.UUIDString()}"
        for name in (path + ".xml", path + ".base64"):
            self.assertEqual(stat.S_IMODE(os.stat(name).st_mode), 0o600)
        with open(path + ".base64") as f:
            self.assertEqual(f.read(), base64.b64encode(b"secret").decode())
        self.assertEqual(sorted(os.listdir(FOLDER)), sorted(f"{kept.UUIDString()}.{end}" for end in ("xml", "base64")))
        self.conn.secretDefineXML(document("passing", own=passing.UUIDString()))
        self.assertTrue(os.path.exists(f"{FOLDER}/{passing.UUIDString()}.base64"))
        for secret in (kept, passing):
            secret.undefine()
        self.assertEqual(os.listdir(FOLDER), [])

    @world.only_lodge  # libvirtd leaves the definition on disk, and has it again after a restart
    def test_from_disk_to_memory(self):
        secret = self.conn.secretDefineXML(document("passing"))
        secret.setValue(b"x")
        self.conn.secretDefineXML(document("passing", ephemeral="yes", own=secret.UUIDString()))
        self.assertEqual(os.listdir(FOLDER), [])
        self.assertEqual(secret.value(), b"x")

    def test_restart(self):
        kept = self.conn.secretDefineXML(document("kept"))
        kept.setValue(b"over the restart")
        self.conn.secretDefineXML(document("passing", ephemeral="yes"))
        with open(f"{FOLDER}/{uuid.uuid4()}.xml", "w") as f:  # not its own name
            f.write(document("stranger"))
        world.daemon.restart()
        os.remove(f.name)
        conn = self.connect()
        self.assertEqual([secret.usageID() for secret in conn.listAllSecrets()], ["kept"])
        self.assertEqual(conn.secretLookupByUUIDString(kept.UUIDString()).value(), b"over the restart")

    def test_events(self):
        events = SecretEvents()
        try:
            secret = self.conn.secretDefineXML(document("events"))
            secret.setValue(b"1")
            secret.undefine()
            own = secret.UUIDString()
            wanted = [(own, libvirt.VIR_SECRET_EVENT_DEFINED), (own, "value"), (own, libvirt.VIR_SECRET_EVENT_UNDEFINED)]
            wait_for(lambda: len(events.told) >= 3, what="three events")
            self.assertEqual(events.told, wanted)
        finally:
            events.close()
        with self.assertRaises(libvirt.libvirtError):
            self.conn.secretEventRegisterAny(None, 7, lambda *_: None, None)


if __name__ == "__main__":
    world.main()
