"""The action behind the module ``support_bundle``: ask the node and the cluster, hide secrets, write one directory here."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim import bundle, plan_text, records
from unshim.plan_model import Plan

NODE_ARGUMENTS = ("endpoint", "lines", "seconds", "journal_root")
API_SECONDS = 10


class ActionModule(ActionBase):
    """See library/support_bundle.py for the documentation."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        outcome: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _, args = self.validate_argument_spec(
            {
                "directory": {"type": "path", "required": True},
                **{name: {"type": "str", "default": ""} for name in ("node_name", "failed_task", "cause", "context")},
                **{name: {"type": "dict", "default": {}} for name in ("result", "facts", "plan")},
                "endpoint": {"type": "str", "default": "unix:///run/containerd/containerd.sock"},
                "kubeconfig": {"type": "path", "default": ""},
                "lines": {"type": "int", "default": 300},
                "seconds": {"type": "int", "default": 40},
                "journal_root": {"type": "path", "default": "/var/lib/unshim"},
            }
        )
        outcome.update(changed=False, path="", missing=[])
        if self._task.check_mode:
            return outcome
        missing: list[str] = outcome["missing"]
        try:
            node = self._ask_node(args, task_vars, missing)
            cluster = ask_cluster(args, missing)
            now = time.time()
            host = str(task_vars.get("inventory_hostname") or args["node_name"] or "node")
            texts = bundle.build(
                host=host,
                failed_task=args["failed_task"],
                cause=args["cause"],
                result=args["result"],
                plan_text=rendered(args["plan"]),
                facts=args["facts"],
                plan=args["plan"],
                node=node,
                cluster=cluster,
                missing=missing,
                now=now,
            )
            outcome["path"] = write(Path(args["directory"]).expanduser(), bundle.directory_name(host, now), texts)
            outcome["changed"] = True
        except Exception as error:  # noqa: BLE001 - a bundle that fails must not keep the node from being put back
            missing.append(f"the bundle itself: {type(error).__name__}: {error}")
        return outcome

    def _ask_node(self, args: dict[str, Any], task_vars: dict[str, Any], missing: list[str]) -> dict[str, Any]:
        try:
            answer = self._execute_module(
                module_name="node_evidence",
                module_args={name: args[name] for name in NODE_ARGUMENTS},
                task_vars=task_vars,
            )
        except AnsibleConnectionFailure as error:
            missing.append(f"the node's own part: it could not be reached ({_first_line(error)})")
            return {}
        except AnsibleError as error:
            missing.append(f"the node's own part: {_first_line(error)}")
            return {}
        if answer.get("failed") or "pieces" not in answer:
            missing.append(f"the node's own part: {answer.get('msg') or 'it could not be asked'}")
        missing += [f"{name}: the time for it was over" for name in answer.get("left_out") or []]
        return dict(answer.get("pieces") or {})


def ask_cluster(args: dict[str, Any], missing: list[str]) -> dict[str, Any]:
    """Return what the API says, or {} with the reason in ``missing``."""
    if not args["node_name"]:
        return {}
    try:
        from unshim_kube import client, node_events

        return node_events.collect(client.connect(args["kubeconfig"], args["context"], API_SECONDS), args["node_name"])
    except Exception as error:  # noqa: BLE001 - see above; KubeError, or the package kubernetes is not there
        missing.append(f"what the cluster says: {error}")
        return {}


def rendered(plan: dict[str, Any]) -> str:
    """Return the plan as plan.yml prints it, "" if there is none."""
    try:
        return plan_text.render(records.from_data(Plan, plan)) if plan else ""
    except Exception:  # noqa: BLE001 - plan.json is there all the same
        return ""


def write(parent: Path, name: str, texts: dict[str, str]) -> str:
    """Write a new directory that only this user may read, and return its path."""
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for number in range(1, 100):
        directory = parent / (name if number == 1 else f"{name}-{number}")
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            continue
        for file_name, text in texts.items():
            descriptor = os.open(directory / file_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8", errors="replace") as stream:
                stream.write(text)
        return str(directory.resolve())
    raise OSError(f"{parent / name} and 98 more are there already")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
