"""Rules for alerts, recording rules and dashboards that use what only Docker's nodes have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .model import Hit, Json, Path, Rule, ScanSettings
from .texts import as_json, as_yaml, config_texts, walk

RULES = (
    Rule(
        "promql-docker-names",
        "warn",
        "asks Prometheus for names that only Docker's nodes have",
        "The series or label value does not exist on a containerd node: an alert never fires again, a panel is empty.",
        "Use kubelet_runtime_operations_*, the labels namespace, pod and container, and /stats/summary for file systems.",
        "kubernetes/website#30681; google/cadvisor#3432; google/cadvisor#2666; kubernetes pkg/kubelet/dockershim/metrics; "
        "docs.docker.com/engine/daemon/prometheus",
    ),
)
#: In each: series and selectors, with what there is on containerd being left out. ``container!="POD"`` holds on both.
_NAMES = re.compile(
    r"\bkubelet_docker_operations\w*"
    r"|\bengine_daemon_\w+"
    r"|\bcontainer_fs_\w+"
    r"|\bcontainer_label_io_kubernetes_\w+"
    r"|\bdocker_(?:container|network|volume)_\w+"
    r"|\b(?:container|container_name)\s*=~?\s*\"POD\""
    r"|\bname\s*=~\s*\"\^?k8s_[^\"]*\""
    r"|\bid\s*=~\s*\"\^?/docker/[^\"]*\""
    r"|\bname\s*=~?\s*\"docker\.service\""
    r"|\bcontainer_runtime_version\s*=~\s*\"\^?docker:[^\"]*\""
)


def check_object(data: Json, _settings: ScanSettings) -> Iterator[Hit]:
    if data.get("kind") == "PrometheusRule":
        yield from _expressions(data.get("spec"), ("spec",))
        return
    for path, key, content in config_texts(data):
        if not _NAMES.search(content.replace('\\"', '"')):
            continue
        parsed = [as_json(content)] if key.endswith(".json") else as_yaml(content)
        found = [hit.value for one in parsed for hit in _expressions(one, ())]
        for value in dict.fromkeys(found):
            yield Hit("promql-docker-names", path, value)


def _expressions(value: Any, start: Path) -> Iterator[Hit]:
    """Yield hits in what Prometheus evaluates (``expr``; a dashboard's ``query``): descriptions may say what they like."""
    for path, one in walk(value, start):
        if path and path[-1] in ("expr", "query") and isinstance(one, str):
            match = _NAMES.search(one)
            if match:
                yield Hit("promql-docker-names", path, match.group(0))
