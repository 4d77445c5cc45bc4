"""A plan as text for a terminal of 100 columns, and file changes as unified diffs. Secrets are never in it."""

from __future__ import annotations

import difflib
import shlex
import textwrap

from .kubelet_command_line import without_secrets
from .plan_images import human_size
from .plan_model import FileChange, FileCopy, Finding, Plan

WIDTH = 100
HIDDEN = "(content not shown: it may hold a secret)"


def unified_diff(change: FileChange) -> str:
    """Return a change of a file as a unified diff; only that it changes, where its content is secret."""
    old = "/dev/null" if change.before is None else change.path
    new = "/dev/null" if change.after is None else change.path
    if change.secret:
        return f"--- {old}\n+++ {new}\n{HIDDEN}\n"
    before = (change.before or "").splitlines(keepends=True)
    after = (change.after or "").splitlines(keepends=True)
    lines = []
    for line in difflib.unified_diff(before, after, old, new, n=2):
        lines.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    return "".join(lines).replace("\r\n", "\n")


def ansible_diff(change: FileChange) -> dict[str, str]:
    """Return a change of a file in the shape of Ansible's diff mode."""
    hidden = change.secret
    return {
        "before_header": change.path if change.before is not None else f"{change.path} (absent)",
        "after_header": change.path if change.after is not None else f"{change.path} (absent)",
        "before": (HIDDEN if hidden and change.before is not None else change.before or ""),
        "after": (HIDDEN if hidden and change.after is not None else change.after or ""),
    }


def ansible_copy_diff(copy: FileCopy) -> dict[str, str]:
    """Return a copy in the shape of Ansible's diff mode; what is in it is not known here."""
    after = f"copied from {copy.source}, mode {copy.mode}\n"
    return {"before_header": copy.path, "after_header": copy.path, "before": "", "after": after}


def summary(plan: Plan) -> str:
    """Return the plan in one line."""
    if plan.blockers:
        ids = ", ".join(dict.fromkeys(finding.id for finding in plan.blockers))
        return f"{plan.node}: blocked ({ids})"
    if plan.done:
        runtime = f"containerd {plan.containerd_version}".strip()
        return f"{plan.node}: nothing to do, {'runs on' if plan.goal == 'migrate' else 'has'} {runtime}"
    parts = [
        _count(len(plan.packages), "package"),
        _count(len(plan.archives), "archive"),
        _count(len(plan.files) + len(plan.copies), "file"),
        _count(len({change.unit for change in plan.units}), "unit"),
        _count(len(plan.images), "image"),
    ]
    listed = ", ".join(part for part in parts if part) or "only the gates are left to pass"
    return f"{plan.node}: {_before(plan)} -> containerd {plan.containerd_version} ({listed})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}" if number else ""


def _before(plan: Plan) -> str:
    names = {"dockershim": "Docker (dockershim)", "cri-dockerd": "Docker (cri-dockerd)", "containerd": "containerd"}
    return names.get(plan.source, "no kubelet")


def blockers(plan: Plan) -> str:
    """Return what stops this node, one finding per paragraph, "" if nothing does."""
    if not plan.blockers:
        return ""
    untouched = "nothing was changed" if plan.state == "docker" else "nothing was changed now"
    lines = [f"{plan.node} cannot be moved yet; {untouched}."]
    for finding in plan.blockers:
        lines += _finding(finding)
    return "\n".join(lines)


def render(plan: Plan) -> str:
    """Return the whole plan: header, what blocks, what changes stage by stage, what is left behind, warnings."""
    lines = [*_header(plan)]
    if plan.blockers:
        lines += ["", f"BLOCKED: {_count(len(plan.blockers), 'reason')}. Nothing will be changed until each is gone."]
        for finding in plan.blockers:
            lines += _finding(finding)
    if plan.done:
        lines += ["", "Nothing to do."]
    elif not (
        plan.blockers
        or plan.packages
        or plan.archives
        or plan.files
        or plan.copies
        or plan.units
        or plan.images
        or plan.modules
        or plan.sysctls
    ):
        lines += ["", "Nothing is left to change; the gates are still to be passed."]
    for number, (stage, title) in enumerate(
        (("prepare", "PREPARE: pods keep running"), ("switch", "SWITCH: after the drain")), 1
    ):
        body = _stage(plan, stage)
        if body:
            lines += ["", f"{number}. {title}", *body]
    if plan.not_carried:
        lines += ["", "NOT CARRIED OVER"]
        for item in plan.not_carried:
            lines += _wrapped(
                f"{item.source} = {item.value}" if not item.value.startswith("--") else f"{item.source}: {item.value}",
                "  - ",
            )
            lines += _wrapped(item.reason, "      ", "      ")
    others = [finding for finding in plan.findings if finding.severity != "block"]
    for severity, title in (("warn", "WARNINGS"), ("info", "NOTES")):
        chosen = [finding for finding in others if finding.severity == severity]
        if chosen:
            lines += ["", title]
            for finding in chosen:
                lines += _finding(finding)
    return "\n".join(lines) + "\n"


