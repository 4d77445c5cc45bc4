"""Everything that unshim writes for a monitoring system, by path below its directory on the controller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import dashboard, log_agents, node_problem_detector, rules, scrape


def render(
    nodes: Iterable[scrape.Node],
    *,
    overrides: Mapping[str, Any],
    node_exporter_port: int,
    cri_endpoint: str,
    crictl: str,
    health_checker: str,
) -> dict[str, str]:
    """Return the files' texts by path.

    Raises:
        rules.AlertError: ``overrides`` cannot be followed.
    """
    files = {
        "prometheus/rules.yml": rules.render(rules.chosen(overrides)),
        "grafana/nodes.json": dashboard.render(),
    }
    parts = {
        "prometheus": scrape.render(nodes, node_exporter_port),
        "node-problem-detector": node_problem_detector.render(cri_endpoint, crictl, health_checker),
        "logs": log_agents.render(),
    }
    for directory, texts in parts.items():
        files.update({f"{directory}/{name}": text for name, text in texts.items()})
    return dict(sorted(files.items()))
