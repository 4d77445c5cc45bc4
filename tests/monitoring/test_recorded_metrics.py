"""Real containerds of each release serve the metrics that the table says they do, and those only."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

import exposition
import pytest

from unshim.monitoring import log_agents, metrics

RECORDED = Path(__file__).parents[1] / "data/monitoring/scrapes"


@dataclass(frozen=True)
class Scrape:
    before: str  # anything was asked of it
    after: str
    logs: bytes  # of the pod that ran


@pytest.fixture(scope="module")
def scrape(containerd):
    """What containerd says after a pod that ran, one that got no network, and a pull in vain."""
    before = containerd.scrape()
    logs = containerd.run_pod()
    containerd.pull_in_vain()
    containerd.fail_to_run_pod()
    # The removal of the pod's containers has the garbage collected, half a second later; 1.6 counts none of its own.
    deadline = time.monotonic() + 10
    while "containerd_gc_collections_total" not in containerd.scrape() and time.monotonic() < deadline:
        time.sleep(0.2)
    return Scrape(before, containerd.scrape(), logs)


def test_this_is_the_release(containerd, release):
    assert containerd.version().startswith(f"{release}."), (
        f"Debian has a newer containerd than {release}: record it as a release of its own"
    )


@pytest.mark.parametrize(
    "metric", [one for one in metrics.METRICS if one.served_by == "containerd"], ids=lambda one: one.name
)
def test_release_has_the_metrics_the_table_says(scrape, release, metric):
    before, after = exposition.types(scrape.before), exposition.types(scrape.after)
    assert (metric.name in after) == (release in metric.releases)
    if release in metric.releases:
        assert after[metric.name] == metric.kind
        assert metric.name in before or not metric.is_zero_at_first


def test_recording_is_what_it_says(scrape, release, update_golden):
    path = RECORDED / f"containerd-{release}.txt"
    found = exposition.recorded(scrape.after)
    if update_golden:
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
    assert path.read_text() == found


def test_fluentd_reads_the_log_of_a_real_pod(scrape):
    format = re.search(r"format /(\^.*\$)/", log_agents.render()["fluentd.after.conf"])[1]
    lines = [re.match(format.replace("(?<", "(?P<"), line) for line in scrape.logs.decode().splitlines()]
    found = sorted((line["stream"], line["logtag"], line["log"]) for line in lines)
    assert found == [("stderr", "F", "it fails"), ("stdout", "F", "it runs"), ("stdout", "P", "no end")]
