"""Filters that turn a plan or a node's facts into text, for playbooks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim import plan_text, records, timeline
from unshim.plan_model import Plan


def unshim_plan_text(plan: dict[str, Any]) -> str:
    """Return ``ansible_facts.runtime_plan`` as the text that plan.yml prints."""
    return plan_text.render(records.from_data(Plan, plan))


def unshim_plan_summary(plan: dict[str, Any]) -> str:
    """Return ``ansible_facts.runtime_plan`` in one line."""
    return plan_text.summary(records.from_data(Plan, plan))


def unshim_blockers(plan: dict[str, Any]) -> str:
    """Return what stops a node, with the remedies; "" if nothing does."""
    return plan_text.blockers(records.from_data(Plan, plan))


def unshim_only_planned(annotations: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """Return, of a node's annotations, those the plan changes; None for one that the node does not have."""
    return {change["name"]: annotations.get(change["name"]) for change in plan.get("annotations", [])}


def unshim_timeline(facts: dict[str, Any]) -> str:
    """Return the journal in ``ansible_facts.runtime`` as a timeline."""
    journal = (facts.get("files") or {}).get(timeline.JOURNAL) or {}
    return timeline.render(facts.get("hostname") or "node", journal.get("content"))


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            "unshim_blockers": unshim_blockers,
            "unshim_only_planned": unshim_only_planned,
            "unshim_plan_summary": unshim_plan_summary,
            "unshim_plan_text": unshim_plan_text,
            "unshim_timeline": unshim_timeline,
        }
