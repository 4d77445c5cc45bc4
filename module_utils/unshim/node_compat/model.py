"""The parts of a run: what was observed, what a check makes of it, what a run came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .. import redaction
from ..report_text import visible

FORM = 1

#: As words for people; the order is the one reports count in.
OUTCOMES = {"ok": "ok", "differs": "differs as documented", "broken": "broken", "not-shown": "not shown"}


class NotShown(Exception):
    """A check cannot be judged; the message says why."""


@dataclass(frozen=True)
class Observed:
    """What was seen on a node at one time.

    Args:
        runtime: what the kubelet runs its pods on, "docker" or "containerd".
        values: texts by name, "GROUP.NAME": "plain.limits" is /proc/1/limits in the container ``plain``.
        reasons: why a group has no values, or fewer than it could: {"host": "the pod was refused: ..."}.
    """

    runtime: str
    values: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Kept in files, compared, and quoted as evidence: what kubelet and containerd say of a pull may have a login in it.
        for part in ("values", "reasons"):
            hidden = {
                name: redaction.redact(text) if isinstance(text, str) else text
                for name, text in getattr(self, part).items()
            }
            object.__setattr__(self, part, hidden)

    def text(self, name: str) -> str:
        """Return a value; raises :class:`NotShown` where it was not seen."""
        if name in self.values:
            return self.values[name]
        group = name.partition(".")[0]
        raise NotShown(self.reasons.get(name) or self.reasons.get(group) or f"{name} was not observed")

    def get(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)


@dataclass(frozen=True)
class Verdict:
    outcome: str  # a key of OUTCOMES
    evidence: str


Judge = Callable[[Observed, Observed | None], Verdict]


@dataclass(frozen=True)
class Check:
    """One thing that pods, or a node, must have on containerd as they had it on Docker.

    Args:
        id: never gets another meaning; C01 to C40 are numbered as in the project's list of what to test on a node.
        title: what holds where it is ok.
        guards: what is different on containerd, or may be.
        source: where that is written.
        judge: makes a verdict of what is observed now, and before where that is known. None: a node cannot show it.
        elsewhere: for those, what shows it instead.
        quick: judged from the node alone, without a pod.
    """

    id: str
    title: str
    guards: str
    source: str
    judge: Judge | None = None
    elsewhere: str = ""
    quick: bool = False


@dataclass(frozen=True)
class Result:
    id: str
    outcome: str
    evidence: str
    before: str = ""  # its outcome in the earlier run; "" without one

    @property
    def is_regression(self) -> bool:
        """Whether it is broken, and was not already."""
        return self.outcome == "broken" and self.before != "broken"


@dataclass(frozen=True)
class Run:
    """A run on one node, as it is kept."""

    node: str
    runtime: str
    runtime_version: str
    kubelet_version: str
    image: str
    taken: str  # RFC 3339
    quick: bool
    results: tuple[Result, ...]
    observed: Observed
    compared_with: str = ""  # runtime and time of the earlier run
    form: int = FORM

    @property
    def regressions(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.is_regression)

    def count(self) -> dict[str, int]:
        return {name: sum(result.outcome == name for result in self.results) for name in OUTCOMES}


def ok(evidence: str) -> Verdict:
    return Verdict("ok", visible(evidence))


def differs(evidence: str) -> Verdict:
    return Verdict("differs", visible(evidence))


def broken(evidence: str) -> Verdict:
    return Verdict("broken", visible(evidence))
