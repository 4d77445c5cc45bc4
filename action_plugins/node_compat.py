"""The action behind the module ``node_compat``: look at a node and at probe pods on it, judge, compare, write it down."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim import records, sections
from unshim.facts import Facts
from unshim.node_compat import evaluation, observation, report_json, report_junit, report_markdown
from unshim.node_compat.model import Observed, Run
from unshim_kube import action_run, written_file
from unshim_kube.errors import KubeError

NO_IMAGE = "no image with a shell is named: set unshim_canary_image to one that has busybox' commands"


class ActionModule(ActionBase):
    """See library/node_compat.py for the documentation."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                **action_run.CLUSTER_OPTIONS,
                "node_name": {"type": "str", "required": True},
                "image": {"type": "str", "default": ""},
                "more_images": {"type": "list", "elements": "str", "default": []},
                "namespace": {"type": "str", "default": "default"},
                "quick": {"type": "bool", "default": False},
                "cri_endpoint": {"type": "str", "default": "unix:///run/containerd/containerd.sock"},
                "directory": {"type": "path", "default": ""},
                "compare_with": {"type": "path", "default": ""},
                "timeout": {"type": "int", "default": 120},
            }
        )
        # Without an image, and in check mode, what a node shows without a pod.
        self._pods = not (arguments["quick"] or self._task.check_mode)
        result.update(action_run.outcome("node_compat", lambda: self._act(arguments, task_vars or {})))
        return result

    def _act(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        directory = Path(arguments["directory"]).expanduser() if arguments["directory"] else None
        earlier_file = arguments["compare_with"]
        earlier = read(Path(earlier_file).expanduser()) if earlier_file else None
        run = self._look(arguments, task_vars, earlier, directory)
        written = write(directory, run) if directory and not self._task.check_mode else {}
        result: dict[str, Any] = {
            "changed": False,
            "results": report_json.data(run)["results"],
            "regressions": [one.id for one in run.regressions],
            "count": run.count(),
            "text": report_markdown.summary(run),
            "files": written,
            "msg": f"{run.node}: {report_markdown.counted(run)}.",
        }
        if run.regressions:
            told = "; ".join(f"{one.id}: {one.evidence}" for one in run.regressions)
            raise KubeError(f"{run.node} on {run.runtime} is not compatible. {told}", result)
        return result

    def _look(
        self, arguments: dict[str, Any], task_vars: dict[str, Any], earlier: Run | None, directory: Path | None
    ) -> Run:
        from unshim_kube import node_view

        api = action_run.connect(arguments)
        node = node_view.get_node(api, arguments["node_name"])
        facts = self._facts(task_vars)
        shown = node["status"]["nodeInfo"]["containerRuntimeVersion"]
        runtime, _, version = shown.partition("://")
        if runtime not in ("docker", "containerd"):
            raise KubeError(
                f"Node {arguments['node_name']} runs {shown or 'an unknown runtime'}; only Docker and containerd are known here."
            )
        if earlier is None and directory is not None and runtime == "containerd":
            kept = directory / f"{arguments['node_name']}.docker.json"
            earlier = read(kept) if kept.is_file() else None
        if earlier is not None and earlier.node != arguments["node_name"]:
            raise KubeError(
                f"The earlier result is of node {earlier.node}, not of {arguments['node_name']}. Name that node's own."
            )
        values = {
            **observation.from_facts(facts),
            **observation.from_cluster(node),
            **observation.from_node(self._script(observation.script("node.sh")), facts),
        }
        reasons: dict[str, str] = {}
        if runtime == "containerd":
            values.update(self._cri(arguments["cri_endpoint"], facts, task_vars))
        if not self._pods:
            reasons = dict.fromkeys(("pod", "plain", "user", "host", "pull"), "no pod was run")
        elif not arguments["image"]:
            reasons = dict.fromkeys(("pod", "plain", "user", "host", "pull"), NO_IMAGE)
        else:
            from unshim_kube.compat_pods import Look

            look = Look(api, node, arguments["namespace"], arguments["image"], arguments["timeout"], self._read_log)
            look.look(arguments["more_images"], earlier.observed.get("pull.reference") if earlier else "")
            values.update(look.values)
            reasons.update(look.reasons)
        observed = Observed(runtime, values, reasons)
        return Run(
            node=arguments["node_name"],
            runtime=runtime,
            runtime_version=version,
            kubelet_version=node["status"]["nodeInfo"].get("kubeletVersion", ""),
            image=arguments["image"],
            taken=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            quick=not self._pods,
            results=evaluation.judge(observed, earlier, quick=not self._pods),
            observed=observed,
            compared_with=f"{earlier.runtime} {earlier.runtime_version} of {earlier.taken}" if earlier else "",
        )

    def _facts(self, task_vars: dict[str, Any]) -> Facts:
        task = self._task.copy()
        task.args = {}
        action = self._shared_loader_obj.action_loader.get(
            "runtime_facts",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        seen = action.run(task_vars=task_vars)
        if seen.get("failed"):
            raise KubeError(f"The node could not be looked at: {seen['msg']}")
        return records.from_data(Facts, seen["ansible_facts"]["runtime"])

    def _cri(self, endpoint: str, facts: Facts, task_vars: dict[str, Any]) -> dict[str, str]:
        from unshim import compat

        apis = compat.kubelet_cri_api(facts.kubelet.version) or ("v1", "v1alpha2")
        asked = {"endpoint": endpoint, "api": list(apis), "require": [], "timeout": 10}
        return observation.from_cri(self._execute_module("cri_status", asked, task_vars=task_vars))

    def _read_log(self, directory: str) -> str:
        return self._script(observation.script("container_log.sh"), directory)

    def _script(self, script: str, *arguments: str) -> str:
        words = shlex.join(["sh", "-c", script, "sh", *arguments])
        try:
            return self._low_level_execute_command(words)["stdout"]
        except AnsibleConnectionFailure as error:
            raise sections.ProbeError(f"the node could not be asked: {error}") from None


def read(path: Path) -> Run:
    """Return a run that was kept."""
    try:
        return report_json.parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise KubeError(f"{path} cannot be read on the controller: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise KubeError(f"{path} is not UTF-8.") from None
    except report_json.RunError as error:
        raise KubeError(str(error)) from None


def write(directory: Path, run: Run) -> dict[str, str]:
    """Write a run in every form, in the place of an earlier one on the same runtime; return the paths."""
    renderers = {"json": report_json.render, "junit": report_junit.render, "markdown": report_markdown.render}
    suffixes = {"json": "json", "junit": "xml", "markdown": "md"}
    name = f"{run.node}.{run.runtime}" + (".quick" if run.quick else "")
    written = {}
    for form, render in renderers.items():
        path = directory / f"{name}.{suffixes[form]}"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            written_file.replace(path, render(run), 0o644, errors="backslashreplace")
        except OSError as error:
            raise KubeError(
                f"{path} cannot be written on the controller: {error.strerror}. Name another directory in unshim_compat_dir."
            ) from None
        written[form] = str(path)
    return written
