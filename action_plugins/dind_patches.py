"""The action behind the module ``dind_patches``: scan the cluster, write a patch for each workload that mounts Docker's socket."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim.dind import patches
from unshim.workloads.model import ScanSettings
from unshim.workloads.scan import scan
from unshim_kube import dind_files, dind_run


class ActionModule(dind_run.DindAction):
    """See library/dind_patches.py for the documentation."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "namespaces": {"type": "list", "elements": "str", "default": []},
        "directory": {"type": "path", "required": True},
    }

    def act_on(self, arguments: dict[str, Any], hostvars: Mapping[str, Any]) -> dict[str, Any]:
        from unshim_kube import workload_objects

        settings = dind_run.settings_of(arguments["settings"])
        api, settings, cluster, _ = dind_run.look(arguments, settings, hostvars)
        documents, not_read = workload_objects.read(api, arguments["namespaces"])
        findings, _ = scan(documents, ScanSettings())
        # Its own daemonset mounts paths of its own, and is nobody to be moved.
        made = [
            one for one in patches.make(findings, documents, settings, cluster) if one.namespace != settings.namespace
        ]
        files = {
            one.file_name: "".join(f"# {note}\n" for note in one.notes)
            + yaml.safe_dump(one.patch, sort_keys=False, width=120)
            for one in made
            if one.patch
        }
        changed = dind_files.write(Path(arguments["directory"]), files, "0644", self._task.check_mode)
        return {
            "changed": changed,
            "patches": [
                {
                    "object": one.object,
                    "file": one.file_name if one.patch else "",
                    "command": one.command if one.patch else "",
                    "notes": list(one.notes),
                }
                for one in made
            ],
            "text": patches.render(made),
            "problems": [one.message for one in not_read],
        }
