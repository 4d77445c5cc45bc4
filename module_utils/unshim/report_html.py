"""A report as one HTML page that needs nothing else: no network, no other file, and no script to be read."""

from __future__ import annotations

import base64
import hashlib
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from . import report_bars, report_text, timeline
from .plan_images import human_size
from .report_model import STATUSES, Report

PAGE = Path(__file__).parent / "report_page"
STATUS_WORDS = {
    "failed": ("failed", "✕", "the move failed in this run"),
    "blocked": ("blocked", "■", "something has to be done first"),
    "moving": ("half-way", "◐", "its move was begun and has not ended"),
    "prepared": ("prepared", "◔", "containerd is ready, pods still run on Docker"),
    "ready": ("ready", "○", "can be moved"),
    "done": ("done", "✓", "runs on containerd"),
    "unknown": ("not seen", "?", "could not be looked at"),
}
SEVERITY_WORDS = {"block": "blocks", "warn": "warning", "info": "note"}
STAGE_WORDS = {"prepare": "prepare", "drain": "drain", "switch": "switch", "verify": "verify", "restore": "restore"}
SOURCE_WORDS = {
    "dockershim": "dockershim",
    "cri-dockerd": "cri-dockerd",
    "containerd": "containerd",
    "none": "no kubelet",
}
# A browser is asked to lay out no more of a name, value or message than this at once; all of it is in the JSON.
LONGEST = 20_000
DIFF_CLASSES = {"+": "added", "-": "removed", "@": "hunk", "\\": "hunk"}


def render(report: Report) -> str:
    """Return the page."""
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    script = (PAGE / "script.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(
        bytes=human_size,
        clock=report_text.clock,
        diff=diff_parts,
        duration=timeline.duration,
        iso=report_text.iso,
        moment=report_text.moment,
    )
    return environment.get_template("page.html.j2").render(
        report=report,
        chart=report_bars.chart(report.nodes),
        statuses=STATUSES,
        status_words=STATUS_WORDS,
        severity_words=SEVERITY_WORDS,
        stage_words=STAGE_WORDS,
        source_words=SOURCE_WORDS,
        # Written by hand beside this file, and hashed, so that nothing else on the page can ever act.
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
        overview=overview(report),
        number_of={node.host: number for number, node in enumerate(report.nodes, 1)},
    )


def overview(report: Report) -> list[dict[str, Any]]:
    """Return the parts of the bar that shows how far the fleet is; all of them are 1000 units wide."""
    total = sum(report.counts.values())
    parts, x = [], 0.0
    for status in ("done", "moving", "prepared", "ready", "blocked", "failed", "unknown"):
        count = report.counts.get(status, 0)
        if count:
            width = 1000.0 * count / total
            parts.append({"status": status, "count": count, "x": round(x, 2), "width": round(width, 2)})
            x += width
    return parts


def diff_parts(text: str) -> list[tuple[str, str]]:
    """Return a unified diff as (class, lines) in order; neighbours of one kind are one part."""
    lines = text.splitlines(keepends=True)
    head = 2 if text.startswith("--- ") else 0  # the names of the file before and after
    kinds = ["hunk" if at < head else DIFF_CLASSES.get(line[:1], "context") for at, line in enumerate(lines)]
    return [
        (kind, "".join(line for _, line in part))
        for kind, part in groupby(zip(kinds, lines, strict=True), lambda item: item[0])
    ]


def _shown(value: Any) -> Any:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = value if len(value) <= LONGEST else value[:LONGEST] + f"… ({len(value) - LONGEST} more characters)"
    return report_text.visible(text)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
