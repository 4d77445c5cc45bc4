"""From what was seen of each node to what an audit says of it and of the fleet. Pure: the tools look, this judges."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePath

from . import observe, plan, plan_text, probe_command, records
from .audit_model import EXIT_CODES, FORMAT, STATUSES, Answer, Audit, Node, Runtime, Sighting
from .facts import Facts
from .plan_model import Finding, Plan, Settings

VERDICTS = ("ready", "moved", "blocked", "unknown")
_POD = "io.kubernetes.pod.name"  # the label of Kubernetes' own containers
_REMEDIES = {
    "unreachable": "Make it answer, or leave it out with --limit; then audit it again.",
    "timed-out": "Look at what keeps the node busy, or give it more time; then audit it again.",
    "no-probe": "Log in by hand as the same user and run `sh -c 'echo it works'`: its shell must run commands.",
    "not-audited": "What to do is said with each node.",
    "partial": "Let the user become root (become: true, sudo without a password or with -K), then audit it again.",
}


def judge(sighting: Sighting, facts: Facts | None, made: Plan | None, with_facts: bool = False) -> Node:
    """Return what the audit says of one node.

    Args:
        sighting: how it went to look at it.
        facts: what was seen; None if nothing was.
        made: the plan made of those facts.
        with_facts: keep the facts whole.
    """
    if facts is None or made is None:
        if sighting.status not in STATUSES[2:]:
            raise ValueError(f"{sighting.node} has no facts although it was {sighting.status}")
        words = "did not answer in time" if sighting.status == "timed-out" else sighting.status.replace("-", " ")
        summary = f"{sighting.node}: {words}" + (f": {sighting.reason}" if sighting.reason else "")
        return Node(
            node=sighting.node,
            status=sighting.status,
            verdict="unknown",
            severity="unknown",
            summary=summary,
            reason=sighting.reason,
            remedy=_REMEDIES[sighting.status],
            elapsed=sighting.elapsed,
        )
    # What was not seen is said on its own, and a user who is not root finds blocks that root would not.
    findings = tuple(finding for finding in made.findings if finding.id not in ("not-seen", "not-root"))
    is_partial = facts.uid != 0
    reason = sighting.reason
    if is_partial:
        reason = f"looked at as user id {facts.uid}, not as root" + (f" ({reason})" if reason else "")
    verdict = "unknown" if is_partial else _verdict(made)
    return Node(
        node=sighting.node,
        status="partial" if is_partial else "seen",
        verdict=verdict,
        severity="unknown" if is_partial else _severity(findings),
        summary=f"{sighting.node}: {reason}" if is_partial else plan_text.summary(made),
        reason=reason,
        remedy=_REMEDIES["partial"] if is_partial else "",
        elapsed=sighting.elapsed,
        runtime=_runtime(facts, made),
        findings=findings,
        not_carried=made.not_carried,
        not_seen=not_seen(facts),
        facts=records.to_data(facts) if with_facts else None,
    )


def not_seen(facts: Facts) -> tuple[str, ...]:
    """Return what the probe could not look at: by its own word, and the files it may not read."""
    unreadable = sorted(path for path, file in facts.files.items() if file.kind == "unreadable")
    return (*facts.not_seen, *(f"{path}: may not be read by this user" for path in unreadable))


def utc(moment: datetime) -> str:
    """Return a moment as an audit's ``time``: "2026-11-24T12:00:00Z"."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def total(nodes: Iterable[Node], time: str) -> Audit:
    """Return the audit of a fleet from its nodes', in the order of their names."""
    ordered = tuple(sorted(nodes, key=lambda node: node.node))
    return Audit(
        format=FORMAT,
        time=time,
        severity=worst(node.severity for node in ordered),
        counts={verdict: sum(node.verdict == verdict for node in ordered) for verdict in VERDICTS},
        nodes=ordered,
    )


def worst(severities: Iterable[str]) -> str:
    """Return the worst of some severities; "unknown" of none, since nothing was seen."""
    given = set(severities)
    return next((severity for severity in EXIT_CODES if severity in given), "unknown")


def read(answer: Answer) -> tuple[Sighting, Facts | None]:
    """Return how it went with a node that answered, and its facts if the answer can be used."""
    try:
        facts = observe.parse(probe_command.unpacked(answer.output))
    except observe.ProbeError as error:
        reason = f"{error}" + (f" (the node said: {answer.said})" if answer.said else "")
        return replace(answer.sighting, status="no-probe", reason=reason), None
    return replace(answer.sighting, reason=answer.said if facts.uid != 0 else ""), facts


def of_answer(answer: Answer, settings: Settings, with_facts: bool = False) -> Node:
    """Return what the audit says of a node whose answer is still to be read; whatever is in it, there is a word on the node."""
    sighting, facts = read(answer)
    if facts is None:
        return judge(sighting, None, None)
    try:
        return of_facts(sighting, facts, settings, with_facts)
    except Exception as error:  # noqa: BLE001  one node must not keep a fleet from being audited
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{PurePath(place.filename).name}:{place.lineno}"
        return no_probe(sighting, f"unshim failed at what it saw ({type(error).__name__} in {where}); please report it")


def no_probe(sighting: Sighting, reason: str) -> Node:
    """Return what the audit says of a node that answered what cannot be used."""
    return judge(replace(sighting, status="no-probe", reason=reason), None, None)


def of_facts(sighting: Sighting, facts: Facts, settings: Settings, with_facts: bool = False) -> Node:
    """Return what the audit says of a node whose plan is still to be made."""
    return judge(sighting, facts, plan.make(facts, settings, sighting.node), with_facts)


def _verdict(made: Plan) -> str:
    if made.blockers:
        return "blocked"
    return "moved" if made.done else "ready"


def _severity(findings: tuple[Finding, ...]) -> str:
    severities = {finding.severity for finding in findings}
    return next((severity for severity in ("block", "warn") if severity in severities), "ok")


def _runtime(facts: Facts, made: Plan) -> Runtime:
    running = [one for one in facts.docker.containers if one.running and _POD not in one.labels]
    return Runtime(
        role="control-plane" if made.is_control_plane else "worker",
        os=facts.os.pretty_name or facts.os.id,
        architecture=facts.os.architecture,
        kernel=facts.os.kernel,
        cgroup=facts.kernel.cgroup,
        python=facts.os.python,
        source=made.source,
        state=made.state,
        kubelet=facts.kubelet.version,
        docker=facts.docker.version,
        containerd=facts.containerd.version,
        containerd_planned=made.containerd_version,
        images=len(facts.docker.images),
        foreign_containers=tuple(sorted(one.name for one in running)),
    )
