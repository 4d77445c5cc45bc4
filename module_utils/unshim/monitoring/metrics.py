"""What there is to measure on a node that runs containerd: the names, who serves them, and which releases have them.

Names of containerd's are what go-metrics makes of containerd's own (a counter gets ``_total``, a timer ``_seconds``), so a
few have a suffix twice. Sources: containerd pkg/cri/server/metrics.go (1.6), pkg/cri/sbserver/metrics.go (1.7),
internal/cri/server/metrics.go and internal/cri/server/images/metrics.go (2.x), metadata/gc and plugins/gc/metrics.go;
grpc-ecosystem/go-grpc-prometheus server_metrics.go; kubernetes pkg/kubelet/metrics/metrics.go. tests/monitoring asks real
containerds and compares.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

RELEASES = ("1.6", "1.7", "2.1")  # of containerd, each with a recorded scrape
TAKEN_FROM = ("containerd", "kubelet", "unshim", "prometheus")


@dataclass(frozen=True)
class Metric:
    """One metric; of a histogram the name without _bucket, _sum and _count."""

    name: str
    kind: str  # "counter", "gauge", "histogram", as in the exposition format
    served_by: str  # one of TAKEN_FROM; "unshim" is the textfile collector
    meaning: str
    releases: tuple[str, ...] = RELEASES  # of containerd, for what containerd serves
    is_zero_at_first: bool = False  # False: not there before the first event, so a first one is no increase


def _containerd(name: str, kind: str, meaning: str, *releases: str, zero: bool = False) -> Metric:
    return Metric(name, kind, "containerd", meaning, releases or RELEASES, zero)


METRICS: tuple[Metric, ...] = (
    Metric("up", "gauge", "prometheus", "Whether the last scrape of a target worked"),
    _containerd("containerd_build_info_total", "counter", "Version and revision", zero=True),
    _containerd("process_start_time_seconds", "gauge", "When containerd was started", zero=True),
    _containerd(
        "grpc_server_handled_total", "counter", "Calls by service, method and status; CRI's among them", zero=True
    ),
    _containerd("containerd_cri_image_pulls_total", "counter", "Image pulls by success and failure", "1.7"),
    _containerd("containerd_cri_sandboxed_image_pulls_total", "counter", "Image pulls by success and failure", "2.1"),
    _containerd("containerd_cri_in_progress_image_pulls_total", "gauge", "Image pulls going on", "1.7", zero=True),
    _containerd(
        "containerd_cri_sandboxed_in_progress_image_pulls_total",
        "gauge",
        "Image pulls going on",
        "1.7",
        "2.1",
        zero=True,
    ),
    _containerd("containerd_cri_sandbox_runtime_create_seconds", "histogram", "Time to create a pod's sandbox"),
    _containerd("containerd_cri_container_create_seconds", "histogram", "Time to create a container"),
    _containerd("containerd_cri_container_start_seconds", "histogram", "Time to start a container"),
    _containerd("containerd_cri_sandbox_create_network_seconds", "histogram", "Time of CNI ADD", zero=True),
    _containerd("containerd_cri_sandbox_delete_network_seconds", "histogram", "Time of CNI DEL", zero=True),
    _containerd("containerd_cri_network_plugin_operations_total_total", "counter", "Calls of CNI by operation"),
    _containerd("containerd_cri_network_plugin_operations_errors_total_total", "counter", "Failed calls of CNI"),
    _containerd("containerd_cri_network_plugin_operations_duration_seconds_seconds", "histogram", "Time of CNI"),
    _containerd(
        "containerd_cri_container_events_dropped_total", "counter", "Events the kubelet missed", "2.1", zero=True
    ),
    _containerd("containerd_gc_collections_total", "counter", "Garbage collections by success and fail", "1.7", "2.1"),
    Metric("kubelet_runtime_operations_total", "counter", "kubelet", "What the kubelet asked of the runtime"),
    Metric("kubelet_runtime_operations_errors_total", "counter", "kubelet", "What the runtime failed to do"),
    Metric("kubelet_pleg_relist_duration_seconds", "histogram", "kubelet", "Time to list a node's pods"),
    Metric("unshim_collector_run_timestamp_seconds", "gauge", "unshim", "When the collector ran"),
    Metric("unshim_collector_part_success", "gauge", "unshim", "Whether a part of the collector could look"),
    Metric(
        "unshim_kubelet_runtime_info",
        "gauge",
        "unshim",
        "What the running kubelet uses: docker, cri-dockerd, containerd",
    ),
    Metric("unshim_containerd_info", "gauge", "unshim", "Version of the containerd that is installed"),
    Metric("unshim_containerd_filesystem_size_bytes", "gauge", "unshim", "Size of the disk of containerd's data"),
    Metric("unshim_containerd_filesystem_avail_bytes", "gauge", "unshim", "Room on that disk"),
    Metric("unshim_migration_state", "gauge", "unshim", "1 for the state in the node's journal, 0 for the others"),
    Metric("unshim_migration_state_timestamp_seconds", "gauge", "unshim", "When that state was reached"),
    Metric("unshim_docker_active", "gauge", "unshim", "Whether the node's own Docker runs"),
    Metric("unshim_docker_data_bytes", "gauge", "unshim", "What is in Docker's data directory"),
    Metric("unshim_docker_data_measured_timestamp_seconds", "gauge", "unshim", "When that was added up"),
    Metric("unshim_dind_up", "gauge", "unshim", "Whether a Docker in a container answers"),
    Metric("unshim_dind_info", "gauge", "unshim", "Version and storage driver of a Docker in a container"),
    Metric("unshim_dind_escaped_processes", "gauge", "unshim", "Its processes outside of the pod's cgroup, and limits"),
    Metric("unshim_dind_filesystem_size_bytes", "gauge", "unshim", "Size of the disk of its data"),
    Metric("unshim_dind_filesystem_avail_bytes", "gauge", "unshim", "Room on that disk"),
)
BY_NAME = {metric.name: metric for metric in METRICS}


def named_in(expression: str) -> tuple[str, ...]:
    """Return the metrics that a PromQL expression names, of a histogram's series the histogram, in order.

    What is left of an expression without strings, selectors, ranges and lists of labels is numbers, operators, functions,
    which a parenthesis follows, and metrics.
    """
    rest = re.sub(r'"(?:\\.|[^"\\])*"', "", expression)
    rest = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", rest)
    rest = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", rest)
    found = []
    for match in re.finditer(r"(?<![\w.:])([a-zA-Z_:][\w:]*)\s*(\(?)", rest):
        name, is_function = match[1], bool(match[2])
        if not is_function and name not in ("and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"):
            found.append(metric_of(name))
    return tuple(dict.fromkeys(found))


def metric_of(series: str) -> str:
    """Return the metric that a series belongs to: x for x_bucket, x_sum and x_count if x is a histogram we know."""
    base = re.sub(r"_(bucket|sum|count)$", "", series)
    return base if base in BY_NAME and BY_NAME[base].kind == "histogram" else series
