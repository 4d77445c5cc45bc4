"""The action behind the module ``dind_manifests``: look at the cluster, render Docker-in-Docker's objects for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim.dind import address_pools, manifests
from unshim_kube import dind_files, dind_run


class ActionModule(ActionBase):
    """See library/dind_manifests.py for the documentation."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        hostvars = (task_vars or {}).get("hostvars") or {}
        _, arguments = self.validate_argument_spec(
            {
                **dind_run.OPTIONS,
                "certificate": {"type": "str", "default": ""},
                "directory": {"type": "path", "default": ""},
            }
        )
        result.update(dind_run.outcome("dind_manifests", lambda: self._act(arguments, hostvars)))
        return result

    def _act(self, arguments: dict[str, Any], hostvars: Any) -> dict[str, Any]:
        settings = dind_run.settings_of(arguments["settings"])
        _, settings, cluster, problems = dind_run.look(arguments, settings, hostvars)
        text = manifests.render(settings, cluster, arguments["certificate"])
        directory = arguments["directory"]
        written = directory and dind_files.write(Path(directory), {"dind.yml": text}, "0644", self._task.check_mode)
        pools = address_pools.choose(cluster.networks)
        return {
            "changed": bool(written),
            "manifests": manifests.objects(text),
            "notes": problems,
            "docker0": pools.bip,
            "pools": pools.base,
            "iptables": settings.iptables,
        }
