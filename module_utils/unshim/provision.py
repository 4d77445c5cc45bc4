"""What becomes of a node that is provisioned from afar, and what the modules that do it are asked for. Pure.

The stages and their arguments are those of ``roles/containerd``; a test holds the two side by side.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from . import plan_text, records
from .plan_model import Plan, Settings

JOURNAL_ROOT = "/var/lib/unshim"
CRI_TIMEOUT = 30.0  # s
#: From bad to good. A node that was not reached, or not as root, is neither.
STATUSES = ("failed", "blocked", "not-reached", "changed", "unchanged")


@dataclass(frozen=True)
class Outcome:
    """How it went with one node."""

    node: str
    status: str  # of STATUSES
    reason: str = ""  # of the first three: what is wrong and what to do
    changes: tuple[str, ...] = ()  # what was done, or would be
    warnings: tuple[str, ...] = ()
    diffs: tuple[dict[str, str], ...] = ()  # of the modules, as Ansible's --diff takes them
    runtime: str = ""  # what answered as a kubelet would ask: "containerd 1.7.24"
    elapsed: float = 0.0  # s
    commands: int = 0  # that were run on the node


def install_arguments(made: Plan, settings: Settings) -> dict[str, Any]:
    """Return what ``containerd_install`` is asked for, all its arguments."""
    repository = records.to_data(made.repository)
    return {
        "state": "present",
        "packages": [{"name": package.name, "version": package.after} for package in made.packages],
        "repository": {**repository, "key_content": None} if repository else None,
        "archives": records.to_data(made.archives),
        "hold": bool(settings.containerd_version),
        "journal_root": JOURNAL_ROOT,
    }


def config_arguments(made: Plan, settings: Settings) -> dict[str, Any]:
    """Return what ``containerd_config`` is asked for, all its arguments."""
    plan = records.to_data(made)
    return {
        "state": "present",
        "files": [change for change in plan["files"] if change["stage"] == "prepare"],
        "copies": [copy for copy in plan["copies"] if copy["stage"] == "prepare"],
        "modules": plan["modules"],
        "earlier": [],
        "sysctls": plan["sysctls"],
        "containerd_version": "",
        "socket": settings.cri_endpoint.removeprefix("unix://"),
        "cri_api": plan["cri_api"],
        "cri_timeout": CRI_TIMEOUT,
        "journal_root": JOURNAL_ROOT,
    }


def install_changes(result: dict[str, Any]) -> list[str]:
    """Return in words what ``containerd_install`` did, or would do."""
    said = []
    if result["repository"]:
        said.append(f"add the package repository in {result['repository']}")
    said += [f"complete the installation of {name}, {how}" for name, how in sorted(result["completed"].items())]
    for name, versions in sorted(result["packages"].items()):
        # In a dry run, a version that only lists read anew would tell is "".
        if versions["before"] != versions["after"] or not versions["after"]:
            old = f" in place of {versions['before']}" if versions["before"] else ""
            said.append(f"install {name} {versions['after']}".rstrip() + old)
    said += [f"install {name} {version}, which it needs" for name, version in sorted(result["also_installed"].items())]
    said += [f"hold {name} in its version" for name in result["held"]]
    return said


def config_changes(result: dict[str, Any]) -> list[str]:
    """Return in words what ``containerd_config`` did, or would do."""
    said = [f"write {path}" for path in result["changed_files"]]
    said += [f"load the kernel module {name}" for name in result["loaded_modules"]]
    said += [f"set {name} = {value}" for name, value in sorted(result["set_sysctls"].items())]
    if result["restarted"]:
        said.append("start containerd with it")
    if result["changed"] and not said:
        said.append("enable containerd at boot")
    return said


def runtime(result: dict[str, Any]) -> str:
    """Return what answered the CRI gate of ``containerd_config``, "" if it was not asked."""
    cri = result.get("cri") or {}
    return f"{cri.get('runtime_name', '')} {cri.get('runtime_version', '')}".strip()


def blocked(made: Plan) -> Outcome | None:
    """Return the outcome of a node whose plan has blockers, in the plan's words, or is not one to carry out from afar."""
    if made.blockers:
        return Outcome(made.node, "blocked", plan_text.blockers(made))
    if made.archives:
        names = ", ".join(archive.name for archive in made.archives)
        return Outcome(
            made.node,
            "blocked",
            f"{made.node} cannot get release archives ({names}) without Python; nothing was changed.\n"
            "Use provision.yml for it, or set unshim_containerd_method to package or docker_repo.",
        )
    return None


def foreseen(made: Plan) -> list[str]:
    """Return what a plan warns of: what it cannot know before a package is there, above all."""
    return [f"{one.message}. {one.remedy}".strip() for one in made.findings if one.severity == "warn"]


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """Return 2 if a node failed or is blocked, 3 if none did and one was not reached, 0 if all are as they should be."""
    statuses = {outcome.status for outcome in outcomes}
    if statuses & {"failed", "blocked"}:
        return 2
    return 0 if statuses and "not-reached" not in statuses else 3


def render(outcomes: Iterable[Outcome], dry: bool, diff: bool = False) -> str:
    """Return what is printed in the end: each node with what was done, then the count."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.node)
    lines: list[str] = []
    for outcome in ordered:
        lines += _node(outcome, dry, diff)
    words = {
        "changed": "would be changed" if dry else "changed",
        "unchanged": "nothing to do",
        "not-reached": "not reached",
    }
    counts = [(status, sum(outcome.status == status for outcome in ordered)) for status in reversed(STATUSES)]
    told = ", ".join(f"{number} {words.get(status, status)}" for status, number in counts if number)
    lines.append(f"{len(ordered)} nodes: {told}." if len(ordered) != 1 else f"1 node: {told.removeprefix('1 ')}.")
    return "\n".join(lines) + "\n"


def _node(outcome: Outcome, dry: bool, diff: bool) -> list[str]:
    name = outcome.node
    if outcome.status in ("failed", "not-reached"):
        what = "failed" if outcome.status == "failed" else "was not reached"
        lines = [f"{name} {what}: {line}" if not number else f"  {line}" for number, line in enumerate(_lines(outcome))]
    elif outcome.status == "blocked":
        lines = _lines(outcome)  # they name the node
    else:
        said = {"changed": "would be changed" if dry else "changed", "unchanged": "nothing to do"}[outcome.status]
        lines = [f"{name}: {said}" + (f"; {outcome.runtime} answers" if outcome.runtime else "")]
    lines += [f"  {change}" for change in outcome.changes]
    lines += [f"  warning: {warning}" for warning in outcome.warnings]
    if diff:
        lines += [f"    {line}".rstrip() for one in outcome.diffs for line in _diff(one)]
    return lines


def _diff(one: dict[str, str]) -> list[str]:
    before, after = one["before"].splitlines(), one["after"].splitlines()
    return list(difflib.unified_diff(before, after, one["before_header"], one["after_header"], n=2, lineterm=""))


def _lines(outcome: Outcome) -> list[str]:
    return outcome.reason.splitlines() or ["no reason was given"]
