"""Where the actions of Docker-in-Docker meet Ansible: settings and hosts in, the cluster as the core takes it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unshim import records
from unshim.dind import address_pools, host, model, registry_settings
from unshim.dind.model import Cluster, DindError, Settings
from unshim.facts import Facts

from . import action_run, dind_cluster
from .errors import KubeError

if TYPE_CHECKING:
    from .client import Api

#: The options that all of them have besides CLUSTER_OPTIONS; documented in doc_fragments/unshim.py.
OPTIONS: dict[str, Any] = {
    "settings": {"type": "dict", "required": True},
    "hosts": {"type": "list", "elements": "str", "default": []},
}


class DindAction(action_run.ClusterAction):
    """A :class:`ClusterAction` that is given the settings and the hosts of DIND.

    A plugin's class has its options besides in ``OPTIONS``, and ``act_on``, which returns what the module does.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        self._hostvars: Mapping[str, Any] = (task_vars or {}).get("hostvars") or {}
        return super().run(tmp, task_vars)

    def options(self) -> dict[str, Any]:
        return {**super().options(), **OPTIONS}

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.act_on(arguments, self._hostvars)
        except DindError as error:
            raise KubeError(str(error)) from None

    def act_on(self, arguments: dict[str, Any], hostvars: Mapping[str, Any]) -> dict[str, Any]:
        raise KubeError("This action does nothing.")


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Return settings, checked; lists may be text, as ``-e name=value`` is."""
    plain = {name: value for name, value in given.items() if value is not None}
    for name in ("reserved_ranges", "client_namespaces"):
        if isinstance(plain.get(name), str):
            plain[name] = [part.strip() for part in plain[name].split(",") if part.strip()]
    try:
        return model.checked(records.from_data(Settings, plain))
    except DindError:
        raise
    except Exception:  # noqa: BLE001 - a setting of another type: cattrs says so under many names
        raise KubeError(f"A setting of DIND has the wrong type; given were {sorted(plain)}.") from None


def look(
    arguments: Mapping[str, Any], settings: Settings, hostvars: Mapping[str, Any]
) -> tuple[Api, Settings, Cluster, list[str]]:
    """Return the cluster, the settings as its nodes decide them, and what is to be said of them."""
    hosts = _known(arguments["hosts"], hostvars)
    seen = {name: records.from_data(host.Host, one["dind_host"]) for name, one in hosts.items() if one.get("dind_host")}
    facts = {
        name: records.from_data(Facts, one["ansible_facts"]["runtime"])
        for name, one in hosts.items()
        if (one.get("ansible_facts") or {}).get("runtime")
    }
    registries, problems = registry_settings.of_nodes(facts)
    if settings.iptables == "auto":
        flavour = host.common_flavour({name: host.prepare(one) for name, one in seen.items()})
        settings = records.from_data(Settings, {**records.to_data(settings), "iptables": flavour})
    routes = [route for one in seen.values() for route in address_pools.routed(one.routes)]
    api = action_run.connect(dict(arguments))
    cluster = dind_cluster.look(api, registries, routes, settings.reserved_ranges, settings.namespace)
    return api, settings, cluster, problems


def _known(names: Sequence[str], hostvars: Mapping[str, Any]) -> dict[str, Any]:
    return {name: hostvars[name] for name in names if name in hostvars}
