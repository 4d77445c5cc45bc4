"""The journal: the first original wins, every crash leaves something to go on from, two runs never write at once."""

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from unshim_node import file_changes, files, node_lock
from unshim_node.errors import NodeError
from unshim_node.journal import Journal

IS_ROOT = os.geteuid() == 0


class WithRoot(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.root = os.path.join(self.directory, "unshim")
        self.path = os.path.join(self.directory, "kubelet.env")

    def load(self, **options):
        loaded = Journal.load(self.root, **options)
        self.addCleanup(loaded.unlock)
        return loaded

    def again(self, old):
        """What another controller reads after ``old`` has ended."""
        old.unlock()
        return self.load()

    def write(self, content, path=None, mode=0o644):
        with open(path or self.path, "w") as stream:
            stream.write(content)
        os.chmod(path or self.path, mode)

    def read(self, path=None):
        with open(path or self.path) as stream:
            return stream.read()


class TestRecords(WithRoot):
    def test_an_empty_node_has_a_journal_and_reading_writes_nothing(self):
        node = self.load()
        self.assertEqual((node.state, node.files, node.timeline, node.exists), ("docker", {}, [], False))
        self.assertEqual(node.by_hand(), [])
        self.assertFalse(os.path.exists(self.root))

    def test_everything_comes_back(self):
        node = self.load(controller="alice@192.0.2.1")
        node.set_source("dockershim")
        node.note("cordoned_by_us", True)
        node.mark("drain_started")
        node.remember_unit("docker.service", "active", "enabled")
        node.remember_package("containerd", "", "1.6.20")
        node.remember_annotation("kubeadm.alpha.kubernetes.io/cri-socket", "/var/run/dockershim.sock")
        with node.step("write", "prepare", undo="nothing to undo"):
            self.assertEqual(self.read_json()["steps"][0]["status"], "started")
        node.set_state("prepared")
        node = self.again(node)
        self.assertEqual((node.state, node.source, node.get("cordoned_by_us")), ("prepared", "dockershim", True))
        self.assertEqual([entry["event"] for entry in node.timeline], ["drain_started", "prepared"])
        self.assertEqual(node.units, {"docker.service": {"active_state": "active", "unit_file_state": "enabled"}})
        self.assertEqual(node.packages, {"containerd": {"before": "", "after": "1.6.20"}})
        step = node.steps[0]
        self.assertEqual((step["status"], step["controller"]), ("done", "alice@192.0.2.1"))
        self.assertGreaterEqual(step["finished"], step["started"])

    def read_json(self):
        return json.loads(self.read(os.path.join(self.root, "journal.json")))

    def test_the_first_value_wins(self):
        node = self.load()
        self.assertTrue(node.remember_unit("kubelet.service", "active", "enabled"))
        self.assertFalse(node.remember_unit("kubelet.service", "inactive", "enabled"))
        self.assertTrue(node.remember_annotation("a", None))
        self.assertFalse(node.remember_annotation("a", "ours"))
        node.remember_package("containerd", "1.6.8", "1.6.8")
        node.remember_package("containerd", "1.6.20", "1.6.20")
        node = self.again(node)
        self.assertEqual(node.units["kubelet.service"]["active_state"], "active")
        self.assertEqual(node.annotations, {"a": None})
        self.assertEqual(node.packages["containerd"], {"before": "1.6.8", "after": "1.6.20"})

    def test_a_failed_step_says_why(self):
        node = self.load()
        with self.assertRaises(ValueError), node.step("write", "switch"):
            raise ValueError("disk on fire")
        step = self.again(node).steps[0]
        self.assertEqual((step["status"], step["message"]), ("failed", "disk on fire"))

    def test_states_go_forward_and_only_a_rollback_goes_back(self):
        node = self.load()
        self.assertTrue(node.set_state("drained"))
        self.assertFalse(node.set_state("prepared"))
        self.assertEqual(node.state, "drained")
        with self.assertRaises(NodeError):
            node.set_state("docker")
        with self.assertRaises(NodeError):
            node.set_state("elsewhere")

    def test_a_committed_node_does_not_roll_back(self):
        node = self.load()
        node.set_state("committed")
        with self.assertRaises(NodeError) as caught:
            node.roll_back()
        self.assertIn("no way back", caught.exception.message)

    def test_only_root_reads_it(self):
        node = self.load()
        node.set_state("prepared")
        self.assertEqual(stat.S_IMODE(os.stat(self.root).st_mode), 0o700)
        for name in os.listdir(self.root):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.root, name)).st_mode), 0o600, name)

    def test_an_event_once(self):
        node = self.load()
        self.assertTrue(node.mark("drain_started", once=True))
        self.assertFalse(node.mark("drain_started", once=True))
        self.assertEqual(len(node.timeline), 1)

    def test_check_mode_stays_in_memory(self):
        self.write("old")
        node = self.load(check_mode=True)
        node.set_state("prepared")
        node.remember_file(self.path)
        with node.step("x", "prepare"):
            pass
        self.assertEqual(node.state, "prepared")
        self.assertFalse(os.path.exists(self.root))


