"""The cause is removed, and the same command finishes what is left; nobody who used the cluster noticed."""

import time

import cluster_watch
import pytest
from rolling_lab import BAD, CANARY, GOOD, LAST


@pytest.fixture(scope="module")
def finished(lab):
    lab.on(BAD, "rm /etc/systemd/system/kubelet.service.d/30-site.conf && systemctl daemon-reload")
    began = time.monotonic()
    run = lab.playbook("migrate")
    print(f"the rest moved in {time.monotonic() - began:.0f} s")
    return run


def test_the_same_command_finishes_the_move(lab, finished):
    assert finished.code == 0, finished.output
    assert {node: lab.runtime(node) for node in lab.nodes} == dict.fromkeys(lab.nodes, "containerd")


def test_nodes_that_were_done_are_skipped(lab, finished):
    assert f"done already, and skipped: {CANARY}, {GOOD}" in finished.output
    assert {finished.recap()[node]["changed"] for node in (CANARY, GOOD)} == {0}
    assert all(finished.recap()[node]["changed"] for node in (BAD, LAST, lab.control_plane))


def test_a_run_on_a_fleet_that_is_done_changes_nothing_and_is_fast(lab, finished):
    began = time.monotonic()
    run = lab.playbook("migrate")
    took = time.monotonic() - began
    print(f"migrate.yml on {len(lab.nodes)} nodes that are done: {took:.1f} s")
    assert run.code == 0, run.output
    assert {node: run.recap()[node]["changed"] for node in lab.nodes} == dict.fromkeys(lab.nodes, 0)
    assert f"Nothing to move: {len(lab.nodes)} nodes done." in run.output


def test_no_request_failed_over_the_whole_story(lab, finished):
    begin = lab.remembered("began")
    asked = [answer for answer in lab.prober("service") if answer[0] >= begin]
    failed = [answer for answer in asked if answer[1] != "200"]
    seconds = asked[-1][0] - begin
    print(f"Service: {len(asked)} requests in {seconds:.0f} s, {len(failed)} failed")
    assert len(asked) >= 10 * seconds
    assert failed == []


def test_never_more_nodes_closed_than_a_batch_has_and_every_budget_kept(lab, finished):
    most, evictions = cluster_watch.assert_promises_kept(lab, closed_at_most=2, since=lab.remembered("began"))
    assert most == 2 and evictions > 0, "the second batch moved together"


def test_every_workload_is_back(lab, finished):
    for node in lab.nodes:
        lab.wait_for_pods(node)
    for kind in ("deployments", "statefulsets"):
        for item in lab.get(kind, "-n", "shop")["items"]:
            assert item["status"].get("readyReplicas") == item["spec"]["replicas"], item["metadata"]["name"]
