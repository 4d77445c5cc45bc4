"""Judge everything that was observed."""

from __future__ import annotations

from collections.abc import Iterator

from .model import NotShown, Observed, Result, Run, Verdict
from .registry import CHECKS, Check


def judge(now: Observed, earlier: Run | None = None, quick: bool = False) -> tuple[Result, ...]:
    """Return a result for each check, or for each quick one, in the registry's order."""
    return tuple(_results(now, earlier, quick))


def _results(now: Observed, earlier: Run | None, quick: bool) -> Iterator[Result]:
    outcomes = {result.id: result.outcome for result in earlier.results} if earlier else {}
    for check in CHECKS:
        if quick and not check.quick:
            continue
        verdict = _verdict(check, now, earlier.observed if earlier else None)
        yield Result(check.id, verdict.outcome, verdict.evidence, outcomes.get(check.id, ""))


def _verdict(check: Check, now: Observed, before: Observed | None) -> Verdict:
    if check.judge is None:
        return Verdict("not-shown", check.elsewhere)
    try:
        try:
            return check.judge(now, before)
        except NotShown:
            if before is None:
                raise
            # The earlier run may not have seen what this one did; then this one is judged by itself.
            return check.judge(now, None)
    except NotShown as reason:
        return Verdict("not-shown", str(reason))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        return Verdict("not-shown", f"what was observed cannot be read: {type(error).__name__}: {error}")
