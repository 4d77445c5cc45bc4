"""The node's code, worked on a node that only a shell reaches: every test of it that says what becomes of a file, once more.

What is left out looks at how something is done here: at system calls, or at a second process of our own.
"""

import os
from unittest import mock

import pytest
import test_node_commands
import test_node_docker_repository
import test_node_file_copies
import test_node_files
import test_node_grpc_call
import test_node_journal
import test_node_planted_links
from a_shell import place_of
from cri_server import Server, reply

import unshim_node
import unshim_node.lock_by_shell
from unshim_node import commands, files, grpc_call, place
from unshim_node.errors import NodeError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as on a node")


class FromAfar:
    def setUp(self):
        there = place.at(place_of(unshim_node)())
        there.__enter__()
        self.addCleanup(there.__exit__, None, None, None)
        super().setUp()


class TestFiles(FromAfar, test_node_files.TestFiles):
    # These stop the writer by a system call of its own; test_a_connection_that_breaks_leaves_the_old_file is their like.
    test_a_crash_before_the_rename_leaves_the_old_file = None
    test_killed_outright_before_the_rename = None
    test_the_immutable_flag_as_the_kernel_reports_it = None

    def test_a_connection_that_breaks_leaves_the_old_file(self):
        self.write("old\n")
        whole = commands.run

        def cut(argv, stdin=None, **options):
            lines = (stdin or "").splitlines(keepends=True)
            return whole(argv, stdin="".join(lines[: len(lines) // 2]), **options)

        with mock.patch.object(commands, "run", cut), self.assertRaises(NodeError) as caught:
            files.write_atomically(self.path, b"new content\n" * 1000, 0o644, 0, 0)
        self.assertIn("only a part of it arrived", caught.exception.message)
        self.assertEqual((self.read(), self.left_over()), ("old\n", []))


class TestPlantedLinks(FromAfar, test_node_planted_links.TestPlantedLinks):
    # By a shell only links at the file itself are looked at, not those in place of a directory above it; the lock is flock(1)'s.
    test_a_directory_on_the_way_is_a_link_of_a_user = None
    test_a_link_that_turns_up_between_two_looks = None
    test_a_plugin_is_not_copied_through_a_link = None
    test_links_in_a_circle = None
    test_the_locks_are_not_opened_through_a_link = None


class TestFilesRemembered(FromAfar, test_node_journal.TestFilesRemembered):
    pass


class TestFileCopies(FromAfar, test_node_file_copies.TestFileCopies):
    pass


class TestSources(FromAfar, test_node_docker_repository.TestSources):
    pass


class TestRun(FromAfar, test_node_commands.TestRun):
    pass


class TestCall(FromAfar, test_node_grpc_call.TestCall):
    def test_an_answer(self):
        with Server(self.directory, lambda method, request: reply(request * 2)) as server:
            self.assertEqual(grpc_call.call(server.path, "/a.B/C", b"xy", 5), b"xyxy")
            self.assertEqual(server.requests, [("/a.B/C", b"xy")])


class TestClient(FromAfar, test_node_grpc_call.TestClient):
    pass


class TestLock(FromAfar, test_node_journal.TestLock):
    pass
