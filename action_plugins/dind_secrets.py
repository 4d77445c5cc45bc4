"""The action behind the module ``dind_secrets``: what nobody should read goes to the cluster, or to a file, and nowhere else."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim.dind import certificates, manifests
from unshim_kube import dind_cluster, dind_files, dind_run


class ActionModule(dind_run.DindAction):
    """See library/dind_secrets.py for the documentation."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "directory": {"type": "path", "default": ""},
    }

    def act_on(self, arguments: dict[str, Any], hostvars: Mapping[str, Any]) -> dict[str, Any]:
        settings = dind_run.settings_of(arguments["settings"])
        api, settings, cluster, _ = dind_run.look(arguments, settings, hostvars)
        issued = None
        if settings.mode == "service":
            existing = dind_cluster.certificates(api, settings.namespace)
            names = certificates.names(settings.namespace)
            issued = certificates.renew(existing, names, datetime.datetime.now(datetime.UTC))
        secrets = manifests.secrets(settings, cluster, issued)
        check_mode = self._task.check_mode
        if arguments["directory"]:
            text = "".join("---\n" + yaml.safe_dump(one, sort_keys=True) for one in secrets)
            files = {"dind-secrets.yml": text} if text else {}
            changed = dind_files.write(Path(arguments["directory"]), files, "0600", check_mode)
        else:
            first = manifests.objects(manifests.render(settings, cluster))[0]
            changed = bool(secrets) and dind_cluster.ensure_namespace(api, first, check_mode)
            for secret in [] if changed and check_mode else secrets:
                changed |= dind_cluster.put_secret(api, secret, check_mode)
        return {
            "changed": changed,
            "certificate": issued.server_sha256 if issued else "",
            "renewed": issued.renewed if issued else {},
        }
