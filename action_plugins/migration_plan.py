"""Make a node's plan on the controller. The node is never contacted: the work is in module_utils/unshim/plan.py."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cattrs
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim import plan, plan_text, records, settings
from unshim.facts import Facts
from unshim.plan_model import Settings

UNREADABLE = (cattrs.BaseValidationError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class ActionModule(ActionBase):
    """See library/migration_plan.py for the documentation."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        node = task_vars.get("inventory_hostname", "")
        _, args = self.validate_argument_spec(
            {
                "announced": {"type": "bool", "default": False},
                "facts": {"type": "dict"},
                "settings": {"type": "dict", "default": {}},
            }
        )
        data = args["facts"] or (task_vars.get("ansible_facts") or {}).get("runtime")
        if not data:
            raise AnsibleActionFail(
                f"There are no facts of {node} to plan with: run runtime_facts before migration_plan, or give facts."
            )
        try:
            facts = records.from_data(Facts, data)
        except UNREADABLE as error:
            raise AnsibleActionFail(f"facts are not those of runtime_facts: {_first_line(error)}") from None
        made = plan.make(facts, _settings(args["settings"]), node)
        as_data = records.to_data(made)
        as_data["blockers"] = records.to_data(list(made.blockers))
        made_facts = {"runtime_plan": as_data}
        if args["announced"]:
            made_facts["runtime_plan_announced"] = as_data
        result.update(
            changed=False,
            ansible_facts=made_facts,
            text=plan_text.render(made),
            summary=plan_text.summary(made),
        )
        if any(change.secret for change in made.files):
            result["_ansible_no_log"] = True  # the contents are in the result, and -v would print it
        if self._task.diff:
            result["diff"] = [plan_text.ansible_diff(change) for change in made.files]
            result["diff"] += [plan_text.ansible_copy_diff(copy) for copy in made.copies]
        return result


def _settings(given: dict[str, Any]) -> Settings:
    unknown = sorted(set(given) - set(settings.names()))
    if unknown:
        raise AnsibleActionFail(f"settings has no {', '.join(unknown)}; it has {', '.join(sorted(settings.names()))}.")
    try:
        return settings.from_plain(given)
    except UNREADABLE as error:
        raise AnsibleActionFail(f"settings cannot be used: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    """Return the innermost cause of a cattrs error group, which otherwise says only how many there are."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return (str(error).splitlines() or [type(error).__name__])[0]
