"""When things happened, by what systemd, the API and the prober of a real move wrote down."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks/lab"))

import moments


def entry(seconds, identity):
    return json.dumps(
        {"__REALTIME_TIMESTAMP": str(int(seconds * 1e6)), "MESSAGE_ID": identity, "UNIT": "kubelet.service"}
    )


def node(time, runtime="docker://20.10.24", ready="True", heartbeat="2026-11-26T06:00:00Z", closed=False):
    conditions = [
        {"type": "DiskPressure", "status": "False"},
        {"type": "Ready", "status": ready, "lastHeartbeatTime": heartbeat},
    ]
    return moments.node_seen(
        time,
        {
            "spec": {"unschedulable": True} if closed else {},
            "status": {"nodeInfo": {"containerRuntimeVersion": runtime}, "conditions": conditions},
        },
    )


SIX = 1795672800.0  # 2026-11-26T06:00:00Z
NEW = "containerd://1.6.20~ds1"


def test_first_stop_after_the_start_of_the_run_counts():
    lines = [entry(50.0, moments.STOPPING), entry(100.25, moments.STOPPING), entry(101.0, moments.STARTED), "{}"]
    lines.append(entry(103.0, moments.STOPPING))
    assert moments.first(moments.unit_events("\n".join(lines)), moments.STOPPING, 90.0) == 100.25
    with pytest.raises(moments.NeverHappened):
        moments.first(moments.unit_events("\n".join(lines)), moments.STOPPING, 104.0)


def test_ready_is_the_new_kubelets_word():
    seen = [
        node(SIX + 1),  # still the old kubelet's
        node(SIX + 4, NEW, "False", "2026-11-26T06:00:04Z"),
        node(SIX + 5.5, NEW, "True", "2026-11-26T06:00:05Z"),
        node(SIX + 9, NEW, "True", "2026-11-26T06:00:09Z"),
    ]
    assert moments.ready_on(seen, "containerd", SIX + 2) == SIX + 5.5
    with pytest.raises(moments.NeverHappened):
        moments.ready_on(seen[:2], "containerd", SIX + 2)


def test_an_earlier_move_does_not_count():
    # A node that was on containerd before, as after a way back that was not seen.
    seen = [node(SIX + 3, NEW, "True", "2026-11-26T05:00:00Z"), node(SIX + 6, NEW, "True", "2026-11-26T06:00:06Z")]
    assert moments.ready_on(seen, "containerd", SIX + 2) == SIX + 6


def test_outage_of_a_node_is_from_cordon_to_uncordon():
    seen = [node(1.0), node(2.0, closed=True), node(5.0, NEW, closed=True), node(9.5, NEW), node(12.0, NEW)]
    assert moments.closed_for(seen, 0.5) == (2.0, 9.5)
    for too_few in (seen[:1], seen[:3]):
        with pytest.raises(moments.NeverHappened):
            moments.closed_for(too_few, 0.5)


def test_outage_of_the_api_is_to_the_answer_after_the_last_failure():
    lines = [
        "1.0 200 3.1",
        "1.1 URLError:refused 0.2",
        "1.3 200 9.0",
        "1.2 HTTPError:500 1.0",
        "1.4 URLError:x 1.0",
        "1.5 200 1.0",
    ]
    assert moments.outage("\n".join(lines), 0.0, 9.0) == pytest.approx(0.4)
    assert moments.outage("\n".join(lines), 1.5, 9.0) == 0.0
    with pytest.raises(moments.NeverHappened):
        moments.outage("\n".join(lines[:-1]), 0.0, 9.0)


def test_a_drain_ends_with_its_last_pod_and_before_the_node_is_open():
    assert moments.drained_for([14.0, 71.5, 12.0], closed=10.0, opened=90.0) == 61.5
    for gone in ([], [9.0], [12.0, 91.0]):
        with pytest.raises(moments.NeverHappened):
            moments.drained_for(gone, closed=10.0, opened=90.0)
