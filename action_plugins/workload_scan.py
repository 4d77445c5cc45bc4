"""The action behind the module ``workload_scan``: read the cluster, and what is known of its nodes; find what needs Docker."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim import __version__, records
from unshim.workloads import allow_list, manifest_types, outputs, report_json, report_text, static_pods
from unshim.workloads.model import Report, ScanSettings
from unshim.workloads.scan import reported
from unshim_kube import action_run, written_file
from unshim_kube.errors import KubeError

_NAMES: dict[str, Any] = {"type": "list", "elements": "str"}


class ActionModule(action_run.ClusterAction):
    """See library/workload_scan.py for the documentation."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "namespaces": {"type": "list", "elements": "str", "default": []},
        "nodes": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "node": {"type": "str", "required": True},
                "docker_root": {"type": "str", "default": ""},
                "manifests": {"type": "dict", "default": {}},
                "seen": {"type": "bool", "default": True},
            },
        },
        "allow_list": {"type": "path", "default": ""},
        "manifest_types": {"type": "path", "default": ""},
        "report_dir": {"type": "path", "default": ""},
    }

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            report = report_of(arguments)
        except (allow_list.AllowListError, manifest_types.ManifestTypesError) as error:
            raise KubeError(str(error)) from None
        changed = (
            write(report, Path(arguments["report_dir"]), self._task.check_mode) if arguments["report_dir"] else False
        )
        return {
            "changed": changed,
            "report": report_json.data(report),
            "text": report_text.render(report),
            "msg": report_text.summary(report),
        }


def report_of(arguments: dict[str, Any]) -> Report:
    from unshim_kube import workload_objects

    entries = (
        allow_list.parse(read(arguments["allow_list"]), arguments["allow_list"]) if arguments["allow_list"] else []
    )
    types_file = arguments["manifest_types"]
    types = manifest_types.parse(read(types_file), types_file) if types_file else {}
    nodes = [records.from_data(static_pods.ScannedNode, one) for one in arguments["nodes"]]
    on_nodes, problems = static_pods.documents(nodes)
    api = action_run.connect(arguments)
    documents, not_read = workload_objects.read(api, arguments["namespaces"])
    settings = ScanSettings(docker_roots=static_pods.docker_roots(nodes), manifest_types=types)
    return reported(
        f"the cluster at {api.server}",
        [*on_nodes, *documents],
        settings,
        entries,
        [*problems, *not_read],
        datetime.date.today(),
    )


def read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise KubeError(f"{path} cannot be read on the controller: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise KubeError(f"{path} is not UTF-8.") from None


def write(report: Report, directory: Path, check_mode: bool) -> bool:
    """Write the report in every form; return if that changed, or would change, a file."""
    changed = False
    for form, name in outputs.FILE_NAMES.items():
        text = outputs.render(report, form, __version__)
        path = directory / name
        try:
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                continue
            changed = True
            if not check_mode:
                directory.mkdir(parents=True, exist_ok=True)
                written_file.replace(path, text, 0o644)
        except OSError as error:
            raise KubeError(f"{path} cannot be written on the controller: {error.strerror}.") from None
    return changed
