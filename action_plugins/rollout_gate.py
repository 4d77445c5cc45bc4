"""The action behind the module ``rollout_gate``: may the next batch begin? Waits, says why, and stops in the end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from ansible.utils.display import Display

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim import drain, rollout
from unshim_kube import action_run, cluster_health, lease
from unshim_kube.errors import KubeError, Unreachable

SAID_EVERY = 15.0  # seconds between two lines about the same reason
LOOKED_EVERY = 5.0  # seconds between two looks where nothing seems to change

_NAMES: dict[str, Any] = {"type": "list", "elements": "str"}


class ActionModule(action_run.ClusterAction):
    """See library/rollout_gate.py for the documentation."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "nodes": {**_NAMES, "required": True},
        "name": {"type": "str", "default": "the batch"},
        "timeout": {"type": "int", "default": 600},
        "pause": {"type": "int", "default": 0},
        "pause_file": {"type": "path", "default": ""},
        "may_be_down": {**_NAMES, "default": []},
        "allow_no_room": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
        "delete_emptydir_data": {"type": "bool", "default": False},
        "lock": {"type": "bool", "default": True},
    }

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        gate = Gate(arguments, Display().display)
        if self._task.check_mode:
            try:
                reasons = gate.look(lock=False)
            except NotBegun as error:
                reasons = error.details["reasons"]
            said = f"{gate.name} would wait now: {'; '.join(reasons)}" if reasons else f"{gate.name} could begin now."
            return {"may_begin": True, "reasons": reasons, "waited": 0.0, "msg": said}
        try:
            waited = gate.wait()
        except NotBegun as error:
            return {"may_begin": False, "reasons": error.details["reasons"], "msg": error.message}
        return {
            "may_begin": True,
            "reasons": [],
            "waited": round(waited, 1),
            "msg": f"{gate.name} may begin; it waited {waited:.0f} s.",
        }


class NotBegun(KubeError):
    """The batch may not begin; that is an answer, not a failure of the gate."""


class Gate:
    """One batch's gate. ``say`` prints a line."""

    def __init__(self, arguments: dict[str, Any], say: Any) -> None:
        self._arguments = arguments
        self._say = say
        self.name = f"{arguments['name']} ({', '.join(arguments['nodes'])})"
        self._question = rollout.Question(
            nodes=tuple(arguments["nodes"]),
            may_be_down=tuple(arguments["may_be_down"]),
            allow_no_room=arguments["allow_no_room"],
            options=drain.Options(force=arguments["force"], delete_emptydir_data=arguments["delete_emptydir_data"]),
        )
        self._process = lease.this_process(os.getppid())
        self._api: Any = None
        self._said = ("", 0.0)

    def wait(self) -> float:
        """Return the seconds after which the batch may begin; raises NotBegun with the reason when that takes too long."""
        began = time.monotonic()
        if self._arguments["pause"]:
            self._tell(f"a pause of {self._arguments['pause']} s between batches")
            time.sleep(self._arguments["pause"])
        deadline = time.monotonic() + self._arguments["timeout"]
        with contextlib.ExitStack() as stack:
            changes = None
            while True:
                deadline += self._paused()
                reasons = self.look(lock=self._arguments["lock"])
                if not reasons:
                    return time.monotonic() - began
                self._tell("; ".join(reasons))
                left = deadline - time.monotonic()
                if left <= 0:
                    raise NotBegun(
                        f"{self.name} was not begun: after {self._arguments['timeout']} s (unshim_gate_timeout) it would "
                        f"still have to wait: {'; '.join(reasons)}.",
                        {"reasons": reasons},
                    )
                if changes is None and self._api is not None:
                    followed = [("/api/v1/nodes", {}), (self._budgets_path, {})]
                    changes = stack.enter_context(
                        cluster_health.changes(self._api, *[entry for entry in followed if entry[0]])
                    )
                time.sleep(min(1.0, left))
                if changes is not None:
                    changes.wait(max(0.0, min(left - 1.0, LOOKED_EVERY - 1.0)))

    def look(self, lock: bool) -> list[str]:
        """Return why the batch may not begin now. What is cheap to ask comes first, and the rest only if that is well."""
        question = self._question
        try:
            if self._api is None:
                self._api = action_run.connect(self._arguments, timeout=10.0)
            if lock:
                self._keep_lock()
            nodes = cluster_health.nodes(self._api)
            unknown = rollout.unknown_nodes(nodes, question)
            if unknown:
                raise NotBegun(
                    f"{self.name} was not begun: the cluster has no node {', '.join(unknown)}.", {"reasons": unknown}
                )
            reasons = rollout.unwell_nodes(nodes, question)
            if reasons:
                return reasons
            budgets, version = cluster_health.budgets(self._api)
            self._budgets_path = f"/apis/{version}/poddisruptionbudgets" if version else ""
            pods = cluster_health.every_pod(self._api)
        except Unreachable as error:
            return [error.message.rstrip(".")]
        leaving = rollout.leaving_pods(pods, question)
        reasons = rollout.exhausted_budgets(budgets, leaving, version)
        no_room = rollout.no_room(nodes, pods, leaving, question)
        if no_room and rollout.is_whole_cluster(nodes, question):
            raise NotBegun(f"{self.name} was not begun: {'; '.join(no_room)}.", {"reasons": no_room})
        return reasons + no_room

    _budgets_path = ""

    def _paused(self) -> float:
        """Return for how many seconds the pause file held the run."""
        path = self._arguments["pause_file"]
        began = time.monotonic()
        while path and os.path.exists(path):
            self._tell(f"the file {path} is there; remove it to go on")
            time.sleep(1.0)
        return time.monotonic() - began

    def _keep_lock(self) -> None:
        held = lease.read(self._api)
        problem = lease.problem(held, self._process, time.time())
        if problem:
            raise NotBegun(
                f"{self.name} was not begun: {problem}. Another run may be moving nodes; look, and run again.",
                {"reasons": [problem]},
            )
        if held is not None and not lease.is_kept(held, time.time()):  # somebody ended its keeper
            from unshim_kube import lease_keeper

            if lease.renew(self._api, held.name, time.time()):
                lease_keeper.start(
                    self._arguments["kubeconfig"], self._arguments["context"], self._process.pid, held.name
                )

    def _tell(self, reason: str) -> None:
        """Print why it waits, when that is new and then every SAID_EVERY seconds."""
        before, at = self._said
        now = time.monotonic()
        if reason != before or now - at >= SAID_EVERY:
            self._say(f"{self.name} waits: {reason}")
            self._said = (reason, now)
