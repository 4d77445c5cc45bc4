"""The shape of migrate.yml, run by Ansible itself: who is in which batch, what a failure stops, what comes after it.

The playbook, its batches and the role `rollout` are the real ones. What needs a node or a cluster is replaced by actions that
write down what they were asked, and fail where a host's variables say so.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PLAN = """
- name: Plan
  hosts: kube_node:kube_control_plane
  gather_facts: false
  tags: [always]
  tasks:
    - name: Plan
      note: {what: plan}
"""
ACTION = """
import os, sys
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
sys.path.insert(0, {module_utils!r})
from unshim import rollout


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        host = task_vars["inventory_hostname"]
        what, args = self._task.args.get("what", self._task.action), self._task.args
        with open({log!r}, "a") as log:
            asked = " ".join(args.get("nodes") or args.get("hosts") or [host])
            log.write(what + " " + asked + "\\n")
        wrong = task_vars.get("wrong", {{}}).get(what, "")
        if wrong == "lost":
            raise AnsibleConnectionFailure("no route to host")
        if wrong == "fails":
            return {{"failed": True, "msg": what + " failed on " + host}}
        if what == "plan":
            done = task_vars.get("done", False)
            plan = {{"node_name": "node-" + host, "state": "verified" if done else task_vars.get("state", "docker"), "done": done}}
            return {{"ansible_facts": {{"runtime_plan": plan, "runtime": {{"hostname": host, "files": {{}}}}}}}}
        if what == "rollout_order":
            members = [rollout.Member(**member) for member in args["members"]]
            roll = rollout.choose(members, args["batches"])
            return {{"workers": list(roll.workers), "sizes": list(roll.sizes), "control_plane": list(roll.control_plane),
                    "text": rollout.explain(roll)}}
        if what == "rollout_gate":
            held = [node for node in args["nodes"] if node in os.environ.get("UNSHIM_TEST_HELD", "").split()]
            return {{"may_begin": not held, "reasons": held, "msg": args["name"] + " was not begun: node w9 is not Ready."}}
        if what == "rollout_soak":
            unwell = [node for node in args["nodes"] if node in os.environ.get("UNSHIM_TEST_UNWELL", "").split()]
            return {{"unwell": {{node: {{"reason": "Ready is Unknown", "ready": False}} for node in unwell}}}}
        return {{"holder": "me", "msg": "done", "html": "r.html", "markdown": "r.md", "json": "r.json"}}
