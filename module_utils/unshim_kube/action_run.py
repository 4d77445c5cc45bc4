"""Where the actions that talk to the Kubernetes API, on the controller, meet Ansible: options in, one sentence out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from ansible.plugins.action import ActionBase

from .errors import KubeError, Unreachable, own_fault

if TYPE_CHECKING:
    from .client import Api

#: The options every such action has; documented in doc_fragments/unshim.py.
CLUSTER_OPTIONS: dict[str, Any] = {
    "kubeconfig": {"type": "path", "default": ""},
    "context": {"type": "str", "default": ""},
}


def connect(arguments: dict[str, Any], timeout: float = 30.0) -> Api:
    """Return the cluster that an action's arguments name.

    Raises:
        KubeError: it cannot be reached, or the library for it is missing.
    """
    try:
        from .client import connect as connect_to
    except ImportError as error:
        raise KubeError(
            f"Python's {error.name or 'kubernetes'} is missing beside Ansible on the controller; it talks to the Kubernetes "
            "API. Install it with: pip install kubernetes"
        ) from None
    return connect_to(arguments["kubeconfig"], arguments["context"], timeout)


def outcome(name: str, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what ``act`` returns, or the failure that an operator shall read."""
    try:
        return {"changed": False, **act()}
    except KubeError as error:
        error.details.pop("transient", None)
        unreachable = {"api_unreachable": True} if isinstance(error, Unreachable) else {}
        return {"changed": False, "failed": True, **error.details, **unreachable, "msg": error.message}
    except Exception as error:  # noqa: BLE001 - the last line of defence
        return {"changed": False, "failed": True, "msg": own_fault(name, error)}


class ClusterAction(ActionBase):
    """An action that does its work on the controller and asks the Kubernetes API; no connection to the host is made.

    A plugin's class has its options besides CLUSTER_OPTIONS in ``OPTIONS``, and ``act``, which returns what the module does.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False
    OPTIONS: ClassVar[dict[str, Any]] = {}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(self.options())
        name = str(self._task.action).rpartition(".")[2]
        result.update(outcome(name, lambda: self.act(arguments)))
        return result

    def options(self) -> dict[str, Any]:
        return {**CLUSTER_OPTIONS, **self.OPTIONS}

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        raise KubeError("This action does nothing.")
