"""The code of Ansible's modules, run here on a node that is somewhere else.

What a module decides, writes, proves and takes back is so the same whether Ansible brings it to a node's Python or the node
has none.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shell_place import ConnectedNode

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from unshim_node import containerd_config, containerd_install, download, module_run, place


class ModuleFailed(Exception):
    """A module ended with an error; the message is its own, whole sentences."""


class ModuleFromAfar:
    """What the code of our modules uses of an AnsibleModule.

    Attributes:
        warnings: what it has to tell.
        no_log_values: what must not be shown.
    """

    def __init__(self, name: str, params: dict[str, Any], check_mode: bool) -> None:
        self._name, self.params, self.check_mode = name, params, check_mode
        self.warnings: list[str] = []
        self.no_log_values: set[str] = set()

    def warn(self, warning: str) -> None:
        self.warnings.append(warning)

    def shown(self, value: Any) -> Any:
        """Return a value with everything that must not be shown masked, as AnsibleModule does with its results."""
        if isinstance(value, dict):
            return {key: self.shown(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.shown(one) for one in value]
        if isinstance(value, str):
            for secret in sorted(self.no_log_values, key=len, reverse=True):
                value = value.replace(secret, "********")
        return value


def _install(module: ModuleFromAfar) -> dict[str, Any]:
    return containerd_install.act(module, lambda url: io.BytesIO(download.read(url, containerd_install.KEY_LIMIT)))


ACTS: dict[str, Callable[[ModuleFromAfar], dict[str, Any]]] = {
    "containerd_install": _install,
    "containerd_config": containerd_config.act,
}


def run(
    node: ConnectedNode, name: str, arguments: dict[str, Any], check_mode: bool, warnings: list[str]
) -> dict[str, Any]:
    """Run a module of ``library/`` on ``node`` and return its result.

    Args:
        node: connected.
        name: of the module.
        arguments: all of them.
        check_mode: change nothing, and say what would be changed.
        warnings: its warnings are added.

    Raises:
        ModuleFailed: in its words.
    """
    module = ModuleFromAfar(name, arguments, check_mode)
    with place.at(node):
        outcome, failure = module_run.attempt(module, ACTS[name])
    warnings += [module.shown(warning) for warning in module.warnings]
    if failure is not None:
        raise ModuleFailed(module.shown(failure["msg"]))
    return module.shown(outcome)
