"""Symlinks that an ordinary user planted, on paths that root writes: at the file, at a name beside it, above it.

On a real file system, as root; the victim is a file that only root may change.
"""

import os
import shutil
import stat
import tempfile
import unittest

from unshim_node import files, journal, release_archive, second_containerd
from unshim_node.errors import NodeError

USER = 65534  # nobody


@unittest.skipUnless(os.geteuid() == 0, "only root can be made to write where a user could not")
class TestPlantedLinks(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        os.chmod(self.directory, 0o755)
        self.open = os.path.join(self.directory, "of-a-user")  # such as a directory of plugins that belongs to "kube"
        os.mkdir(self.open)
        os.chown(self.open, USER, USER)
        self.victim = os.path.join(self.directory, "shadow")
        self.write(self.victim, "of root\n")
        before = os.umask(0)
        self.addCleanup(os.umask, before)

    def write(self, path, text, mode=0o600):
        with open(path, "w") as stream:
            stream.write(text)
        os.chmod(path, mode)

    def plant(self, path, target):
        os.symlink(target, path)
        os.chown(path, USER, USER, follow_symlinks=False)

    def untouched(self):
        with open(self.victim) as stream:
            self.assertEqual(stream.read(), "of root\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.victim).st_mode), 0o600)

    def refused(self, act, *arguments):
        with self.assertRaises(NodeError) as caught:
            act(*arguments)
        self.assertIn("belongs to user 65534", caught.exception.message)
        self.untouched()

    # At the file

    def test_written_through_a_link_of_a_user(self):
        path = os.path.join(self.open, "10.conflist")
        self.plant(path, self.victim)
        self.refused(files.write_atomically, path, b"of the user\n", 0o644, 0, 0)
        self.assertEqual(os.readlink(path), self.victim)

    def test_removed_through_a_link_of_a_user(self):
        path = os.path.join(self.open, "10.conflist")
        self.plant(path, self.victim)
        self.refused(files.remove, path)

    def test_a_link_of_a_user_behind_one_of_roots(self):
        path = os.path.join(self.open, "second")
        self.plant(path, self.victim)
        first = os.path.join(self.directory, "first")
        os.symlink(path, first)
        self.refused(files.write_atomically, first, b"x", 0o644, 0, 0)

    def test_a_link_of_a_user_to_nothing(self):
        path = os.path.join(self.open, "new")
        self.plant(path, os.path.join(self.directory, "made"))
        self.refused(files.write_atomically, path, b"x", 0o644, 0, 0)
        self.assertFalse(os.path.lexists(os.path.join(self.directory, "made")))

    # Above it

    def test_a_directory_on_the_way_is_a_link_of_a_user(self):
        path = os.path.join(self.open, "certs.d")
        self.plant(path, self.directory)
        for one in ("shadow", "new/file"):
            self.refused(files.write_atomically, os.path.join(path, one), b"x", 0o644, 0, 0)
        self.assertEqual(sorted(os.listdir(self.directory)), ["of-a-user", "shadow"])
        self.refused(files.remove, os.path.join(path, "shadow"))

    def test_a_link_that_turns_up_between_two_looks(self):
        """The directory is swapped for a link after it was looked at: what is written goes where was looked."""
        there, away = os.path.join(self.open, "d"), os.path.join(self.open, "moved")
        os.mkdir(there)
        real = files.read_attributes

        def swap(path):
            os.rename(there, away)
            self.plant(there, self.directory)
            files.read_attributes = real
            return {}

        files.read_attributes = swap
        try:
            files.write_atomically(os.path.join(there, "shadow"), b"x", 0o644, 0, 0)
        finally:
            files.read_attributes = real
        self.untouched()
        self.assertEqual(os.listdir(away), ["shadow"])

    # Links that are meant

    def test_links_of_root_are_followed_and_stay(self):
        lib = os.path.join(self.directory, "lib")
        os.mkdir(lib)
        os.symlink("lib", os.path.join(self.directory, "usr-merged"))
        os.symlink("../shadow", os.path.join(lib, "link"))
        path = os.path.join(self.directory, "usr-merged", "link")
        files.write_atomically(path, b"new\n", 0o640, 0, 0)
        self.assertEqual(os.readlink(os.path.join(lib, "link")), "../shadow")
        with open(self.victim) as stream:
            self.assertEqual(stream.read(), "new\n")

    def test_links_in_a_circle(self):
        os.symlink("b", os.path.join(self.directory, "a"))
        os.symlink("a", os.path.join(self.directory, "b"))
        with self.assertRaises(OSError):
            files.write_atomically(os.path.join(self.directory, "a"), b"x", 0o644, 0, 0)

    # Beside it

    def test_a_name_beside_a_link_is_replaced(self):
        """files.set_link has a fixed name beside it: what is there goes, and where it leads to is untouched."""
        path = os.path.join(self.open, "link")
        self.plant(path + ".unshim-link", self.victim)
        files.set_link(path, "somewhere")
        self.assertEqual(os.readlink(path), "somewhere")
        self.untouched()

    def test_a_plugin_is_not_copied_through_a_link(self):
        opt = os.path.join(self.directory, "opt")
        archive = {"name": "cni", "version": "1.0"}
        source = release_archive.directory(archive, opt)
        os.makedirs(source)
        self.write(os.path.join(source, "bridge"), "a plugin")
        self.plant(os.path.join(self.open, ".bridge.unshim-%d" % os.getpid()), self.victim)
        release_archive.copy_plugins(archive, ["bridge"], opt, self.open)
        self.untouched()
        info = os.lstat(os.path.join(self.open, "bridge"))
        self.assertEqual((stat.S_ISREG(info.st_mode), info.st_uid, stat.S_IMODE(info.st_mode)), (True, 0, 0o755))

    def test_the_locks_are_not_opened_through_a_link(self):
        root = os.path.join(self.open, "unshim")
        os.mkdir(root)
        self.plant(os.path.join(root, "lock"), self.victim)
        with self.assertRaises(OSError):
            journal.Journal.load(root).lock()
        second = second_containerd.SecondContainerd("/nowhere", os.path.join(root, "d"), os.path.join(root, "lock"))
        with self.assertRaises(OSError):
            second._take_lock()
        self.untouched()


class TestModes(unittest.TestCase):
    """Whatever the umask is: nobody else reads what is root's, not even for a moment."""

    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)

    def test_every_file_of_the_journal_is_its_owners_alone(self):
        for umask in (0, 0o022, 0o077):
            before = os.umask(umask)
            self.addCleanup(os.umask, before)
            root = os.path.join(self.directory, "%o" % umask, "unshim")
            secret = os.path.join(self.directory, "config.toml")
            with open(secret, "w") as stream:
                stream.write("password")
            kept = journal.Journal.load(root)
            kept.remember_file(secret, "containerd_config", True, b"new")
            kept.set_state("prepared")
            kept.unlock()
            seen = [os.path.join(parent, one) for parent, _, names in os.walk(root) for one in names]
            self.assertIn("config.toml", [os.path.basename(one) for one in seen])
            self.assertEqual({stat.S_IMODE(os.stat(one).st_mode) for one in seen}, {0o600})
            directories = [parent for parent, _, _ in os.walk(root)]
            self.assertEqual({stat.S_IMODE(os.stat(one).st_mode) for one in directories}, {0o700})
            os.umask(before)

    def test_a_secret_is_closed_from_its_first_byte(self):
        seen = []
        path = os.path.join(self.directory, "hosts.toml")
        real = os.rename

        def look(source, target, **directories):
            seen.extend(
                os.stat(os.path.join(self.directory, one)).st_mode & 0o777 for one in os.listdir(self.directory)
            )
            return real(source, target, **directories)

        before = os.umask(0)
        real_fchmod, os.rename = os.fchmod, look
        modes = []
        os.fchmod = lambda descriptor, mode: (
            modes.append(os.fstat(descriptor).st_mode & 0o777),
            real_fchmod(descriptor, mode),
        )
        try:
            files.write_atomically(path, b"password", 0o600, os.geteuid(), os.getegid())
        finally:
            os.rename, os.fchmod = real, real_fchmod
            os.umask(before)
        self.assertEqual((modes, seen), ([0o600], [0o600]))
