"""Programs: what comes back, and the one sentence when nothing does."""

import os
import time
import unittest
from unittest import mock

from unshim_node import commands, module_run
from unshim_node.errors import NodeError


class TestRun(unittest.TestCase):
    def failure(self, *args, **options):
        with self.assertRaises(commands.CommandFailed) as caught:
            commands.run(*args, **options)
        return caught.exception

    def test_result(self):
        result = commands.run(["sh", "-c", "cat; echo no >&2; exit 3"], stdin="in", check=False)
        self.assertEqual((result.rc, result.out, result.err), (3, "in", "no\n"))

    def test_a_failure_quotes_the_command_and_the_end_of_its_errors(self):
        error = self.failure(["sh", "-c", "seq 1 20 >&2; exit 4"])
        self.assertIn("returned 4: 13\n14\n", error.message)
        self.assertIn("`sh -c 'seq 1 20 >&2; exit 4'`", error.message)
        self.assertEqual((error.result.rc, error.details["rc"]), (4, 4))

    def test_a_missing_program(self):
        self.assertIn("no-such-program is not on this node", self.failure(["no-such-program"], check=False).message)
        self.assertIn("is not on this node", self.failure(["/no/such/program"]).message)

    def test_a_timeout_ends_the_children_too(self):
        began = time.monotonic()
        error = self.failure(["sh", "-c", "sleep 30 & sleep 30"], timeout=0.3)
        self.assertIn("did not end within 0.3 s", error.message)
        self.assertLess(time.monotonic() - began, 5)

    def test_a_signal(self):
        self.assertIn("was ended by signal 15", self.failure(["sh", "-c", "kill $$"]).message)

    def test_output_that_is_no_utf_8(self):
        self.assertEqual(commands.run(["printf", "a\\377b"]).out, "a\ufffdb")

    def test_messages_are_in_english_and_sbin_is_searched(self):
        with mock.patch.dict(os.environ, {"PATH": "/usr/bin:/bin", "LC_ALL": "de_DE.UTF-8"}):
            self.assertEqual(commands.run(["sh", "-c", "echo $LC_ALL"]).out, "C\n")
            self.assertIn("/usr/sbin", commands.environment()["PATH"].split(":"))


class Module(object):
    """What module_run needs of an AnsibleModule."""

    _name = "containerd_config"

    def __init__(self):
        self.ended = None

    def exit_json(self, **result):
        self.ended = ("exit", result)

    def fail_json(self, **result):
        self.ended = ("fail", result)


class TestModuleRun(unittest.TestCase):
    def end(self, act):
        module = Module()
        module_run.run(module, act)
        return module.ended

    def test_a_result(self):
        self.assertEqual(self.end(lambda module: {"changed": True}), ("exit", {"changed": True}))

    def test_our_error_is_the_message_and_its_details(self):
        def act(module):
            raise NodeError("It is wrong.", {"path": "/etc/x"})

        self.assertEqual(self.end(act), ("fail", {"msg": "It is wrong.", "path": "/etc/x", "changed": False}))

    def test_a_system_error_names_the_file(self):
        self.assertEqual(
            self.end(lambda module: open("/no/such/file"))[1]["msg"], "/no/such/file: No such file or directory."
        )

    def test_our_own_mistake_says_where(self):
        kind, result = self.end(lambda module: {}["missing"])
        self.assertEqual(kind, "fail")
        self.assertRegex(
            result["msg"],
            r"^internal error in containerd_config \(please report\): KeyError: 'missing' at test_node_commands",
        )
        self.assertNotIn("Traceback", str(result))
