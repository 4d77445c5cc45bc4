"""A plan's changes for a report, one by one; nodes that change in the very same way share one list."""

from __future__ import annotations

import difflib
import shlex

from . import plan_text
from .kubelet_command_line import without_secrets
from .plan_model import STAGES, Plan
from .report_model import Change, PlanReport


def changes(plan: Plan) -> tuple[Change, ...]:
    """Return what will change, stage by stage, and what is left behind. Images are not in it, they are each node's own."""
    found: list[Change] = []
    for stage in STAGES:
        found += _of_stage(plan, stage)
    for item in plan.not_carried:
        value = f": {item.value}" if item.value.startswith("--") else f" = {item.value}"
        found.append(Change("", "not carried over", item.source + value, item.reason))
    return tuple(found)


def group(by_host: dict[str, tuple[Change, ...]]) -> tuple[PlanReport, ...]:
    """Return the different plans, the one of the most nodes first; a host without changes has none."""
    hosts: dict[tuple[Change, ...], list[str]] = {}
    for host, its in by_host.items():
        if its:
            hosts.setdefault(its, []).append(host)
    order = sorted(hosts.items(), key=lambda item: -len(item[1]))
    return tuple(PlanReport(number, tuple(names), its) for number, (its, names) in enumerate(order, 1))


def _of_stage(plan: Plan, stage: str) -> list[Change]:
    found = [
        Change(
            stage, "package", f"{package.name}: {package.before or 'not installed'} -> {package.after}", package.reason
        )
        for package in plan.packages
        if package.stage == stage
    ]
    if stage == "prepare":
        found += _prepared_once(plan)
    for file in plan.files:
        if file.stage == stage:
            kind = "new file" if file.before is None else "removed file" if file.after is None else "file"
            found.append(Change(stage, kind, file.path, file.reason, plan_text.unified_diff(file)))
    found += [
        Change(stage, "copy", f"{copy.path} (from {copy.source}, mode {copy.mode})", copy.reason)
        for copy in plan.copies
        if copy.stage == stage
    ]
    if stage == "switch":
        found += _switched_once(plan)
    found += [
        Change(stage, "unit", f"{unit.action} {unit.unit}: {unit.before} -> {unit.after}", unit.reason)
        for unit in plan.units
        if unit.stage == stage
    ]
    return found


def _prepared_once(plan: Plan) -> list[Change]:
    found = []
    if plan.repository:
        added = "".join(f"+{line}\n" for line in plan.repository.content.splitlines())
        found.append(Change("prepare", "repository", plan.repository.path, plan.repository.url, added))
    for archive in plan.archives:
        place = archive.url or archive.src or archive.path
        found.append(
            Change("prepare", "archive", f"{archive.name} {archive.version}", f"{place}, SHA-256 {archive.sha256}")
        )
    if plan.modules:
        found.append(Change("prepare", "kernel modules", ", ".join(plan.modules)))
    found += [Change("prepare", "sysctl", f"{name} = {value}") for name, value in sorted(plan.sysctls.items())]
    return found


def _switched_once(plan: Plan) -> list[Change]:
    found = []
    if plan.stop_containers:
        found.append(Change("switch", "containers", f"stopped: {', '.join(plan.stop_containers)}", "by your leave"))
    if plan.kubelet_command_line_before != plan.kubelet_command_line_after:
        old = without_secrets(plan.kubelet_command_line_before)
        new = without_secrets(plan.kubelet_command_line_after)
        lines = [
            line[0] + shlex.quote(line[2:].rstrip("\n")) for line in difflib.ndiff(old, new) if not line.startswith("?")
        ]
        found.append(Change("switch", "kubelet command line", "", "", "\n".join(lines) + "\n"))
    if not plan.done:
        found += [Change("switch", "annotation", f"{note.name} = {note.after}") for note in plan.annotations]
    return found
