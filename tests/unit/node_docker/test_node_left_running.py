"""Shims that Docker leaves behind: with a process in them they are still Docker, empty they are nothing."""

import os
import subprocess
import tempfile
import time
import unittest

from unshim_node import docker_engine

ID = "7eaf738c204f" + "0" * 52


class LeftRunning(unittest.TestCase):
    def setUp(self):
        # A containerd that knows no task, and a shim whose container is a child once it is told so.
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.socket = os.path.join(self.directory.name, "containerd.sock")
        open(self.socket, "w").close()
        ctr = os.path.join(self.directory.name, "ctr")
        with open(ctr, "w") as stream:
            stream.write("#!/bin/sh\ncat %s/tasks\n" % self.directory.name)
        os.chmod(ctr, 0o755)
        self.tasks("")
        path = os.environ["PATH"]
        os.environ["PATH"] = self.directory.name + os.pathsep + path
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        self.shim = subprocess.Popen(
            ["containerd-shim-runc-v2", "-c", "read x; eval $x & echo started; wait", "-namespace", "moby", "-id", ID],
            executable="/bin/sh",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.addCleanup(self.end)
        while not self.command_line():  # the kernel says the program was started a moment before it shows its words
            time.sleep(0.01)

    def command_line(self):
        with open("/proc/%d/cmdline" % self.shim.pid, "rb") as stream:
            return stream.read()

    def end(self):
        os.killpg(self.shim.pid, 9)
        self.shim.communicate()

    def tasks(self, lines):
        with open(os.path.join(self.directory.name, "tasks"), "w") as stream:
            stream.write("TASK    PID    STATUS\n" + lines)

    def left(self, **more):
        return [
            line for line in docker_engine.left_running(self.socket, self.directory.name, **more) if ID[:12] in line
        ]

    def start(self, command):
        self.shim.stdin.write(b"%s\n" % command)
        self.shim.stdin.flush()
        self.shim.stdout.readline()

    def test_an_empty_shim_is_nothing(self):
        self.assertEqual(self.left(), ["container 7eaf738c204f (shim process %d)" % self.shim.pid])
        self.assertEqual(self.left(with_empty_shims=False), [])

    def test_a_shim_with_a_process_counts(self):
        self.start(b"exec sleep 60")
        self.assertEqual(len(self.left(with_empty_shims=False)), 1)

    def test_a_shim_counts_whose_process_is_not_another_program_yet(self):
        # The child of a shell shows the shell's words; this one waits for somebody to write.
        nothing = os.path.join(self.directory.name, "nothing")
        os.mkfifo(nothing)
        self.start(b"read y <" + nothing.encode())
        self.assertEqual(
            self.left(with_empty_shims=False), ["container 7eaf738c204f (shim process %d)" % self.shim.pid]
        )

    def test_a_shim_of_a_task_counts_unless_it_is_stopped(self):
        for status, count in (("RUNNING", 1), ("CREATED", 1), ("STOPPED", 0)):
            self.tasks("%s    %d    %s\n" % (ID, self.shim.pid, status))
            self.assertEqual(len(self.left(with_empty_shims=False)), count, status)

    def test_without_containerds_word_every_shim_counts(self):
        os.unlink(self.socket)
        self.assertEqual(len(self.left(with_empty_shims=False)), 1)


if __name__ == "__main__":
    unittest.main()
