"""Where the modules that talk to the Kubernetes API meet AnsibleModule: connection in, one sentence out."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import KubeError, Unreachable, own_fault

try:
    from .client import connect

    MISSING = IMPORT_ERROR = ""
except ImportError as error:
    # What the client itself needs may be missing as well.
    MISSING, IMPORT_ERROR = (error.name or "kubernetes").partition(".")[0], traceback.format_exc()

if TYPE_CHECKING:
    from .client import Api

#: The options every such module has; documented in doc_fragments/unshim.py.
KUBERNETES_OPTIONS: dict[str, Any] = {
    "node_name": {"type": "str", "required": True},
    "kubeconfig": {"type": "path", "default": ""},
    "context": {"type": "str", "default": ""},
    "api_timeout": {"type": "int"},
}


def run(module: Any, act: Callable[[Any, Api], dict[str, Any]], api_timeout: int = 120) -> None:
    """Connect, call ``act(module, api)`` and end the module with what it returns (a dict for ``exit_json``).

    Args:
        api_timeout: seconds for which an API server that does not answer is asked again, unless the user says otherwise.
    """
    if MISSING:
        from ansible.module_utils.basic import missing_required_lib

        module.fail_json(
            msg=missing_required_lib(MISSING, reason="on the controller, to talk to the Kubernetes API"),
            exception=IMPORT_ERROR,
        )
        return
    params = module.params
    outcome, failure = {}, None
    try:
        timeout = api_timeout if params["api_timeout"] is None else params["api_timeout"]
        outcome = act(module, connect(params["kubeconfig"], params["context"], timeout))
    except KubeError as error:
        error.details.pop("transient", None)
        failure = dict({"changed": False}, **error.details, msg=error.message)
        if isinstance(error, Unreachable):
            failure["api_unreachable"] = True
    except KeyboardInterrupt as error:
        failure = {
            "changed": False,
            "msg": f"{module._name} was interrupted ({error or 'from the keyboard'}). Run again.",
        }
    except Exception as error:  # noqa: BLE001 - the last line of defence
        failure = {"changed": False, "msg": own_fault(module._name, error)}
    # Outside the except blocks: inside, ansible-core appends a traceback or chained messages.
    if failure is not None:
        module.fail_json(**failure)
        return
    module.exit_json(**outcome)
