"""Every metric that a rule or a panel names is in the table, and what containerd serves is in the recorded scrapes."""

import re
from pathlib import Path

import pytest

from unshim.monitoring import alerts, dashboard, metrics, rules

ROOT = Path(__file__).parents[3]
SCRAPES = ROOT / "tests/data/monitoring/scrapes"
COLLECTOR = ROOT / "roles/monitoring/files/unshim_collector.py"
EXPRESSIONS = {
    **{alert.name: rules.expression(alert) for alert in alerts.ALERTS},
    **{query: query for query in dashboard.queries()},
}


def recorded(release):
    text = (SCRAPES / f"containerd-{release}.txt").read_text()
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_names_are_in_the_table(expression):
    named = metrics.named_in(expression)
    assert named
    assert [name for name in named if name not in metrics.BY_NAME] == []


@pytest.mark.parametrize("release", metrics.RELEASES)
def test_recorded_scrape_has_what_the_table_says(release):
    wanted = {
        one.name: one.kind for one in metrics.METRICS if one.served_by == "containerd" and release in one.releases
    }
    others = {one.name for one in metrics.METRICS if one.served_by == "containerd" and release not in one.releases}
    found = recorded(release)
    assert {name: found.get(name) for name in wanted} == wanted
    assert others & set(found) == set()


# What a release does not count at all.
NOT_BEFORE = {"ContainerEventsDropped": ("2.1",), "ContainerdGarbageCollectionFails": ("1.7", "2.1")}


@pytest.mark.parametrize("release", metrics.RELEASES)
@pytest.mark.parametrize("alert", alerts.ALERTS, ids=lambda alert: alert.name)
def test_alert_has_something_to_look_at_on_every_release(alert, release):
    named = [metrics.BY_NAME[name] for name in metrics.named_in(rules.expression(alert))]
    of_containerd = [one for one in named if one.served_by == "containerd"]
    if of_containerd:
        expected = release in NOT_BEFORE.get(alert.name, metrics.RELEASES)
        assert any(release in one.releases for one in of_containerd) == expected


def test_nothing_recorded_names_a_machine():
    for path in SCRAPES.iterdir():
        assert not re.search(r"\d+\.\d+\.\d+[~+-]|/tmp|/root|hostname|@", path.read_text()), path.name


def test_collector_writes_what_the_table_says():
    written = set(re.findall(r'"(unshim_[a-z_]+)"', COLLECTOR.read_text()))
    prefixes = {name for name in written if name.endswith("_filesystem")}
    written |= {name + suffix for name in prefixes for suffix in ("_size_bytes", "_avail_bytes")}
    assert written - prefixes == {one.name for one in metrics.METRICS if one.served_by == "unshim"}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('up{job="x y"} == 0', ("up",)),
        ("sum by (instance, le) (rate(kubelet_pleg_relist_duration_seconds_bucket[5m])) > 1e3",
         ("kubelet_pleg_relist_duration_seconds",)),
        ('count(a_total{b=~"c|d"}) > 0 and on (instance) (e or f{g="}"} offset 5m)', ("a_total", "e", "f")),
        ("time() - x > 900", ("x",)),
    ],
)  # fmt: skip
def test_names_are_found_in_an_expression(expression, names):
    assert metrics.named_in(expression) == names
