"""What the lab's watcher saw (molecule/_lab/watch_cluster.py), and the two promises that a test asks it about."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "molecule" / "_lab"))

import watch_cluster
from watch_cluster import broken_budgets, too_many_closed

LOG = "/var/tmp/unshim-watch-cluster.log"


def records(lab, since=0.0):
    """Return what was written down from a Unix time on."""
    lines = lab.on(lab.control_plane, f"cat {LOG}").splitlines()
    return [record for record in map(json.loads, lines) if record["time"] >= since]


def assert_promises_kept(lab, closed_at_most, since=0.0):
    """At no moment were more nodes closed for pods than a batch has, and no eviction broke a disruption budget.

    Args:
        closed_at_most: the size of the largest batch.
        since: Unix time from which on it is asked.

    Returns:
        The most nodes that were closed at a time, and how many healthy pods covered by a budget were sent away.
    """
    seen = records(lab, since)
    assert seen, "the watcher wrote nothing"
    assert watch_cluster.longest_gap(seen) < 15, "the watcher was blind"
    assert not [r for r in seen if "cannot judge" in r.get("why", "")]
    evictions = [r for r in seen if r["kind"] == "eviction" and r["budgets"]]
    most = max((len(r["unschedulable"]) for r in seen if r["kind"] == "nodes"), default=0)
    print(
        f"watched {seen[-1]['time'] - seen[0]['time']:.0f} s: at most {most} closed, {len(evictions)} pods with a budget left"
    )
    assert most, "nothing happened that the watcher should have seen"
    assert_nothing_broken(seen, closed_at_most)
    return most, len(evictions)


def assert_nothing_broken(seen, closed_at_most):
    """The same of these records alone: the watcher may have been blind for a while, as when the API server was away."""
    assert any(record["kind"] == "alive" for record in seen), "the watcher saw nothing"
    assert too_many_closed(seen, closed_at_most) == [], f"more than {closed_at_most} closed for pods"
    assert broken_budgets(seen) == [], "a disruption budget was not respected"
