"""docs/monitoring.md lists the alerts and the metrics there are, and its example is one that is followed."""

import re
from pathlib import Path

import yaml

from unshim.monitoring import alerts, metrics, rules

PAGE = Path(__file__).parents[3] / "docs/monitoring.md"
HEADING = "| alert | | fires when | after | what to do |\n"
SERVED_BY = {
    "containerd": "containerd",
    "kubelet": "the kubelet",
    "unshim": "the collector",
    "prometheus": "Prometheus",
}


def shown(text):
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", text)
    return re.sub(r"\{\{ \$value[^}]*\}\}", "*so many*", text).replace("|", "\\|")


def alert_row(alert):
    threshold = f" (threshold: {rules.number(alert.threshold)} {alert.unit})" if alert.threshold is not None else ""
    cells = (f"`{alert.name}`", alert.severity, shown(alert.summary) + threshold, alert.hold, shown(alert.remedy))
    return f"| {' | '.join(cells)} |\n"


def metric_row(metric):
    releases = ", ".join(metric.releases) if metric.served_by == "containerd" else ""
    return f"| `{metric.name}` | {metric.kind} | {SERVED_BY[metric.served_by]} | {releases} | {metric.meaning} |\n"


def tables():
    head = HEADING + "|---|---|---|---|---|\n" + "".join(map(alert_row, alerts.ALERTS))
    table = "".join(map(metric_row, metrics.METRICS))
    return (
        f"{head}\n## Metrics\n\nThe names differ between releases of containerd: a pull is counted under another name in 1.7 and in 2.x, "
        "and in 1.6 only as a call of gRPC.\n\n| metric | type | of | containerd | what |\n|---|---|---|---|---|\n"
        + table
    )


def test_page_lists_the_alerts_and_metrics_there_are(update_golden):
    before = PAGE.read_text().partition(HEADING)[0]
    if update_golden:
        PAGE.write_text(before + tables())
    assert PAGE.read_text() == before + tables()


def test_example_of_the_page_is_followed():
    example = re.search(r"```yaml\n(unshim_alerts:.*?)```", PAGE.read_text(), re.DOTALL)[1]
    wanted = yaml.safe_load(example)["unshim_alerts"]
    made = {alert.name: alert for alert in rules.chosen(wanted)}
    assert (made["ImagePullsFail"].threshold, made["ImagePullsFail"].hold) == (10, "15m")
    assert "FleetHasTwoRuntimes" not in made
