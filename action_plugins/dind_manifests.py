"""The action behind the module ``dind_manifests``: look at the cluster, render Docker-in-Docker's objects for it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim.dind import address_pools, manifests
from unshim_kube import dind_files, dind_run


class ActionModule(dind_run.DindAction):
    """See library/dind_manifests.py for the documentation."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "certificate": {"type": "str", "default": ""},
        "directory": {"type": "path", "default": ""},
    }

    def act_on(self, arguments: dict[str, Any], hostvars: Mapping[str, Any]) -> dict[str, Any]:
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
