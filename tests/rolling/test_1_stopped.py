"""A fleet moves, a canary first; one node of the second batch fails for real, and the run stops there."""

import re
import time

import node_snapshot
import pytest
from rolling_lab import BAD, CANARY, GOOD, LAST

# A site's own hook: its kubelet may start only while Docker answers. True on Docker, false after the switch.
HOOK = """
mkdir -p /etc/systemd/system/kubelet.service.d
printf '[Service]\\nExecStartPre=/usr/bin/docker version\\n' >/etc/systemd/system/kubelet.service.d/30-site.conf
systemctl daemon-reload
"""


def without_our_own(changes):
    return {key: values for key, values in changes.items() if not key.startswith("file /var/lib/unshim")}


@pytest.fixture(scope="module")
def stopped(lab, tmp_path_factory):
    """Prepare the fleet, let the move run into the fault, and return the run and what was seen beside it."""
    pause = tmp_path_factory.mktemp("controller") / "pause"
    lab.remember("began", time.time())
    lab.on(BAD, HOOK)
    seen = {"before": {BAD: node_snapshot.take(lab, BAD)}}
    prepared = lab.playbook("migrate", "--tags", "prepare")
    assert prepared.code == 0, prepared.output
    for node in (LAST, lab.control_plane):
        seen["before"][node] = node_snapshot.take(lab, node)
    run = lab.started("migrate", "-e", f"unshim_pause_file={pause}")
    try:
        run.wait_for("TASK [Drain]", 600)
        pause.touch()
        seen["holder"] = lab.lease()
        seen["second"] = lab.playbook("migrate", "--limit", LAST)
        run.wait_for("waits: the file", 900)
        time.sleep(5)
        seen["paused"] = {node: lab.runtime(node) for node in lab.nodes}
        pause.unlink()
        seen["run"] = run.wait(1800)
    finally:
        run.end()
    seen["after"] = {node: node_snapshot.take(lab, node) for node in seen["before"]}
    return seen


def test_a_second_controller_is_refused_while_the_first_runs(stopped):
    said = " ".join(stopped["second"].output.split())
    assert stopped["second"].code != 0
    assert stopped["holder"] and stopped["holder"] in said
    assert "Another run of unshim changes nodes of this cluster" in said and "last sign of life" in said
    assert stopped["second"].recap()[LAST]["changed"] == 0


def test_a_pause_file_holds_the_run_between_batches(lab, stopped):
    assert stopped["paused"] == {CANARY: "containerd"} | {
        node: "docker" for node in (lab.control_plane, GOOD, BAD, LAST)
    }
    assert "remove it to go on" in stopped["run"].output


def test_the_run_stopped_within_the_second_batch(lab, stopped):
    run = stopped["run"]
    said = " ".join(run.output.split())
    assert run.code == 2, run.output
    assert "Traceback" not in run.output
    assert f"{BAD} was not moved" in said
    assert f"The run stopped: {BAD} failed, and unshim_max_failed is 0." in said
    assert f"Not begun: {LAST}, {lab.control_plane}." in said
    assert {node: run.recap()[node]["failed"] for node in lab.nodes} == dict.fromkeys(lab.nodes, 0) | {BAD: 1}


def test_the_other_node_of_the_batch_finished_and_both_moved_together(lab, stopped):
    assert lab.runtime(CANARY) == lab.runtime(GOOD) == "containerd"
    canary, good = lab.timeline(CANARY), lab.timeline(GOOD)
    assert canary["uncordoned"] < good["drain_started"]
    drained = re.findall(r"^included: drain for (.+)$", stopped["run"].output, re.MULTILINE)
    assert [set(names.split(", ")) for names in drained] == [{CANARY}, {GOOD, BAD}]


def test_the_failed_node_is_back_on_docker_as_it_was(lab, stopped):
    assert lab.runtime(BAD) == "docker"
    assert lab.journal(BAD)["state"] == "docker"
    assert without_our_own(node_snapshot.changes(stopped["before"][BAD], stopped["after"][BAD])) == {}


def test_the_rest_is_untouched(lab, stopped):
    for node in (LAST, lab.control_plane):
        assert lab.runtime(node) == "docker"
        assert without_our_own(node_snapshot.changes(stopped["before"][node], stopped["after"][node])) == {}


def test_the_lock_was_given_back(lab, stopped):
    assert lab.lease() == ""
