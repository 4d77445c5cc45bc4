"""The journal as a timeline."""

import json

import pytest

from unshim import timeline


def journal(**changes):
    events = [
        ("prepared", 100.0),
        ("cordoned", 160.5),
        ("drained", 190.5),
        ("switched", 194.0),
        ("verified", 290.0),
        ("uncordoned", 291.0),
    ]
    data = {"state": "verified", "timeline": [{"event": e, "time": t} for e, t in events], "steps": []}
    return json.dumps({**data, **changes})


def test_events_with_their_distance_and_the_time_out_of_service():
    assert timeline.render("w1", journal()) == (
        "w1: verified\n"
        "  1970-01-01 00:01:40 UTC  prepared\n"
        "  1970-01-01 00:02:40 UTC  cordoned  +1 min 00 s\n"
        "  1970-01-01 00:03:10 UTC  drained  +30.0 s\n"
        "  1970-01-01 00:03:14 UTC  switched  +3.5 s\n"
        "  1970-01-01 00:04:50 UTC  verified  +1 min 36 s\n"
        "  1970-01-01 00:04:51 UTC  uncordoned  +1.0 s\n"
        "  out of service for 2 min 10 s\n"
    )


def test_only_the_last_try_counts_as_out_of_service():
    events = [("drain_started", 10.0), ("drain_started", 100.0), ("drained", 120.0), ("uncordoned", 130.0)]
    text = timeline.render("w1", journal(timeline=[{"event": e, "time": t} for e, t in events]))
    assert text.endswith("out of service for 30.0 s\n")


def test_a_failed_step_is_named():
    steps = [{"name": "write config", "status": "failed", "message": "disk full"}, {"name": "x", "status": "done"}]
    assert "  failed: write config: disk full\n" in timeline.render("w1", journal(steps=steps))


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"timeline": 3}', '{"timeline": [1, {"event": 2}]}'])
def test_no_journal_or_a_damaged_one(text):
    assert timeline.render("w1", text) == "w1: no journal; unshim has changed nothing here\n"


@pytest.mark.parametrize(
    "seconds, text", [(0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 00 s"), (3599.7, "1 h 00 min"), (7380, "2 h 03 min")]
)
def test_durations(seconds, text):
    assert timeline.duration(seconds) == text


def test_how_long_a_node_has_been_verified():
    text = json.dumps({"timeline": [{"event": "verified", "time": 100}, {"event": "verified", "time": 160.5}]})
    assert timeline.since("verified", text, 200.5) == 40.0
    assert timeline.since("verified", text, 10) == 0.0
    assert timeline.since("verified", None, 200) == 0.0


def test_sockets_that_the_annotations_named():
    text = json.dumps(
        {"annotations": {"a": "unix:///srv/cri.sock", "b": "/var/run/dockershim.sock", "c": None, "d": "x"}}
    )
    assert timeline.former_cri_sockets(text) == ["/srv/cri.sock", "/var/run/dockershim.sock"]
    assert timeline.former_cri_sockets("{") == []
