"""What a node tells of a failure: bounded in time, whole whatever is missing, and no contents of files."""

import hashlib
import json
import os
import shutil
import tempfile
import unittest
from unittest import mock

from unshim_node import evidence
from unshim_node.errors import NodeError


def refuse():
    raise NodeError("the runtime does not answer")


class TestCollection(unittest.TestCase):
    def test_a_piece_that_fails_is_replaced_by_the_reason(self):
        found = evidence.Collection(10)
        found.add("cri.json", refuse)
        found.add("disk.txt", lambda: "full\n")
        self.assertEqual(found.pieces["cri.json"], "(not available: the runtime does not answer)")
        self.assertEqual(found.pieces["disk.txt"], "full\n")

    def test_when_its_time_is_over_nothing_more_is_begun(self):
        found = evidence.Collection(0)
        found.add("disk.txt", lambda: self.fail("begun"))
        self.assertEqual((found.pieces, found.left_out), ({}, ["disk.txt"]))

    def test_a_command_that_hangs_is_ended(self):
        with mock.patch.object(evidence, "COMMAND_TIMEOUT", 0.2):
            found = evidence.Collection(10)
            found.command("disk.txt", ["sleep", "60"])
        self.assertIn("did not end within 0.2 s", found.pieces["disk.txt"])

    def test_long_lines_are_cut(self):
        self.assertEqual(len(evidence.shortened("x" * 9000)), evidence.LINE_LENGTH + 1)


class TestFiles(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)

    def path(self, name, content=None):
        path = os.path.join(self.directory, name)
        if content is not None:
            with open(path, "wb") as stream:
                stream.write(content)
        return path

    def test_what_became_of_them(self):
        def record(existed, before, ours):
            digests = [hashlib.sha256(text).hexdigest() if text is not None else None for text in (before, ours)]
            return {"existed": existed, "sha256": digests[0], "written_sha256": digests[1], "role": "kubelet"}

        cases = {
            self.path("original", b"a"): (record(True, b"a", b"b"), "as it was before unshim"),
            self.path("ours", b"b password=x"): (record(True, b"a", b"b password=x"), "as unshim wrote it"),
            self.path("edited", b"c"): (record(True, b"a", b"b"), "changed by somebody else"),
            self.path("gone"): (record(True, b"a", b"b"), "gone"),
            self.path("never-was"): (record(False, None, b"b"), "as it was before unshim"),
        }
        journal = self.path(
            "journal.json", json.dumps({"files": {p: r for p, (r, _) in cases.items()}}).encode("utf-8")
        )
        found = evidence.changed_files(journal)
        self.assertEqual(
            {path: one["state"] for path, one in found.items()}, {p: state for p, (_, state) in cases.items()}
        )
        self.assertNotIn("password", json.dumps(found))
        self.assertEqual(found[self.path("ours")]["size"], 12)

    def test_without_a_journal(self):
        self.assertEqual(evidence.changed_files(self.path("journal.json")), {})


if __name__ == "__main__":
    unittest.main()
