"""A run as JSON, to be kept and compared with: ``docs/schemas/compat.schema.json`` is its form."""

from __future__ import annotations

import json
from typing import Any

import cattrs

from ..records import from_data, to_data
from .model import FORM, OUTCOMES, Run
from .registry import BY_ID


class RunError(Exception):
    """A file is no kept run. The message is one sentence for the operator."""


def data(run: Run) -> dict[str, Any]:
    found = to_data(run)
    for result in found["results"]:
        result["title"] = BY_ID[result["id"]].title
    return {**found, "count": run.count(), "regressions": [result.id for result in run.regressions]}


def render(run: Run) -> str:
    return json.dumps(data(run), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def parse(text: str, file: str) -> Run:
    """Return the run that was kept in a file.

    Raises:
        RunError: it is none, or of a form that is not known here.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{file} is not JSON ({error}). Name a file that compat.yml wrote.") from None
    if not isinstance(found, dict) or not isinstance(found.get("form"), int):
        raise RunError(f"{file} is no result of compat.yml. Name a file that it wrote.")
    if found["form"] > FORM:
        raise RunError(f"{file} has form {found['form']}, this unshim reads {FORM}. Use the version that wrote it.")
    try:
        run = from_data(Run, found)
    except (cattrs.BaseValidationError, ArithmeticError, TypeError, ValueError):
        raise RunError(
            f"{file} is damaged: it lacks what every result of compat.yml has. Run compat.yml again."
        ) from None
    unknown = sorted({result.outcome for result in run.results} - set(OUTCOMES))
    if unknown:
        raise RunError(f"{file} is damaged: it has the outcome {unknown[0]!r}.")
    return run
