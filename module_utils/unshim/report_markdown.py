"""A report as Markdown for a ticket: short, within what a ticket takes, and safe to paste."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from . import report_bars, report_text, timeline
from .plan_images import human_size
from .report_html import SEVERITY_WORDS, STATUS_WORDS
from .report_model import STATUSES, Change, NodeReport, Report, Rule

# GitHub takes 65,536 characters in a comment, Jira 32,767, GitLab 1,000,000: what is longer is cut, and says so.
LONGEST = 30_000
NODES = 100
NAMES = 10
NAME_LENGTH = 120
SAID_LENGTH = 600
DIFF_LINES = 60


def render(report: Report, longest: int = LONGEST) -> str:
    """Return the report; of one that is too long the end is left out, after a sentence that says so."""
    cut = "\n\nThe rest is left out, to fit into a ticket; the HTML page and the JSON have all of it.\n"
    text = ""
    for part in _parts(report):
        if len(text) + len(part) + len(cut) > longest:
            return text.rstrip("\n") + cut
        text += part
    return text


def code(text: str, longest: int = NAME_LENGTH) -> str:
    """Return text from a node as a code span, in which nothing means anything (CommonMark 6.1; in tables of GFM a bar does)."""
    line = " ".join(report_text.visible(text).split())
    if len(line) > longest:
        line = line[: longest - 1] + "…"
    line = line.replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}" if line else "` `"


def prose(text: str, longest: int = SAID_LENGTH) -> str:
    """Return a sentence from elsewhere as text: no markup, no HTML, no mention of anybody, on one line."""
    line = " ".join(report_text.visible(text).split())
    if len(line) > longest:
        line = line[: longest - 1] + "…"
    line = re.sub(r"([\\`*_{}\[\]<>#!|~$^])", r"\\\1", line).replace("&", "&amp;")
    # A word joiner that is not seen keeps @names from being called, and links from being made of #1 and addresses.
    return (
        line.replace("@", "@\u2060").replace("#", "#\u2060").replace("://", ":\u2060//").replace("www.", "www\u2060.")
    )


def fenced(text: str, language: str = "") -> str:
    """Return text as a block, however many backticks it has."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{report_text.visible(text).rstrip(chr(10))}\n{fence}\n"


def _parts(report: Report) -> Iterator[str]:
    total = len(report.nodes)
    yield f"# {prose(report.title, NAME_LENGTH)}\n\nMade {report_text.moment(report.generated)} by unshim. "
    yield f"**{report.counts['done']} of {total}** nodes run on containerd.\n\n"
    yield "| state | nodes | |\n|---|---:|---|\n"
    for status in STATUSES:
        if report.counts[status]:
            word, _, meaning = STATUS_WORDS[status]
            yield f"| {word} | {report.counts[status]} | {meaning} |\n"
    for status, heading in (("failed", "Failed in this run"), ("blocked", "Blocked")):
        yield from _reasons(heading, [node for node in report.nodes if node.status == status])
    if report.rules:
        yield "\n## Findings\n\n| rule | severity | where | what to do |\n|---|---|---|---|\n"
        for rule in report.rules:
            yield _rule(rule)
    yield from _nodes(report.nodes)
    yield from _timeline(report)
    for plan in report.plans:
        yield f"\n## Changes {plan.number}: {_count(len(plan.hosts), 'node')}\n\n{_names(plan.hosts)}\n\n"
        for change in plan.changes:
            yield _change(change)


def _reasons(heading: str, nodes: list[NodeReport]) -> Iterator[str]:
    if nodes:
        yield f"\n## {heading}\n\n"
    for node in nodes:
        bundle = f" What tells why: {code(node.bundle)} on the controller." if node.bundle else ""
        yield f"- {code(node.host)}: {prose(node.reason)}{bundle}\n"
        for finding in node.findings:
            if node.status == "blocked" and finding.severity == "block" and finding.remedy:
                yield f"  - {code(finding.id)}: {prose(finding.remedy)}\n"


def _rule(rule: Rule) -> str:
    objects = [
        one.name if one.kind == "Node" else f"{one.kind} {one.namespace + '/' if one.namespace else ''}{one.name}"
        for affected in rule.affected
        for one in affected.objects
    ]
    instead = next((affected.instead for affected in rule.affected if affected.instead), "")
    allowed = f", {rule.allowed} allowed" if rule.allowed else ""
    return (
        f"| {code(rule.rule)} | {SEVERITY_WORDS[rule.severity]}{allowed} | {rule.objects}: {_names(objects)} "
        f"| {prose(instead)} |\n"
    )


def _nodes(nodes: tuple[NodeReport, ...]) -> Iterator[str]:
    order = sorted(nodes, key=lambda node: STATUSES.index(node.status))
    yield "\n## Nodes\n\n| node | state | runtime | kubelet | images | out of service |\n|---|---|---|---|---:|---:|\n"
    for node in order[:NODES]:
        last = node.attempts[-1] if node.attempts else None
        runtime = " → ".join(one for one in (node.runtime, node.target) if one) if node.status != "unknown" else ""
        images = f"{len(node.images)}, {human_size(sum(image.size for image in node.images))}" if node.images else ""
        yield (
            f"| {code(node.host)} | {STATUS_WORDS[node.status][0]} | {prose(runtime)} | {prose(node.kubelet_version)} "
            f"| {images} | {_words(last.out_of_service if last else None)} |\n"
        )
    if len(order) > NODES:
        yield f"\n{_count(len(order) - NODES, 'more node')}: the HTML page has them.\n"


def _timeline(report: Report) -> Iterator[str]:
    bars = report_bars.chart(report.nodes).bars
    if not bars:
        return
    stages = ("prepare", "drain", "switch", "verify", "restore")
    yield f"\n## Timeline\n\n| node | began | {' | '.join(stages)} | out of service |\n|---|---|{'---:|' * 6}\n"
    for bar in bars[:NODES]:
        took = " | ".join(_words(bar.seconds(stage)) for stage in stages)
        note = " (rolled back)" if bar.attempt.rolled_back else ""
        out = _words(bar.attempt.out_of_service)
        yield f"| {code(bar.node.host)}{note} | {report_text.moment(bar.began)} | {took} | {out} |\n"
    if len(bars) > NODES:
        yield f"\n{_count(len(bars) - NODES, 'more move')}: the HTML page has them.\n"


def _change(change: Change) -> str:
    why = f" ({prose(change.why)})" if change.why else ""
    what = f" {code(change.what)}" if change.what else ""
    line = f"- {change.stage or 'left behind'}, {change.kind}:{what}{why}\n"
    if not change.diff:
        return line
    lines = change.diff.splitlines()
    more = f"\n… {len(lines) - DIFF_LINES} more lines" if len(lines) > DIFF_LINES else ""
    block = fenced("\n".join(lines[:DIFF_LINES]) + more, "diff")
    return line + "\n" + "".join(f"  {one}\n" for one in block.splitlines()) + "\n"


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - NAMES} more" if len(listed) > NAMES else ""
    return ", ".join(code(name) for name in listed[:NAMES]) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _words(seconds: float | None) -> str:
    return "" if seconds is None else timeline.duration(seconds)
