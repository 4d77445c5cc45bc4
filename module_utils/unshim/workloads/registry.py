"""Every rule there is. ``docs/scan.md`` is made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from . import (
    rules_agents,
    rules_ci,
    rules_commands,
    rules_docker_host,
    rules_logs,
    rules_metrics,
    rules_mounts,
    rules_runtime,
)
from .model import Hit, Json, Rule, ScanSettings
from .pod_specs import PodSpec

#: By the heading that docs/scan.md gives them.
GROUPS: Mapping[str, tuple[Rule, ...]] = {
    "Mounts": rules_mounts.RULES,
    "Addresses of a daemon": rules_docker_host.RULES,
    "Commands and probes": rules_commands.RULES,
    "Agents": rules_agents.RULES,
    "Logs": rules_logs.RULES,
    "Metrics": rules_metrics.RULES,
    "CI systems": rules_ci.RULES,
    "Runtimes and images": rules_runtime.RULES,
}
RULES: tuple[Rule, ...] = tuple(rule for rules in GROUPS.values() for rule in rules)
BY_ID: Mapping[str, Rule] = {rule.id: rule for rule in RULES}

POD_CHECKS: tuple[Callable[[PodSpec, ScanSettings], Iterator[Hit]], ...] = (
    rules_mounts.check_pod,
    rules_docker_host.check_pod,
    rules_commands.check_pod,
    rules_agents.check_pod,
    rules_runtime.check_pod,
)
OBJECT_CHECKS: tuple[Callable[[Json, ScanSettings], Iterator[Hit]], ...] = (
    rules_mounts.check_object,
    rules_commands.check_object,
    rules_agents.check_object,
    rules_logs.check_object,
    rules_metrics.check_object,
    rules_ci.check_object,
    rules_runtime.check_object,
)
