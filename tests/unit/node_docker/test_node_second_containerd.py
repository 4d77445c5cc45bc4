"""A second containerd: one on a data directory at a time, and never longer than who started it."""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

from unshim_node import commands, containerd, docker_remove, second_containerd
from unshim_node.errors import NodeError

REAL = os.geteuid() == 0 and all(commands.find(name) for name in ("containerd", "ctr", "unshare"))


class TestDirectory(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp()
        self.root = os.path.join(self.top, "a", "containerd")
        self.addCleanup(shutil.rmtree, self.top)

    def test_it_is_made_for_passing_through(self):
        umask = os.umask(0o077)
        self.addCleanup(os.umask, umask)
        second_containerd.make_directory(self.root)
        modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (os.path.dirname(self.root), self.root)]
        self.assertEqual(modes, [0o755, 0o711])
        os.chmod(self.root, 0o700)
        second_containerd.make_directory(self.root)  # one that is there keeps its own
        self.assertEqual(stat.S_IMODE(os.stat(self.root).st_mode), 0o700)

    def test_what_may_become_one(self):
        second_containerd.check_directory(self.root)
        second_containerd.make_directory(self.root)
        second_containerd.check_directory(self.root)
        os.mkdir(os.path.join(self.root, "lost+found"))
        second_containerd.check_directory(self.root)
        with open(os.path.join(self.root, "letter"), "w"):
            pass
        with self.assertRaisesRegex(NodeError, "letter"):
            second_containerd.check_directory(self.root)
        os.mkdir(os.path.join(self.root, "io.containerd.content.v1.content"))
        second_containerd.check_directory(self.root)
        with self.assertRaisesRegex(NodeError, "not a directory"):
            second_containerd.check_directory(os.path.join(self.root, "letter"))

    def test_who_holds_the_database_uses_the_directory(self):
        self.assertFalse(second_containerd.is_used(self.root))
        database = second_containerd.database(self.root)
        os.makedirs(os.path.dirname(database))
        with open(database, "w") as stream:
            self.assertFalse(second_containerd.is_used(self.root))
            fcntl.flock(stream, fcntl.LOCK_EX)  # as bolt does
            self.assertTrue(second_containerd.is_used(self.root))
            self.assertEqual(second_containerd.root_of(os.getpid()), os.path.realpath(self.root))
        self.assertFalse(second_containerd.is_used(self.root))
        self.assertEqual(second_containerd.root_of(os.getpid()), "")


class TestDockersData(unittest.TestCase):
    def test_it_is_not_deleted_with_containerds_in_it(self):
        top = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, top)
        docker = os.path.join(top, "docker")
        for name in ("containers", "image"):
            os.makedirs(os.path.join(docker, name))
        docker_remove.check_data(docker)
        database = second_containerd.database(os.path.join(docker, "c"))
        os.makedirs(os.path.dirname(database))
        # A process that looks like containerd: by its name, and the file it has open.
        program = os.path.join(top, "containerd")
        shutil.copy(commands.find("sleep"), program)
        with open(database, "w") as stream:
            process = subprocess.Popen([program, "60"], stdout=stream)
        try:
            self.assertIn(os.path.join(docker, "c"), second_containerd.roots_in_use())
            with self.assertRaisesRegex(NodeError, "containerd keeps its data in .*/docker/c"):
                docker_remove.check_data(docker)
            link = os.path.join(top, "other-name")
            os.symlink(docker, link)
            with self.assertRaisesRegex(NodeError, "containerd keeps its data"):
                docker_remove.check_data(link)
            self.assertEqual(docker_remove.containerd_root_below(os.path.join(docker, "image")), "")
        finally:
            process.kill()
            process.wait()
        docker_remove.check_data(docker)


class TestLeftovers(unittest.TestCase):
    def test_only_a_daemon_is_ended_and_nobody_who_looks_at_its_file(self):
        top = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, top, True)
        directory = os.path.join(top, "second")
        os.mkdir(directory)
        config = os.path.join(directory, "config.toml")
        with open(config, "w"):
            pass
        looks = subprocess.Popen(["tail", "-f", config], stdout=subprocess.DEVNULL)
        # sh -c SCRIPT containerd --config FILE: its last words are a daemon's
        left = subprocess.Popen(["sh", "-c", "read line", "containerd", "--config", config], stdin=subprocess.PIPE)
        try:
            time.sleep(0.2)
            second_containerd.SecondContainerd(os.path.join(top, "root"), directory)._end_leftovers()
            self.assertEqual(left.wait(5), -signal.SIGKILL)
            self.assertIsNone(looks.poll())
        finally:
            for process in (looks, left):
                process.kill()
                process.wait()
            left.stdin.close()