def _header(plan: Plan) -> list[str]:
    name = plan.node if plan.node == plan.node_name else f"{plan.node} (Kubernetes node {plan.node_name})"
    role = ", control plane" if plan.is_control_plane else ""
    lines = [f"PLAN for {name}{role}"]
    if plan.kubelet_version:
        lines.append(f"  kubelet        {plan.kubelet_version}, speaks CRI {' and '.join(plan.cri_api) or 'unknown'}")
    after = f"containerd {plan.containerd_version}".strip()
    lines.append(
        f"  runtime        {after if plan.done or plan.source == 'containerd' else f'{_before(plan)} -> {after}'}"
    )
    lines.append(f"  CRI endpoint   {plan.cri_endpoint}")
    if plan.cgroup_driver:
        lines.append(f"  cgroup driver  {plan.cgroup_driver}")
    if plan.sandbox_image:
        lines.append(f"  sandbox image  {plan.sandbox_image}")
    if plan.containerd_root:
        when = ", at the switch" if plan.goal == "migrate" else ""
        lines.append(f"  data           {plan.containerd_root_now} -> {plan.containerd_root}{when}")
    elif plan.containerd_root_now != "/var/lib/containerd":
        lines.append(f"  data           {plan.containerd_root_now}")
    lines.append(f"  state          {plan.state}")
    return lines


def _finding(finding: Finding) -> list[str]:
    lines = _wrapped(f"[{finding.id}] {finding.message}", "  - ")
    if finding.remedy:
        lines += _wrapped(finding.remedy, "      => ", "         ")
    return lines


def _wrapped(text: str, first: str, further: str = "    ") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
    ) or [first.rstrip()]


def _stage(plan: Plan, stage: str) -> list[str]:
    lines: list[str] = []
    packages = [change for change in plan.packages if change.stage == stage]
    if packages:
        lines.append("  packages")
        for package in packages:
            before = package.before or "not installed"
            lines += _wrapped(
                f"{package.name}: {before} -> {package.after or 'what the package manager offers'} ({package.reason})",
                "    ",
                "      ",
            )
    if stage == "prepare" and plan.repository:
        repository = plan.repository
        lines.append("  package repository, if the node does not have it")
        lines += _wrapped(f"{repository.path} (new: {repository.url})", "    ", "      ")
        lines += [f"      + {line}" for line in repository.content.splitlines()]
        checked = f"with fingerprint {repository.fingerprint}" if repository.fingerprint else "not checked"
        lines += _wrapped(f"{repository.key_path} (new: its key, from {repository.key}, {checked})", "    ", "      ")
    if stage == "prepare" and plan.archives:
        lines.append("  release archives")
        for archive in plan.archives:
            place = archive.url or (f"{archive.src} on the controller" if archive.src else archive.path)
            where = f"/opt/unshim/{archive.name}-{archive.version}"
            lines += _wrapped(f"{archive.name} {archive.version} -> {where} (from {place})", "    ", "      ")
            lines.append(f"      SHA-256 {archive.sha256.lower()}")
    if stage == "prepare" and plan.modules:
        lines.append(f"  kernel modules to load: {', '.join(plan.modules)}")
    if stage == "prepare" and plan.sysctls:
        lines.append("  sysctls")
        lines += [f"    {name} = {value}" for name, value in sorted(plan.sysctls.items())]
    files = [change for change in plan.files if change.stage == stage]
    copies = [copy for copy in plan.copies if copy.stage == stage]
    if files or copies:
        lines.append("  files")
        for change in files:
            what = "new" if change.before is None else "removed" if change.after is None else "changed"
            lines += _wrapped(f"{change.path} ({what}: {change.reason})", "    ", "      ")
            lines += [f"      {line}".rstrip() for line in unified_diff(change).splitlines()]
    for copy in copies:
        lines += _wrapped(f"{copy.path} (copied from {copy.source}, mode {copy.mode}: {copy.reason})", "    ", "      ")
    if stage == "prepare" and plan.images:
        total = sum(image.size for image in plan.images)
        where = f", into {plan.containerd_root}" if plan.containerd_root else ""
        lines.append(f"  images from Docker to containerd: {len(plan.images)}, {human_size(total)}{where}")
        for image in plan.images:
            pinned = ", pinned" if image.pinned else ""
            lines.append(f"    {image.names[0] if image.names else image.id} ({human_size(image.size)}{pinned})")
    if stage == "switch" and plan.stop_containers:
        lines += _wrapped(f"containers stopped by your leave: {', '.join(plan.stop_containers)}", "  ", "    ")
    if stage == "switch" and plan.kubelet_command_line_before != plan.kubelet_command_line_after:
        old = without_secrets(plan.kubelet_command_line_before)
        new = without_secrets(plan.kubelet_command_line_after)
        lines.append("  kubelet command line")
        for line in difflib.ndiff(old, new):
            if not line.startswith("?"):
                lines.append(f"    {line[0]} {shlex.quote(line[2:])}".rstrip())
    units = [change for change in plan.units if change.stage == stage]
    if units:
        lines.append("  units")
        for unit in units:
            lines += _wrapped(
                f"{unit.action} {unit.unit}: {unit.before} -> {unit.after} ({unit.reason})", "    ", "      "
            )
    if stage == "switch" and plan.annotations and not plan.done:
        lines.append("  annotations of the node")
        lines += [f"    {note.name} = {note.after}" for note in plan.annotations]
    return lines
