"""A failure bundle: what is in it, as texts by file name. Writing them is the action plugin's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from . import redaction, timeline

Json = dict[str, Any]


def directory_name(host: str, now: float) -> str:
    """Return ``<UTC time>-<host>``, safe as a file name."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{moment}-{re.sub(r'[^A-Za-z0-9._-]', '_', host).lstrip('.') or 'node'}"


def build(
    host: str,
    failed_task: str,
    cause: str,
    result: Json,
    plan_text: str,
    facts: Json,
    plan: Json,
    node: Json,
    cluster: Json,
    missing: Iterable[str],
    now: float,
) -> dict[str, str]:
    """Return the bundle's texts by file name, with secrets hidden.

    Args:
        result: of the failed task.
        plan_text: the plan as plan.yml prints it.
        facts, plan: of the node; what is secret in them is hidden everywhere.
        node: what the node's own part found, {file name: text or data}.
        cluster: what the API says, {file name: data}.
        missing: what could not be collected, with the reasons.
    """
    secrets = redaction.secrets_in([facts, plan])
    pieces: Json = {
        # Arguments hold whole files; the plan has them, without what is secret.
        "gate.json": {
            "task": failed_task,
            "cause": cause,
            "result": {key: value for key, value in result.items() if key not in ("invocation", "diff")},
        },
        **({"plan.txt": plan_text} if plan_text else {}),
        **({"plan.json": plan} if plan else {}),
        **cluster,
        **node,
    }
    texts = {_file_name(name): _text(redaction.redact_data(piece, secrets)) for name, piece in pieces.items()}
    journal = timeline.read(texts.get("journal.json"))
    summary = _summary(host, failed_task, cause, journal, sorted([*texts, "README.md"]), list(missing), now)
    texts["README.md"] = redaction.redact(summary, secrets)
    return texts


def _summary(
    host: str, failed_task: str, cause: str, journal: Json, names: list[str], missing: list[str], now: float
) -> str:
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    lines = [f"# {host} was not moved", "", f"{moment}. The task that failed: {failed_task}", "", *_quoted(cause), ""]
    lines += [f"The node was {journal.get('state') or 'in an unknown state'} then.", "", "## What was done", ""]
    lines += [
        f"- {datetime.fromtimestamp(moment, UTC).strftime('%H:%M:%S')} {event}"
        for moment, event in timeline.events(journal)
    ] or ["Nothing that the journal knows of."]
    for step in journal.get("steps") or []:
        if isinstance(step, dict):
            said = f": {step['message']}" if step.get("message") else ""
            lines.append(f"- step {step.get('name')} ({step.get('stage')}): {step.get('status')}{said}")
    lines += ["", "## Going on", "", "With the cause removed:", ""]
    lines += [
        f"    ansible-playbook playbooks/migrate.yml --limit {host}",
        "",
        "Back to Docker, if it is not there:",
        "",
    ]
    lines += [f"    ansible-playbook playbooks/rollback.yml --limit {host}", ""]
    by_hand = journal.get("by_hand") or []
    if by_hand:
        lines += ["Back by hand, on the node, in this order (as of the moment of the failure):", ""]
        lines += [f"    {line}" for line in by_hand] + [""]
    lines += ["## What is here", "", *(f"- {name}" for name in names)]
    if missing:
        lines += ["", "## What is missing", "", *(f"- {one}" for one in missing)]
    lines += [
        "",
        "Passwords, tokens and keys are hidden. Look before you give it to others all the same: logs tell names.",
        "",
    ]
    return "\n".join(lines)


def _quoted(text: str) -> list[str]:
    return [f"> {line}" for line in text.splitlines()] or ["> (no cause was given)"]


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")


def _text(piece: Any) -> str:
    return piece if isinstance(piece, str) else json.dumps(piece, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
