"""Copies on a node: whole, with their mode, never over somebody else's file, and never shown."""

import os
import shutil
import stat
import tempfile
import unittest
from unittest import mock

from unshim_node import file_copies
from unshim_node.errors import NodeError
from unshim_node.journal import Journal

KEY = b"-----BEGIN PRIVATE KEY-----\nnot for anybody's eyes\n"


@unittest.skipUnless(os.geteuid() == 0, "needs root, as on a node")
class TestFileCopies(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.source = os.path.join(self.root, "docker", "client.key")
        self.path = os.path.join(self.root, "containerd", "reg:5000", "client.key")
        os.mkdir(os.path.dirname(self.source))
        self.write(self.source, KEY)
        self.journal = Journal(os.path.join(self.root, "unshim"))
        self.addCleanup(self.journal.unlock)
        self.copy = {
            "source": self.source,
            "path": self.path,
            "mode": "0600",
            "owner": "root",
            "group": "daemon",
            "role": "registry",
            "secret": True,
        }

    def write(self, path, data):
        with open(path, "wb") as stream:
            stream.write(data)

    def read(self, path):
        with open(path, "rb") as stream:
            return stream.read()

    def make(self):
        done = file_copies.pending([self.copy], self.journal)
        for copy in done:
            file_copies.apply(copy, self.journal)
        return len(done)

    def test_once_with_mode_and_owner(self):
        self.assertEqual(self.make(), 1)
        self.assertEqual(self.read(self.path), KEY)
        info = os.stat(self.path)
        self.assertEqual((stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid), (0o600, 0, 1))
        self.assertEqual(self.make(), 0)

    def test_what_kubernetes_links_to_is_copied_and_the_copy_is_a_file(self):
        os.mkdir(os.path.join(self.root, "docker", "..2024"))
        os.rename(self.source, os.path.join(self.root, "docker", "..2024", "client.key"))
        os.symlink("..2024", os.path.join(self.root, "docker", "..data"))
        os.symlink("..data/client.key", self.source)
        self.make()
        self.assertFalse(os.path.islink(self.path))
        self.assertEqual(self.read(self.path), KEY)

    def test_one_that_was_there_and_is_the_same_is_left_alone(self):
        os.makedirs(os.path.dirname(self.path))
        self.write(self.path, KEY)
        self.assertEqual(self.make(), 0)
        self.assertEqual(self.journal.files, {})

    def test_one_that_was_there_and_is_another_is_refused(self):
        os.makedirs(os.path.dirname(self.path))
        self.write(self.path, b"theirs")
        with self.assertRaises(NodeError) as caught:
            self.make()
        self.assertIn("was not written by unshim; nothing was changed", caught.exception.message)
        self.assertIn(self.path, caught.exception.message)
        self.assertEqual(self.read(self.path), b"theirs")

    def test_ours_follows_its_source(self):
        self.make()
        self.write(self.source, b"renewed")
        self.assertEqual(self.make(), 1)
        self.assertEqual(self.read(self.path), b"renewed")
        self.write(self.path, b"somebody's")
        with self.assertRaises(NodeError):
            self.make()

    def test_ours_is_known_as_ours_after_a_crash(self):
        with mock.patch.object(self.journal, "remember_written", side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, self.make)
        self.assertEqual((self.make(), self.make()), (1, 0))
        self.write(self.source, b"renewed")
        self.assertEqual(self.make(), 1)
        self.assertEqual(self.read(self.path), b"renewed")

    def test_a_source_that_cannot_be_copied_is_named(self):
        for spoil in (
            lambda: self.write(self.source, b"x" * (file_copies.LIMIT + 1)),
            lambda: os.unlink(self.source),
            lambda: os.symlink("nowhere", self.source),
            lambda: (os.unlink(self.source), os.mkdir(self.source)),
        ):
            spoil()
            with self.assertRaises(NodeError) as caught:
                self.make()
            self.assertIn(self.source, caught.exception.message)
            self.assertIn("nothing was changed", caught.exception.message)
            self.assertFalse(os.path.exists(self.path))

    def test_a_diff_has_checksums_only(self):
        shown = file_copies.diff(self.copy)
        self.assertEqual((shown["before"], shown["before_header"]), ("", self.path + " (absent)"))
        self.assertIn("copied from %s, mode 0600, sha256 " % self.source, shown["after"])
        self.assertNotIn("PRIVATE", shown["after"])

    def test_rolled_back_with_others_beside_it(self):
        """The first file is who made the directories; they go with the last."""
        self.make()
        other = os.path.join(os.path.dirname(self.path), "hosts.toml")
        self.journal.remember_file(other, "registry", False)
        self.write(other, b"x")
        for path in self.journal.restorable(("registry",)):
            self.journal.restore_file(path)
        self.assertFalse(os.path.exists(os.path.join(self.root, "containerd")))
        self.assertTrue(os.path.exists(self.source))

    def test_rolled_back(self):
        self.make()
        shown = self.journal.restore_file(self.path)
        self.assertTrue(shown["changed"])
        self.assertNotIn("PRIVATE", str(shown))
        self.assertFalse(os.path.exists(os.path.join(self.root, "containerd")))
        for directory, _, names in os.walk(self.journal.root):
            for name in names:
                self.assertNotIn(b"PRIVATE", self.read(os.path.join(directory, name)))


if __name__ == "__main__":
    unittest.main()