"""
NOTES = ("note", "rollout_lock", "rollout_order", "rollout_gate", "rollout_soak", "runtime_facts", "migration_report")
WORKERS = ("w1", "w2", "w3", "w4")
TASKS = {
    "prepare_node.yml": "- note: {what: prepare}\n",
    "move_node.yml": "- note: {what: begin_move}\n- note: {what: end_move}\n",
    "bring_up.yml": "- note: {what: bring_up}\n",
    "collect_bundle.yml": "- note: {what: bundle}\n",
    "restore_node.yml": (
        "- note: {what: restore}\n- ansible.builtin.fail: {msg: '{{ inventory_hostname }} was not moved: {{ move_failed_cause }}'}\n"
    ),
}


@dataclass
class Story:
    code: int
    output: str
    log: list[str]

    def of(self, what):
        """Return what was asked of one action, in order, each host or list of nodes as text."""
        return [line.partition(" ")[2] for line in self.log if line.split()[0] == what]

    def recap(self, host, count):
        return int(re.search(rf"^{host} .*\b{count}=(\d+)", self.output, re.MULTILINE)[1])

    @property
    def said(self):
        return " ".join(self.output.split())


@pytest.fixture
def migrate(tmp_path):
    """Return a function that runs migrate.yml over hosts with the given variables."""
    shutil.copytree(ROOT / "playbooks", tmp_path / "playbooks")
    for role in ("report", "rollout", "unshim"):
        shutil.copytree(ROOT / "roles" / role, tmp_path / "roles" / role)
    for name, text in TASKS.items():
        (tmp_path / "playbooks" / "tasks" / name).write_text(text)
    (tmp_path / "playbooks" / "plan.yml").write_text(PLAN)
    actions, log = tmp_path / "actions", tmp_path / "log"
    actions.mkdir()
    for name in NOTES:
        (actions / f"{name}.py").write_text(ACTION.format(module_utils=str(ROOT / "module_utils"), log=str(log)))
    (tmp_path / "ansible.cfg").write_text(
        f"[defaults]\nroles_path = {tmp_path}/roles\naction_plugins = {actions}\nlibrary = {ROOT}/library\n"
        f"filter_plugins = {ROOT}/filter_plugins\ndoc_fragment_plugins = {ROOT}/doc_fragments\ncallback_result_format = yaml\n"
    )

    def run(*arguments, workers=WORKERS, control_plane=("cp1",), environment=None, settings=None, **variables):
        hosts = {
            "all": {"vars": {"ansible_connection": "local", "unshim_soak": 0, "unshim_pause_file": ""}},
            "kube_node": {"hosts": {name: variables.get(name, {}) for name in workers}},
            "kube_control_plane": {
                "hosts": {name: variables.get(name, {}) for name in control_plane}, "vars": {"unshim_soak": 1},
            },
        }  # fmt: skip
        # A setting of the workers' group, not of all: the hardest place for a play's own keywords to see it.
        hosts["kube_node"]["vars"] = {"unshim_batches": [1, 2], **(settings or {})}
        (tmp_path / "hosts.json").write_text(json.dumps(hosts))
        log.write_text("")
        done = subprocess.run(
            ["ansible-playbook", "-i", str(tmp_path / "hosts.json"), "playbooks/migrate.yml", *arguments],
            cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), **(environment or {})},
        )  # fmt: skip
        (tmp_path / "output").write_text(done.stdout)
        return Story(done.returncode, done.stdout, log.read_text().splitlines())

    return run


def test_a_canary_then_a_batch_together_then_the_control_plane(migrate):
    story = migrate()
    assert story.code == 0, story.output
    assert story.of("rollout_gate") == ["node-w1", "node-w2 node-w3", "node-w4", "node-cp1"]
    assert story.of("rollout_soak") == story.of("rollout_gate")
    assert sorted(story.of("prepare")) == ["cp1", *WORKERS]
    assert story.of("end_move")[0] == "w1" and sorted(story.of("end_move")[1:3]) == ["w2", "w3"]
    assert story.of("end_move")[3:] == ["w4", "cp1"]
    begun = story.log.index("rollout_gate node-w2 node-w3")
    assert set(story.log[begun + 1 : begun + 3]) == {"begin_move w2", "begin_move w3"}, "they move at the same time"
    assert len(story.of("rollout_lock")) == 2, "taken once, given back once"
    assert story.recap("w1", "changed") == 0
    assert "WARNING" not in story.output


def test_nothing_is_asked_of_a_fleet_that_is_done(migrate):
    story = migrate(**{name: {"done": True} for name in (*WORKERS, "cp1")})
    assert story.code == 0, story.output
    assert {line.split()[0] for line in story.log} == {"plan", "rollout_order"}
    assert "Nothing to move: 5 nodes done." in story.said and "WARNING" not in story.output


def test_done_nodes_are_skipped_and_half_way_ones_come_first(migrate):
    story = migrate(w1={"done": True}, w4={"state": "switched"}, cp1={"done": True})
    assert story.of("rollout_gate") == ["node-w4", "node-w2", "node-w3"]
    assert sorted(story.of("prepare")) == ["w2", "w3", "w4"]


def test_a_failure_in_the_second_batch_stops_the_run_after_it(migrate):
    story = migrate(w2={"wrong": {"begin_move": "fails"}})
    assert story.code == 2, story.output
    assert story.of("rollout_gate") == ["node-w1", "node-w2 node-w3"]
    assert story.of("end_move") == ["w1", "w3"], "the other node of the batch finishes its move"
    assert story.of("rollout_soak") == ["node-w1", "node-w3"]
    assert story.recap("w2", "failed") == 1
    assert [story.recap(name, "failed") for name in ("w1", "w3", "w4", "cp1")] == [0, 0, 0, 0]
    assert "w2 failed, and unshim_max_failed is 0" in story.said and "Not begun: w4, cp1." in story.said
    assert story.said.count("begin_move failed on w2") >= 2, "told when it happens, and again at the end"
    assert story.log[-1].startswith("rollout_lock"), "the lock is given back"


def test_a_failing_canary_stops_the_run(migrate):
    story = migrate(w1={"wrong": {"begin_move": "fails"}})
    assert story.code == 2
    assert story.of("rollout_gate") == ["node-w1"]
    assert "Not begun: w2, w3, w4, cp1." in story.said


def test_as_many_may_fail_as_the_setting_says(migrate):
    wrong = {"wrong": {"begin_move": "fails"}}
    story = migrate(settings={"unshim_max_failed": 1}, w1=wrong)
    assert story.of("rollout_gate") == ["node-w1", "node-w2 node-w3", "node-w4", "node-cp1"]
    assert story.code == 2 and story.recap("w1", "failed") == 1, "it is told all the same"
    story = migrate(settings={"unshim_max_failed": 1}, w1=wrong, w3=wrong)
    assert story.of("rollout_gate") == ["node-w1", "node-w2 node-w3"]
    assert "w1, w3 failed, and unshim_max_failed is 1" in story.said


def test_a_node_that_is_lost_counts_as_failed(migrate):
    story = migrate(w2={"wrong": {"begin_move": "lost"}})
    assert story.code == 4
    assert story.of("end_move") == ["w1", "w3"]
    assert "w2 failed, and unshim_max_failed is 0" in story.said and "Not begun: w4, cp1." in story.said
    assert story.of("rollout_gate") == ["node-w1", "node-w2 node-w3"]


def test_a_batch_that_is_lost_as_a_whole_ends_the_run(migrate):
    story = migrate(w1={"wrong": {"begin_move": "lost"}})
    assert story.code == 4
    assert story.of("rollout_gate") == ["node-w1"] and story.of("end_move") == []


def test_a_node_that_cannot_be_planned_stops_the_run_before_anything(migrate):
    for wrong, code in (("fails", 2), ("lost", 2)):
        story = migrate(w3={"wrong": {"plan": wrong}})
        assert story.code in (code, 4), story.output
        assert story.of("prepare") == story.of("rollout_lock") == []
        assert "w3 cannot be reached or moved" in story.said


def test_a_node_that_may_be_down_is_left_out(migrate):
    story = migrate(settings={"unshim_nodes_may_be_down": ["w3"]}, w3={"wrong": {"plan": "lost"}})
    assert story.of("rollout_gate") == ["node-w1", "node-w2 node-w4", "node-cp1"]
    assert story.of("end_move")[-1] == "cp1"


def test_a_node_that_cannot_be_prepared_stops_the_run_before_any_moves(migrate):
    story = migrate(w3={"wrong": {"prepare": "fails"}})
    assert story.code == 2
    assert sorted(story.of("prepare")) == ["cp1", *WORKERS], "the others are prepared"
    assert story.of("rollout_gate") == []
    assert "w3 failed, and unshim_max_failed is 0" in story.said


def test_a_gate_that_does_not_open_stops_the_run(migrate):
    story = migrate(environment={"UNSHIM_TEST_HELD": "node-w3"})
    assert story.code == 2
    assert story.of("end_move") == ["w1"]
    assert "batch 2 was not begun: node w9 is not Ready." in story.said
    assert "Not begun: w2, w3, w4, cp1." in story.said
    assert story.of("rollout_gate") == ["node-w1", "node-w2 node-w3"]


def test_a_node_that_does_not_stay_well_is_put_back(migrate):
    story = migrate(environment={"UNSHIM_TEST_UNWELL": "node-w2"})
    assert story.code == 2
    assert story.of("bundle") == story.of("restore") == ["w2"]
    assert "w2 was not moved: Node node-w2 did not stay well after its move: Ready is Unknown." in story.said
    assert story.of("rollout_gate") == ["node-w1", "node-w2 node-w3"]


@pytest.mark.parametrize("wrong", [{}, {"wrong": {"begin_move": "fails"}}])
def test_the_report_is_of_the_whole_fleet_and_comes_before_the_end(migrate, wrong):
    story = migrate(w2=wrong)
    assert story.of("migration_report") == ["w1 w2 w3 w4 cp1"]
    order = [line.split()[0] for line in story.log]
    assert (
        order.index("end_move") < order.index("migration_report") < len(order) - 1 - order[::-1].index("rollout_lock")
    )
    assert "The report is r.html" in story.said


def test_a_report_that_cannot_be_written_fails_nothing(migrate):
    story = migrate(w1={"wrong": {"migration_report": "fails"}})
    assert story.code == 0, story.output
    assert "There is no report. migration_report failed on w1" in story.said
    assert len(story.of("rollout_lock")) == 2


def test_check_mode_writes_no_report(migrate):
    assert migrate("--check").of("migration_report") == []


def test_limit_names_who_moves(migrate):
    story = migrate("--limit", "w3,cp1")
    assert story.code == 0, story.output
    assert story.of("rollout_gate") == ["node-w3", "node-cp1"]
    assert sorted(story.of("plan")) == ["cp1", "w3"]
    assert len(story.of("rollout_lock")) == 2


def test_prepare_and_move_can_be_had_alone(migrate):
    prepared = migrate("--tags", "prepare")
    assert prepared.code == 0, prepared.output
    assert prepared.of("rollout_gate") == [] and len(prepared.of("prepare")) == 5
    moved = migrate("--tags", "move")
    assert moved.code == 0, moved.output
    assert moved.of("prepare") == [] and len(moved.of("end_move")) == 5


def test_an_extra_variable_goes_before_the_inventory(migrate):
    assert migrate("-e", "unshim_batch=3").of("rollout_gate") == ["node-w1 node-w2 node-w3", "node-w4", "node-cp1"]
    assert migrate("-e", "unshim_batch=50%").of("rollout_gate")[:2] == ["node-w1 node-w2", "node-w3 node-w4"]