class TestConfiguredRoot(unittest.TestCase):
    def test_table(self):
        for text, expected in [
            (None, ""),
            ("version = 2\n", ""),
            ('root = "/a/b"\n', "/a/b"),
            ("version = 2\n  root='/a' # c\n[x]\n", "/a"),
            ('[x]\nroot = "/a"\n', ""),
            ('# root = "/a"\n', ""),
            ('rootless = "/a"\n', ""),
        ]:
            with self.subTest(text):
                self.assertEqual(containerd.configured_root(text), expected)


@unittest.skipUnless(REAL, "needs root, containerd, ctr and unshare")
class TestReal(unittest.TestCase):
    def setUp(self):
        # Sockets have short names.
        self.top = tempfile.mkdtemp(prefix="unshim-", dir="/run")
        self.data = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.top, True)
        self.addCleanup(shutil.rmtree, self.data, True)
        self.root = os.path.join(self.data, "containerd")

    def second(self):
        return second_containerd.SecondContainerd(
            self.root, os.path.join(self.top, "second"), os.path.join(self.top, "lock")
        )

    def test_it_answers_alone_and_goes(self):
        with self.second() as second:
            plugins = commands.run(["ctr", "--address", second.socket, "plugins", "ls"]).out
            loaded = {tuple(line.split()[:2]) for line in plugins.splitlines() if line.split()[-1] == "ok"}
            self.assertIn(("io.containerd.metadata.v1", "bolt"), loaded)
            reaching = [name for name in loaded if name[1] in ("cri", "nri", "opt", "restart", "podsandbox")]
            self.assertEqual(reaching, [])
            self.assertTrue(second_containerd.is_used(self.root))
            with self.assertRaisesRegex(NodeError, "Another run moves images"):
                self.second().__enter__()
            elsewhere = second_containerd.SecondContainerd(
                self.root, os.path.join(self.top, "x"), os.path.join(self.top, "x.lock")
            )
            with self.assertRaisesRegex(NodeError, "works on .* already"):
                elsewhere.__enter__()
        self.assertFalse(second_containerd.is_used(self.root))
        self.assertEqual(
            os.listdir(self.top), ["lock", "x.lock"] if os.listdir(self.top)[0] == "lock" else ["x.lock", "lock"]
        )

    def test_it_ends_with_a_killed_run_and_the_next_goes_on(self):
        script = textwrap.dedent(
            """
            import sys, time
            sys.path.insert(0, %r)
            from unshim_node import second_containerd
            with second_containerd.SecondContainerd(%r, %r, %r):
                print("up", flush=True)
                time.sleep(60)
            """
        ) % (
            os.path.dirname(os.path.dirname(os.path.abspath(second_containerd.__file__))),
            self.root,
            os.path.join(self.top, "second"),
            os.path.join(self.top, "lock"),
        )
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, universal_newlines=True)
        self.assertEqual(process.stdout.readline(), "up\n")
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        deadline = time.monotonic() + 10
        while second_containerd.is_used(self.root) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertFalse(second_containerd.is_used(self.root))
        self.assertTrue(os.path.exists(os.path.join(self.top, "second", "containerd.sock")))  # what it left
        with self.second() as second:
            self.assertEqual(commands.run(["ctr", "--address", second.socket, "version"]).rc, 0)

    def test_a_daemon_that_does_not_start_says_why(self):
        os.makedirs(os.path.join(self.root, "io.containerd.x"))
        with open(second_containerd.database(self.root).rsplit("/", 1)[0], "w"):
            pass  # a file where the database's directory should be
        with self.assertRaisesRegex(NodeError, "cannot use it(?s:.*)not a directory"):
            self.second().__enter__()
        self.assertEqual(os.listdir(self.top), ["lock"])


if __name__ == "__main__":
    unittest.main()
