"""An audit as a table for a terminal, and below it what stands in the way, each kind once."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .audit_model import Audit, Node
from .plan_model import SEVERITIES

NARROWEST = 80  # columns
MOST_NAMED = 5  # nodes named of each kind of finding; the JSON has all
_STYLES = {"ready": "green", "moved": "cyan", "blocked": "red", "unknown": "yellow"}
_TITLES = {"block": "WHAT BLOCKS", "warn": "WARNINGS"}


def render(audit: Audit, width: int = 120, colour: bool = False) -> str:
    """Return the audit as text for a terminal of ``width`` columns."""
    file = io.StringIO()
    console = Console(
        file=file, width=max(width, NARROWEST), force_terminal=colour, color_system="standard" if colour else None,
        highlight=False, legacy_windows=False,
    )  # fmt: skip
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("NODE", "VERDICT", "KUBELET", "RUNTIME", "SYSTEM", "FINDINGS"):
        table.add_column(title, overflow="fold", no_wrap=title in ("VERDICT", "KUBELET"))
    for node in audit.nodes:
        style = _STYLES[node.verdict]
        table.add_row(escape(node.node), f"[{style}]{node.verdict}[/]", *map(escape, _cells(node)))
    console.print(table)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    for text in _below(audit):
        indent = " " * (len(text) - len(text.lstrip()) + 3 * text.lstrip().startswith("=>"))
        lines += textwrap.wrap(text, max(width, NARROWEST), subsequent_indent=indent, break_on_hyphens=False) or [""]
    return "\n".join(lines) + "\n"


def summary(audit: Audit) -> str:
    """Return the fleet in one line."""
    counts = ", ".join(f"{number} {verdict}" for verdict, number in audit.counts.items() if number)
    number = len(audit.nodes)
    return f"{number} node{'s' * (number != 1)}: {counts or 'none'}"


def _cells(node: Node) -> tuple[str, str, str, str]:
    if node.runtime is None:
        return "", "", "", f"{node.status}: {node.reason}" if node.reason else node.status
    runtime = node.runtime
    source = {"none": "no kubelet", "containerd": f"containerd {runtime.containerd}"}.get(
        runtime.source, f"{runtime.source} {runtime.docker}".rstrip()
    )
    ids = dict.fromkeys(finding.id for finding in node.findings if finding.severity != "info")
    said = ([f"partial: {node.reason}"] if node.status == "partial" else []) + [", ".join(ids)]
    return runtime.kubelet, source.rstrip(), runtime.os, "; ".join(part for part in said if part)


def _below(audit: Audit) -> Iterable[str]:
    yield ""
    yield summary(audit)
    for severity in SEVERITIES[:2]:
        kinds: dict[str, list[tuple[Node, str, str]]] = {}
        for node in audit.nodes:
            for finding in node.findings:
                if finding.severity == severity and node.status == "seen":
                    kinds.setdefault(finding.id, []).append((node, finding.message, finding.remedy))
        if kinds:
            yield ""
            yield _TITLES[severity]
        for kind, found in sorted(kinds.items(), key=lambda one: (-len(one[1]), one[0])):
            yield f"  [{kind}] on {_named(node.node for node, _, _ in found)}"
            differ = len({message for _, message, _ in found}) > 1
            yield f"      {found[0][1]}" + (f" (of {found[0][0].node}; the others' are like it)" if differ else "")
            if found[0][2]:
                yield f"      => {found[0][2]}"
    unseen: dict[tuple[str, str], list[str]] = {}
    for node in audit.nodes:
        if node.verdict == "unknown":
            unseen.setdefault((node.status, node.remedy), []).append(node.node)
    if unseen:
        yield ""
        yield "NOT SEEN, OR NOT WHOLLY"
    for (status, remedy), names in sorted(unseen.items()):
        yield f"  [{status}] {_named(names)}"
        yield f"      => {remedy}"


def _named(names: Iterable[str]) -> str:
    listed = list(dict.fromkeys(names))
    more = len(listed) - MOST_NAMED
    return ", ".join(listed[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
