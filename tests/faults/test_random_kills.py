"""Runs are killed at random moments, one after the other, and the next one goes on: it always ends with all on containerd.

Twenty kills with UNSHIM_FULL=1, on all nodes of the lab; run by its name alone one kill, on one node. The seed is printed; UNSHIM_SEED repeats it.
"""

import contextlib
import os
import random
import subprocess
import time

import cluster_watch
import node_snapshot
import pytest
from planned_changes import LEFT, LEFTOVERS, is_planned

IS_FULL = bool(os.environ.get("UNSHIM_FULL"))
KILLS = 20 if IS_FULL else 1
IN_A_ROW = 4  # kills before a run may come to its end

# Where in a run, and how often: a moment after this task has begun, of up to so many seconds. Most are in the switch.
MOMENTS = (
    (1, "preflight : Plan", 3),
    (2, "containerd : Configure containerd for CRI and prove that it answers", 4),
    (2, "images : Move the images of this node's pods to containerd", 4),
    (2, "drain : Cordon the node and evict its pods", 12),
    (13, "kubelet : Switch the node from Docker to containerd", 12),
    (2, "verify : Wait for the node to be Ready on containerd, with its own pods back", 10),
    (2, "verify : Run a canary pod on the node", 6),
    (2, "Let pods come to the node again", 2),
    (2, "Note that the node is done", 1),
)
# What dies: everything on the controller, only ansible-playbook itself, or what it has started on the nodes, too.
WAYS = ("controller", "controller", "main process", "controller and modules")
MODULES = "pkill -KILL -x -f /usr/bin/python3; true"


@pytest.fixture
def nodes(lab):
    """The nodes that move; on Docker before and after."""
    nodes = lab.nodes if IS_FULL else lab.workers[:1]
    for node in nodes:
        lab.back_to_docker(node)
    lab.wait_for_workload()
    lab.start_watcher()
    yield nodes
    for node in nodes:
        lab.back_to_docker(node)


def kill_at_random(lab, dice, limit):
    """Start a run and kill it somewhere; return in words where, and the Run if it came to its end first."""
    _, task, spread = dice.choices(MOMENTS, [weight for weight, _, _ in MOMENTS])[0]
    occurrence = dice.randint(1, max(1, len(lab.workers) // 2)) if IS_FULL else 1
    delay, way = dice.uniform(0, spread), dice.choice(WAYS)
    run = lab.start("migrate", limit=limit)
    where = f"{delay:.1f} s after task {task!r} ({occurrence}) began: {way}"
    try:
        run.wait_for_output(rf"(?s)(^TASK \[{task}\].*?){{{occurrence}}}", 900)
    except AssertionError:
        return f"no kill, as the run ended before: {where}", run.finish(60)
    time.sleep(delay)
    if not run.is_running():
        return f"no kill, as the run ended before: {where}", run.finish(60)
    run.kill(workers=way != "main process")
    if way == "controller and modules":
        for node in lab.nodes:
            lab.on(node, MODULES, check=False)
    return where, None


def test_a_killed_run_is_gone_on_with(lab, nodes):
    seed = int(os.environ.get("UNSHIM_SEED") or random.SystemRandom().randrange(1 << 32))
    dice = random.Random(seed)
    story = [f"UNSHIM_SEED={seed}"]
    print(story[0], flush=True)
    limit = None if IS_FULL else ",".join(nodes)
    before = {node: node_snapshot.take(lab, node) for node in nodes}
    store, owners, killed, in_a_row = store_of(lab), lab.owners(), 0, 0
    began = time.time()
    while killed < KILLS:
        where, ended = kill_at_random(lab, dice, limit)
        story.append(where)
        print(where, flush=True)
        if ended is None:
            killed += 1
            in_a_row += 1
        if ended is not None or in_a_row == IN_A_ROW or killed == KILLS:
            ended = ended or lab.run("migrate", limit=limit, seconds=1500)
            assert ended.code == 0, "\n".join([*story, ended.output[-5000:]])
            for node in nodes:
                converged(lab, node, before[node], story)
            assert store_of(lab).startswith(store)
            assert lab.owners() == owners
            lab.wait_for_workload()
            story.append("all on containerd")
            in_a_row = 0
            if killed < KILLS:  # once more, from Docker
                for node in nodes:
                    lab.back_to_docker(node)
    cluster_watch.assert_nothing_broken(cluster_watch.records(lab, began), lab.largest_batch)
    (lab.records / f"random-kills-{seed}.txt").write_text("\n".join(story) + "\n")


def store_of(lab):
    return lab.on(lab.workers[0], "cat /srv/store/starts 2>/dev/null", check=False)


def converged(lab, node, before, story):
    """Make sure that a node is on containerd as if nothing had happened: its journal, its files, nothing left about."""
    told = "\n".join(story)
    lab.wait_until(lambda: lab.safe_state(node)[:2] == (True, "containerd"), f"{node} safe on containerd\n{told}", 60)
    journal = lab.journal(node)
    assert journal["state"] == "verified", told
    assert [step["name"] for step in journal["steps"] if step["status"] == "started"] == [], told
    last = {step["name"]: step["status"] for step in journal["steps"]}
    assert {name for name, status in last.items() if status != "done"} == set(), told
    assert [name for name in journal["notes"] if name.endswith("pending")] == [], told
    for path, record in journal["files"].items():
        sums = lab.on(node, f"sha256sum '{path}' 2>/dev/null | cut -d ' ' -f 1", check=False).strip()
        assert sums == (record["written_sha256"] or ""), f"{path} is not as it was written\n{told}"
    changed = node_snapshot.changes(before, node_snapshot.take(lab, node))
    unknown = {
        key: values
        for key, values in changed.items()
        if not key.startswith(LEFT) and not is_planned(key, set(journal["files"]))
    }
    assert unknown == {}, f"changed, and not in the journal\n{told}"
    assert lab.on(node, LEFTOVERS).split() == [], told
    with contextlib.suppress(subprocess.CalledProcessError):
        canaries = lab.kubectl("get", "pods", "-A", "-l", "app.kubernetes.io/managed-by=unshim", "-o", "name").split()
        assert canaries == [], told
