"""The dashboard for Grafana: the fleet's move, and what containerd and Docker in containers do; from the table of metrics.

Source of the shape: Grafana docs, "Dashboard JSON model" (schemaVersion 36 is read by Grafana 9 and later).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .metrics import BY_NAME, named_in

UID = "unshim-nodes"
WIDTH, HEIGHT = 24, 8
_CHOICE = 'instance=~"$instance"'
_CRI = f'grpc_server_handled_total{{job="containerd",{_CHOICE},grpc_service=~"runtime[.]v1.*"'


@dataclass(frozen=True)
class Query:
    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    title: str
    kind: str  # "timeseries", "stat", "bargauge"
    unit: str
    queries: tuple[Query, ...]
    width: int = 12


@dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


def _pulls(status: str) -> str:
    """Return the pulls of a status under each of the names that containerd has had for them."""
    return " or ".join(
        f'sum by (instance) (increase({name}{{{_CHOICE},status="{status}"}}[$__rate_interval]))'
        for name in ("containerd_cri_image_pulls_total", "containerd_cri_sandboxed_image_pulls_total")
    )


def _quantile(metric: str, selector: str = _CHOICE) -> str:
    return f"histogram_quantile(0.9, sum by (instance, le) (rate({metric}_bucket{{{selector}}}[$__rate_interval])))"


ROWS: tuple[Row, ...] = (
    Row(
        "The move",
        (
            Panel(
                "Nodes by what their kubelet uses", "stat", "short",
                (Query("count by (runtime) (unshim_kubelet_runtime_info)", "{{runtime}}"),), 6,
            ),
            Panel(
                "Nodes by state of their move", "stat", "short",
                (Query("sum by (state) (unshim_migration_state)", "{{state}}"),), 10,
            ),
            Panel(
                "containerd by version", "stat", "short",
                (Query("count by (version) (unshim_containerd_info)", "{{version}}"),), 8,
            ),
            Panel(
                "Docker still runs", "timeseries", "bool_yes_no",
                (Query(f"unshim_docker_active{{{_CHOICE}}}", "{{instance}}"),), 8,
            ),
            Panel(
                "Docker's data", "timeseries", "bytes",
                (Query(f"unshim_docker_data_bytes{{{_CHOICE}}}", "{{instance}}"),), 8,
            ),
            Panel(
                "Room on the disk of containerd", "timeseries", "percentunit",
                (
                    Query(
                        f"unshim_containerd_filesystem_avail_bytes{{{_CHOICE}}} / unshim_containerd_filesystem_size_bytes{{{_CHOICE}}}",
                        "{{instance}}",
                    ),
                ),
                8,
            ),
        ),
    ),
    Row(
        "containerd",
        (
            Panel(
                "Answers", "timeseries", "bool_yes_no",
                (Query(f'up{{job="containerd",{_CHOICE}}}', "{{instance}}"),), 8,
            ),
            Panel(
                "Calls of CRI", "timeseries", "reqps",
                (Query(f"sum by (grpc_method) (rate({_CRI}}}[$__rate_interval]))", "{{grpc_method}}"),), 8,
            ),
            Panel(
                "Calls of CRI that failed", "timeseries", "reqps",
                (
                    Query(
                        f'sum by (grpc_method, grpc_code) (rate({_CRI},grpc_code!="OK"}}[$__rate_interval])) > 0',
                        "{{grpc_method}} {{grpc_code}}",
                    ),
                ),
                8,
            ),
            Panel(
                "Image pulls", "timeseries", "short",
                (Query(_pulls("success"), "{{instance}} done"), Query(_pulls("failure"), "{{instance}} failed")), 8,
            ),
            Panel(
                "Time to start (nine of ten)", "timeseries", "s",
                (
                    Query(_quantile("containerd_cri_sandbox_runtime_create_seconds"), "{{instance}} sandbox"),
                    Query(_quantile("containerd_cri_container_create_seconds"), "{{instance}} create"),
                    Query(_quantile("containerd_cri_container_start_seconds"), "{{instance}} start"),
                ),
                8,
            ),
            Panel(
                "Pod network", "timeseries", "s",
                (
                    Query(_quantile("containerd_cri_sandbox_create_network_seconds"), "{{instance}} nine of ten"),
                    Query(
                        "sum by (instance, operation_type) (increase(containerd_cri_network_plugin_operations_errors_total_total"
                        f"{{{_CHOICE}}}[$__rate_interval]))",
                        "{{instance}} {{operation_type}} failed",
                    ),
                ),
                8,
            ),
        ),
    ),
    Row(
        "The kubelet",
        (
            Panel(
                "Operations that failed", "timeseries", "ops",
                (
                    Query(
                        f"sum by (operation_type) (rate(kubelet_runtime_operations_errors_total{{{_CHOICE}}}[$__rate_interval]))",
                        "{{operation_type}}",
                    ),
                ),
            ),
            Panel(
                "Time to list a node's pods", "timeseries", "s",
                (Query(_quantile("kubelet_pleg_relist_duration_seconds"), "{{instance}} nine of ten"),),
            ),
        ),
    ),
    Row(
        "Docker in containers",
        (
            Panel(
                "Answers", "timeseries", "bool_yes_no",
                (Query(f"unshim_dind_up{{{_CHOICE}}}", "{{instance}} {{dind}}"),), 8,
            ),
            Panel(
                "Processes outside of the pod's cgroup", "timeseries", "short",
                (Query(f"unshim_dind_escaped_processes{{{_CHOICE}}}", "{{instance}} {{dind}}"),), 8,
            ),
            Panel(
                "Room on the disk of its data", "timeseries", "percentunit",
                (
                    Query(
                        f"unshim_dind_filesystem_avail_bytes{{{_CHOICE}}} / unshim_dind_filesystem_size_bytes{{{_CHOICE}}}",
                        "{{instance}} {{dind}}",
                    ),
                ),
                8,
            ),
        ),
    ),
)  # fmt: skip
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def queries() -> list[str]:
    """Return every expression of the dashboard."""
    return [query.expression for row in ROWS for panel in row.panels for query in panel.queries]


def data() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in ROWS:
        panels.append(
            {
                "id": len(panels) + 1, "type": "row", "title": row.title, "collapsed": False, "panels": [],
                "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
            }
        )  # fmt: skip
        top += 1
        left = 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                left, top = 0, top + HEIGHT
            panels.append(_panel(panel, len(panels) + 1, left, top))
            left += panel.width
        top += HEIGHT
    return {
        "uid": UID,
        "title": "Nodes on containerd (unshim)",
        "tags": ["unshim", "containerd", "kubernetes"],
        "schemaVersion": 36,
        "version": 1,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
                {
                    "name": "instance", "type": "query", "label": "Instance", "datasource": DATASOURCE,
                    "query": {"query": "label_values(up, instance)", "refId": "instance"}, "refresh": 2,
                    "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": panels,
    }  # fmt: skip


def _panel(panel: Panel, number: int, left: int, top: int) -> dict[str, Any]:
    meanings = {name: BY_NAME[name].meaning for query in panel.queries for name in named_in(query.expression)}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": "\n".join(f"{name}: {meaning}" for name, meaning in meanings.items()),
        "datasource": DATASOURCE,
        "gridPos": {"x": left, "y": top, "w": panel.width, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if panel.kind == "stat" else {},
        "targets": [
            {
                "refId": chr(ord("A") + index), "datasource": DATASOURCE,
                "expr": query.expression, "legendFormat": query.legend,
            }
            for index, query in enumerate(panel.queries)
        ],
    }  # fmt: skip


def render() -> str:
    """Return the dashboard's JSON."""
    return json.dumps(data(), indent=1, ensure_ascii=False) + "\n"