@unittest.skipUnless(IS_ROOT, "needs root, as on a node")
class TestFilesRemembered(WithRoot):
    def put(self, node, before, after, path=None, **more):
        wanted = {"path": path or self.path, "before": before, "after": after, "role": "kubelet"}
        return file_changes.apply_change(dict(wanted, **more), node, False)

    def test_bytes_mode_and_owner_come_back(self):
        with open(self.path, "wb") as stream:
            stream.write(b"KUBELET=\xff\r\n")
        os.chown(self.path, 1234, 4321)
        os.chmod(self.path, 0o4750)
        node = self.load()
        node.remember_file(self.path)
        files.write_atomically(self.path, b"ours", 0o644, 0, 0)
        node = self.again(node)
        self.assertTrue(node.restore_file(self.path, check_mode=True)["changed"])
        self.assertEqual(files.read_bytes(self.path), b"ours")
        self.assertTrue(node.restore_file(self.path)["changed"])
        info = os.stat(self.path)
        self.assertEqual(files.read_bytes(self.path), b"KUBELET=\xff\r\n")
        self.assertEqual((info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)), (1234, 4321, 0o4750))
        self.assertFalse(node.restore_file(self.path)["changed"])

    def test_a_changed_mode_alone_is_restored(self):
        self.write("same", mode=0o600)
        node = self.load()
        node.remember_file(self.path)
        os.chmod(self.path, 0o644)
        self.assertTrue(node.restore_file(self.path)["changed"])
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_the_first_original_wins_over_runs(self):
        self.write("first")
        node = self.load()
        self.put(node, "first", "second")
        node = self.again(node)
        known = node.files[self.path]
        self.assertFalse(node.remember_file(self.path))
        self.assertEqual(node.files[self.path], known)
        self.put(node, "second", "third")
        node.restore_file(self.path)
        self.assertEqual(self.read(), "first")

    def test_a_file_that_was_not_there_is_removed_with_its_directories(self):
        path = os.path.join(self.directory, "etc", "containerd", "config.toml")
        node = self.load()
        self.put(node, None, "ours", path)
        self.assertTrue(node.restore_file(path)["changed"])
        self.assertFalse(os.path.exists(os.path.join(self.directory, "etc")))
        self.assertFalse(node.restore_file(path)["changed"])

    def test_directories_somebody_else_uses_stay(self):
        path = os.path.join(self.directory, "etc", "containerd", "config.toml")
        node = self.load()
        self.put(node, None, "ours", path)
        self.write("theirs", os.path.join(self.directory, "etc", "other"))
        node.restore_file(path)
        self.assertEqual(os.listdir(os.path.join(self.directory, "etc")), ["other"])

    def test_a_removed_file_comes_back(self):
        self.write("old", mode=0o600)
        node = self.load()
        self.put(node, "old", None)
        node.restore_file(self.path)
        self.assertEqual(self.read(), "old")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_a_symlink_comes_back(self):
        target = os.path.join(self.directory, "real.env")
        self.write("old", target)
        os.symlink("real.env", self.path)
        node = self.load()
        self.put(node, "old", "new")
        os.unlink(self.path)
        self.write("a plain file now")
        node.restore_file(self.path)
        self.assertEqual(os.readlink(self.path), "real.env")
        self.assertEqual(self.read(target), "old")

    def test_a_later_edit_is_kept_aside(self):
        self.write("old")
        node = self.load()
        self.put(node, "old", "ours")
        self.write("ours, edited by the operator")
        node.restore_file(self.path)
        self.assertEqual(self.read(), "old")
        self.assertEqual(len(node.warnings), 1)
        aside = node.warnings[0].split(" is kept as ")[1].rstrip(".")
        self.assertEqual(self.read(aside), "ours, edited by the operator")

    def test_a_diff_of_what_was_not_secret(self):
        self.write("old\n")
        node = self.load()
        self.put(node, "old\n", "new\n")
        diff = node.restore_file(self.path, check_mode=True)["diff"]
        self.assertEqual((diff["before"], diff["after"]), ("new\n", "old\n"))

    def test_no_diff_of_what_was_secret_or_may_be(self):
        self.write("password\n")
        node = self.load()
        self.put(node, "password\n", "new password\n", secret=True)
        self.assertNotIn("password", str(node.restore_file(self.path, check_mode=True)["diff"]))
        other = os.path.join(self.directory, "other")
        self.write("password\n", other)
        node.remember_file(other)
        os.unlink(other)
        self.assertNotIn("password", str(node.restore_file(other, check_mode=True)["diff"]))

    def test_a_damaged_backup_is_not_restored(self):
        self.write("old")
        node = self.load()
        self.put(node, "old", "ours")
        self.write("rotten", os.path.join(self.root, node.files[self.path]["backup"]))
        with self.assertRaises(NodeError) as caught:
            node.restore_file(self.path)
        self.assertIn("does not have its checksum any more", caught.exception.message)
        self.assertEqual(self.read(), "ours")

    def test_rollback_begins_afresh_and_keeps_the_first_originals(self):
        self.write("first")
        node = self.load()
        self.put(node, "first", "ours")
        node.set_state("switched")
        node.restore_file(self.path)
        self.assertTrue(node.roll_back())
        node = self.again(node)
        self.assertEqual((node.state, node.generation, node.files), ("docker", 2, {}))
        self.assertFalse(node.roll_back())
        self.write("second")
        self.put(node, "second", "ours again")
        node.restore_file(self.path)
        self.assertEqual(self.read(), "second")
        archive = json.loads(self.read(os.path.join(self.root, "journal-1.json")))
        self.assertEqual(archive["state"], "switched")
        self.assertEqual(self.read(os.path.join(self.root, archive["files"][self.path]["backup"])), "first")

    def test_commit_drops_the_originals(self):
        self.write("first")
        node = self.load()
        self.put(node, "first", "ours")
        node.set_state("committed")
        self.assertTrue(node.drop_backups())
        self.assertFalse(node.drop_backups())
        self.assertFalse(os.path.exists(os.path.join(self.root, "backup")))
        self.assertEqual(node.by_hand(), [])

    def test_the_commands_by_hand_work(self):
        self.write("old\n", mode=0o600)
        new = os.path.join(self.directory, "not there yet", "it's new")
        node = self.load()
        self.put(node, "old\n", "ours\n")
        self.put(node, None, "ours\n", new)
        node.remember_unit("docker.service", "active", "enabled")
        node.remember_unit("docker.socket", "active", "disabled")
        node.remember_unit("containerd.service", "active", "enabled")
        node.note("docker_stopped_foreign", ["4e5bec4a"])
        node.remember_annotation("socket", "/run/x.sock")
        node.set_state("verified")
        node = self.again(node)
        lines = node.by_hand()
        wanted = [
            "kubectl drain NODE --ignore-daemonsets",
            "systemctl stop kubelet",
            "ctr -n k8s.io tasks ls -q | xargs -r ctr -n k8s.io tasks rm -f; sleep 3; ctr -n k8s.io tasks ls -q",
            "rm -f /etc/systemd/system/docker.service.d/90-unshim-retired.conf",
            "systemctl daemon-reload",
            "systemctl unmask docker.service",
            "systemctl restart containerd.service",
            "systemctl start docker.socket",
            "systemctl start docker.service",
            "docker start 4e5bec4a",
            "kubectl annotate node NODE --overwrite socket=/run/x.sock",
            "systemctl restart kubelet",
            "kubectl uncordon NODE",
        ]
        self.assertEqual([line for line in lines if line in wanted], wanted)
        self.assertNotIn("systemctl enable docker.socket", lines)
        programs = ("systemctl", "kubectl", "ctr", "docker", "rm -f /etc")
        node.unlock()
        subprocess.check_call(["sh", "-ec", "\n".join(line for line in lines if not line.startswith(programs))])
        self.assertEqual(self.read(), "old\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertFalse(os.path.exists(os.path.dirname(new)))
        # The next move begins anew, and keeps the copies of this one.
        node = self.load()
        self.assertEqual((node.state, node.generation, node.warnings), ("docker", 2, []))

    def test_by_hand_no_pod_moves_where_none_has(self):
        self.write("old\n")
        node = self.load()
        self.put(node, "old\n", "ours\n")
        node.set_state("prepared")
        self.assertFalse(any("drain" in line or "tasks" in line or "uncordon" in line for line in node.by_hand()))


class TestCrashes(WithRoot):
    def prepared(self):
        self.write("old")
        node = self.load()
        node.set_state("prepared")
        node.note("key", "value")
        node.unlock()
        return os.path.join(self.root, "journal.json")

    def test_a_truncated_journal_falls_back_to_the_one_before(self):
        path = self.prepared()
        with open(path) as stream:
            text = stream.read()
        with open(path, "w") as stream:
            stream.write(text[: len(text) // 2])
        node = self.load()
        self.assertEqual(node.state, "prepared")
        self.assertEqual(len(node.warnings), 1)
        self.assertIn("damaged", node.warnings[0])
        node.mark("went on")
        self.assertTrue(os.path.exists(path + ".damaged"))
        node = self.again(node)
        self.assertEqual((node.warnings, node.timeline[-1]["event"]), ([], "went on"))

    def test_a_missing_journal_falls_back_too(self):
        os.unlink(self.prepared())
        self.assertEqual(self.load().state, "prepared")

    def test_two_damaged_journals_are_refused_with_what_to_do(self):
        path = self.prepared()
        for name in (path, path + ".previous"):
            with open(name, "w") as stream:
                stream.write("{")
        with self.assertRaises(NodeError) as caught:
            self.load()
        self.assertIn("The originals are under", caught.exception.message)

    def test_nonsense_that_is_json_is_damage(self):
        path = self.prepared()
        for text in ("[]", "{}", '{"format": 1, "state": "elsewhere"}', '{"format": 1, "files": []}', "\x00"):
            with open(path, "w") as stream:
                stream.write(text)
            self.assertEqual(len(self.load().warnings), 1, text)

    def test_a_newer_format_is_not_touched(self):
        path = self.prepared()
        with open(path, "w") as stream:
            stream.write('{"format": 2, "state": "hibernating"}')
        with self.assertRaises(NodeError) as caught:
            self.load()
        self.assertIn("format 2", caught.exception.message)

    def test_a_backup_whose_entry_was_lost_is_still_the_original(self):
        # The copy was made, the file changed, and then the journal lost its last writes.
        path = self.prepared()
        with open(path, "rb") as stream:
            older = stream.read()
        node = self.load()
        node.remember_file(self.path)
        self.write("ours")
        node.unlock()
        with open(path, "wb") as stream:
            stream.write(older)
        node = self.load()
        self.assertEqual(node.files, {})
        node.remember_file(self.path)
        node.restore_file(self.path)
        self.assertEqual(self.read(), "old")

    def test_a_step_that_was_cut_short_does_not_stay_started(self):
        node = self.load()
        step = node.step("move images", "prepare")
        step.__enter__()
        self.assertEqual(self.load().steps[0]["status"], "started")
        node = self.again(node)  # killed: nothing was written any more
        node.mark("next run")
        node = self.again(node)
        self.assertEqual(node.steps[0]["status"], "failed")
        self.assertIn("cut short", node.steps[0]["message"])
        self.assertEqual(node.steps[0]["finished"], None)

    def test_a_step_that_was_cut_short_and_never_needed_again_is_done_once_the_node_is_proved(self):
        node = self.load()
        begun = [node.step("move images", "switch"), None]
        begun[0].__enter__()
        node = self.again(node)  # killed
        begun[1] = node.step("stop the kubelet", "switch")
        begun[1].__enter__()
        node = self.again(node)
        with node.step("move images", "switch"):
            pass
        with contextlib.suppress(ValueError), node.step("retire Docker", "switch"):
            raise ValueError("it did not end")
        node.set_state("switched")
        self.assertEqual([step["status"] for step in node.steps], ["failed", "failed", "done", "failed"])
        node.set_state("verified")
        self.assertEqual([step["status"] for step in node.steps], ["failed", "done", "done", "failed"])
        self.assertIn("cut short", node.steps[1]["message"])

    def test_what_was_written_before_a_crash_is_known_as_ours(self):
        for generation, written in ((1, None), (2, "ours once")):
            self.write("old")
            node = self.load()
            change = {"path": self.path, "mode": "0644", "owner": str(os.geteuid()), "group": str(os.getegid())}
            if written:
                file_changes.apply_change(dict(change, before="old", after=written), node, False)
            killed = mock.patch.object(node, "remember_written", side_effect=KeyboardInterrupt)
            with killed, self.assertRaises(KeyboardInterrupt):
                file_changes.apply_change(dict(change, before=written or "old", after="ours"), node, False)
            node = self.again(node)
            node.restore_file(self.path)
            self.assertEqual((self.read(), node.warnings), ("old", []), generation)
            node.roll_back()
            node.unlock()

    def test_an_edit_after_a_crash_is_kept(self):
        self.write("old")
        node = self.load()
        change = {"path": self.path, "mode": "0644", "owner": str(os.geteuid()), "group": str(os.getegid())}
        killed = mock.patch.object(node, "remember_written", side_effect=KeyboardInterrupt)
        with killed, self.assertRaises(KeyboardInterrupt):
            file_changes.apply_change(dict(change, before="old", after="ours"), node, False)
        self.write("the operator's")
        node = self.again(node)
        node.restore_file(self.path)
        self.assertEqual(self.read(), "old")
        self.assertIn("edited-later", node.warnings[0])

    def test_what_a_killed_writer_left_goes(self):
        left = os.path.join(self.directory, files.UNFINISHED + "x7")
        self.write("half", left)
        node = self.load()
        node.remember_file(self.path)
        node.restore_file(self.path, check_mode=True)
        self.assertTrue(os.path.exists(left))
        node.restore_file(self.path)
        self.assertFalse(os.path.exists(left))
        self.write("half", left)
        files.write_atomically(self.path, b"new", 0o644, os.geteuid(), os.getegid())
        self.assertFalse(os.path.exists(left))

    def test_a_crash_at_any_write_leaves_a_journal_that_can_be_read(self):
        self.write("old")
        real_rename = os.rename
        for fatal in range(1, 8):
            shutil.rmtree(self.root, ignore_errors=True)
            count = [0]

            def crash(source, target, count=count, fatal=fatal, **directories):
                count[0] += 1
                if count[0] == fatal:
                    raise KeyboardInterrupt
                real_rename(source, target, **directories)

            node = Journal.load(self.root)
            with mock.patch("os.rename", crash):
                try:
                    node.set_state("prepared")
                    node.remember_file(self.path)
                    node.mark("done")
                except KeyboardInterrupt:
                    pass
            node.unlock()
            read = self.load()
            self.assertIn(read.state, ("docker", "prepared"))
            self.assertEqual(read.warnings, [])
            read.remember_file(self.path)
            self.assertEqual(read.files[self.path]["size"], 3)
            read.unlock()


class TestLock(WithRoot):
    def setUp(self):
        super(TestLock, self).setUp()
        patch = mock.patch.object(node_lock, "LOCK_WAIT", 0.2)
        patch.start()
        self.addCleanup(patch.stop)

    def test_two_writers(self):
        first = self.load(controller="alice@192.0.2.1")
        first.mark("begin")
        second = self.load()
        self.assertEqual(second.timeline[0]["event"], "begin")
        with self.assertRaises(NodeError) as caught:
            second.mark("me too")
        self.assertIn("Another run is changing this node", caught.exception.message)
        self.assertIn("of alice@192.0.2.1", caught.exception.message)

    def test_who_comes_second_sees_what_the_first_wrote(self):
        second = self.load()
        first = self.load()
        first.set_state("drained")
        first.unlock()
        second.mark("me too")
        self.assertEqual(self.again(second).state, "drained")

    def test_who_waits_for_others_sees_their_last_word_before_it_looks(self):
        self.load().wait_for_others()
        self.assertFalse(os.path.exists(self.root))  # a node that saw no change sees none now
        first = self.load()
        first.set_state("prepared")
        second = self.load()
        with self.assertRaises(NodeError):
            second.wait_for_others()
        first.set_state("drained")
        first.unlock()
        second.wait_for_others()
        self.assertEqual(second.state, "drained")
        self.load(check_mode=True).wait_for_others()

    def test_the_lock_of_a_dead_process_is_free(self):
        code = "import sys; sys.path[:0] = %r\nfrom unshim_node.journal import Journal\n" % (sys.path,)
        code += "Journal.load(%r).mark('begin')\nimport os; os.kill(os.getpid(), 9)" % self.root
        self.assertEqual(subprocess.call([sys.executable, "-c", code]), -9)
        self.assertTrue(self.load().mark("next"))
