"""Files on a node: written whole or not at all, never over somebody else's edit, and back as they were."""

import os
import shutil
import stat
import subprocess
import tempfile
import unittest
from unittest import mock

from unshim_node import file_changes, files
from unshim_node.errors import NodeError
from unshim_node.journal import Journal

IS_ROOT = os.geteuid() == 0


def change(path, before, after, **more):
    return dict(
        {"path": path, "before": before, "after": after, "mode": "0640", "owner": "root", "group": "root"}, **more
    )


def has_immutable(directory):
    """Whether this filesystem knows the immutable attribute and we may set it."""
    path = os.path.join(directory, "probe")
    with open(path, "w"):
        pass
    try:
        if subprocess.call(["chattr", "+i", path], stderr=subprocess.DEVNULL) != 0:
            return False
        return subprocess.call(["chattr", "-i", path]) == 0
    except OSError:
        return False
    finally:
        os.unlink(path)


@unittest.skipUnless(IS_ROOT, "needs root, as on a node")
class TestFiles(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.journal = Journal.load(os.path.join(self.directory, "unshim"))
        self.addCleanup(self.journal.unlock)
        self.path = os.path.join(self.directory, "file.conf")

    def write(self, content, path=None, mode=0o644, uid=0, gid=0):
        with open(path or self.path, "w") as stream:
            stream.write(content)
        os.chown(path or self.path, uid, gid)
        os.chmod(path or self.path, mode)

    def read(self, path=None):
        with open(path or self.path) as stream:
            return stream.read()

    def left_over(self):
        return [name for name in os.listdir(self.directory) if name.startswith(".unshim-")]

    # apply_change

    def test_a_change_is_applied_once(self):
        self.write("old\n")
        wanted = change(self.path, "old\n", "new\n")
        result = file_changes.apply_change(wanted, self.journal, False)
        self.assertTrue(result["changed"])
        self.assertEqual((result["diff"]["before"], result["diff"]["after"]), ("old\n", "new\n"))
        self.assertEqual(self.read(), "new\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o640)
        self.assertEqual(file_changes.apply_change(wanted, self.journal, False), {"changed": False, "diff": {}})
        self.assertEqual(self.left_over(), [])

    def test_check_mode_says_the_same_and_does_nothing(self):
        self.write("old\n")
        result = file_changes.apply_change(change(self.path, "old\n", "new\n"), self.journal, True)
        self.assertTrue(result["changed"])
        self.assertEqual(self.read(), "old\n")
        self.assertFalse(os.path.exists(self.journal.root))

    def test_a_file_that_changed_since_the_plan_is_refused(self):
        self.write("somebody's\n")
        with self.assertRaises(NodeError) as caught:
            file_changes.apply_change(change(self.path, "old\n", "new\n"), self.journal, False)
        self.assertIn("%s changed since the plan was made" % self.path, caught.exception.message)
        self.assertEqual(self.read(), "somebody's\n")
        self.assertEqual(self.journal.files, {})

    def test_a_file_that_appeared_or_vanished_since_the_plan_is_refused(self):
        with self.assertRaises(NodeError):
            file_changes.apply_change(change(self.path, "old\n", "new\n"), self.journal, False)
        self.write("here\n")
        with self.assertRaises(NodeError) as caught:
            file_changes.apply_change(change(self.path, None, "new\n"), self.journal, False)
        self.assertIn("it was absent then", caught.exception.message)

    def test_bytes_that_are_no_utf_8_are_refused_not_lost(self):
        with open(self.path, "wb") as stream:
            stream.write(b"\xff\xfe")
        with self.assertRaises(NodeError):
            file_changes.apply_change(change(self.path, "old\n", "new\n"), self.journal, False)

    def test_removal(self):
        self.write("old\n")
        wanted = change(self.path, "old\n", None)
        self.assertTrue(file_changes.apply_change(wanted, self.journal, False)["changed"])
        self.assertFalse(os.path.exists(self.path))
        self.assertFalse(file_changes.apply_change(wanted, self.journal, False)["changed"])

    def test_new_directories_are_readable_under_a_strict_umask(self):
        path = os.path.join(self.directory, "a", "b", "c.toml")
        self.addCleanup(os.umask, os.umask(0o077))
        file_changes.apply_change(change(path, None, "x", mode="0644"), self.journal, False)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o755)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o644)

    def test_a_symlink_stays_and_its_target_is_written(self):
        target = os.path.join(self.directory, "real.conf")
        self.write("old\n", target)
        os.symlink("real.conf", self.path)
        file_changes.apply_change(change(self.path, "old\n", "new\n"), self.journal, False)
        self.assertEqual(os.readlink(self.path), "real.conf")
        self.assertFalse(os.path.islink(target))
        self.assertEqual(self.read(target), "new\n")

    def test_secret_content_is_not_in_the_diff(self):
        self.write("password: old\n")
        result = file_changes.apply_change(
            change(self.path, "password: old\n", "password: new\n", secret=True), self.journal, False
        )
        self.assertNotIn("password", str(result))

    def test_an_unknown_owner_is_refused_before_anything_is_written(self):
        self.write("old\n")
        with self.assertRaises(NodeError) as caught:
            file_changes.apply_change(change(self.path, "old\n", "new\n", owner="no-such-user"), self.journal, False)
        self.assertIn("user no-such-user", caught.exception.message)
        self.assertEqual(self.read(), "old\n")

    def test_owner_by_number(self):
        file_changes.apply_change(change(self.path, None, "x", owner="1234", group="4321"), self.journal, False)
        self.assertEqual((os.stat(self.path).st_uid, os.stat(self.path).st_gid), (1234, 4321))

    # A crash between the temporary file and its rename

    def test_a_crash_before_the_rename_leaves_the_old_file(self):
        self.write("old\n")
        self.journal.remember_file(self.path)
        real_rename = os.rename

        def crash(source, target, **directories):
            if target == os.path.basename(self.path):
                raise KeyboardInterrupt
            real_rename(source, target, **directories)

        with mock.patch("os.rename", crash), self.assertRaises(KeyboardInterrupt):
            file_changes.apply_change(change(self.path, "old\n", "new\n"), self.journal, False)
        self.assertEqual(self.read(), "old\n")
        self.assertEqual(self.left_over(), [])
        self.journal.unlock()
        again = Journal.load(self.journal.root)
        self.addCleanup(again.unlock)
        self.assertTrue(file_changes.apply_change(change(self.path, "old\n", "new\n"), again, False)["changed"])
        again.restore_file(self.path)
        self.assertEqual(self.read(), "old\n")

    def test_killed_outright_before_the_rename(self):
        # SIGKILL in a child: not even `finally` runs. The old file is whole, and the next run goes on.
        self.write("old\n")
        child = os.fork()
        if child == 0:
            os.rename = lambda source, target, **directories: os.kill(os.getpid(), 9)
            files.write_atomically(self.path, b"new\n", 0o644, 0, 0)
            os._exit(1)
        self.assertEqual(os.waitpid(child, 0)[1], 9)
        self.assertEqual(self.read(), "old\n")
        self.assertTrue(file_changes.apply_change(change(self.path, "old\n", "new\n"), self.journal, False)["changed"])

    def test_extended_attributes_stay(self):
        self.write("old\n")
        try:
            os.setxattr(self.path, "user.kept", b"yes")
        except OSError as error:
            self.skipTest("no extended attributes here: %s" % error)
        files.write_atomically(self.path, b"new\n", 0o644, 0, 0)
        self.assertEqual(os.getxattr(self.path, "user.kept"), b"yes")

    # check_writable

    def refusal(self, *changes):
        with self.assertRaises(NodeError) as caught:
            file_changes.check_writable(changes)
        return caught.exception.message

    def test_everything_is_writable(self):
        self.write("x")
        file_changes.check_writable([change(self.path, "x", "y"), change(self.directory + "/new/dir/file", None, "y")])

    def test_every_obstacle_is_named_at_once(self):
        os.mkdir(self.path)
        self.write("a file", self.directory + "/plain")
        message = self.refusal(change(self.path, None, "y"), change(self.directory + "/plain/below", None, "y"))
        self.assertIn("it is not a regular file", message)
        self.assertIn("/plain is not a directory", message)
        self.assertIn("Nothing was changed", message)

    def test_an_immutable_file(self):
        if not has_immutable(self.directory):
            self.skipTest("this filesystem or container has no immutable attribute")
        self.write("x")
        subprocess.check_call(["chattr", "+i", self.path])
        self.addCleanup(subprocess.check_call, ["chattr", "-i", self.path])
        self.assertIn(
            "immutable or append-only attribute (chattr -ia %s)" % self.path, self.refusal(change(self.path, "x", "y"))
        )

    def test_the_immutable_flag_as_the_kernel_reports_it(self):
        self.write("x")
        with mock.patch("unshim_node.files.fcntl.ioctl", return_value=b"\x10\0\0\0\0\0\0\0"):
            self.assertIn("immutable", self.refusal(change(self.path, "x", "y")))

    def test_a_read_only_filesystem(self):
        mount = os.path.join(self.directory, "ro")
        os.mkdir(mount)
        if subprocess.call(["mount", "-t", "tmpfs", "-o", "ro", "none", mount], stderr=subprocess.DEVNULL) != 0:
            self.skipTest("mounting is not allowed here")
        self.addCleanup(subprocess.check_call, ["umount", mount])
        self.assertIn("read-only", self.refusal(change(mount + "/file", None, "y")))

    def test_a_mount_on_the_file_itself(self):
        other = os.path.join(self.directory, "other")
        self.write("x")
        self.write("y", other)
        if subprocess.call(["mount", "--bind", other, self.path], stderr=subprocess.DEVNULL) != 0:
            self.skipTest("mounting is not allowed here")
        self.addCleanup(subprocess.check_call, ["umount", self.path])
        self.assertIn("mounted on the file itself", self.refusal(change(self.path, "y", "z")))

    def test_a_full_filesystem(self):
        mount = os.path.join(self.directory, "small")
        os.mkdir(mount)
        if subprocess.call(["mount", "-t", "tmpfs", "-o", "size=1m", "none", mount], stderr=subprocess.DEVNULL) != 0:
            self.skipTest("mounting is not allowed here")
        self.addCleanup(subprocess.check_call, ["umount", mount])
        self.assertIn("is full", self.refusal(change(mount + "/file", None, "y" * 4096)))
