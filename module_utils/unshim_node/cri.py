"""The Container Runtime Interface, asked of the runtime itself as the kubelet asks it.

Messages and field numbers: https://github.com/kubernetes/cri-api, pkg/apis/runtime/v1/api.proto. v1alpha2 has the same
numbers for everything used here.
"""

import contextlib
import errno
import functools
import time
from typing import Any, Dict, List, NamedTuple, Optional

from . import cri_by_ctr, grpc_call, place, socket_by_perl
from .errors import NodeError
from .protobuf_wire import field, integer, message, messages, parse, text, text_map, texts

APIS = ("v1", "v1alpha2")
CONTAINER_STATES = ("created", "running", "exited", "unknown")
NOT_SERVED_AFTER = 2.0  # s
GRACE_ANNOTATION = "io.kubernetes.pod.terminationGracePeriod"  # kubernetes, pkg/kubelet/kuberuntime/labels.go

Version = NamedTuple("Version", [("runtime_name", str), ("runtime_version", str), ("runtime_api_version", str)])
Condition = NamedTuple("Condition", [("status", bool), ("reason", str), ("message", str)])
PodSandbox = NamedTuple("PodSandbox", [("id", str), ("name", str), ("namespace", str), ("uid", str), ("ready", bool)])
Container = NamedTuple(
    "Container",
    [
        ("id", str),
        ("pod_sandbox_id", str),
        ("name", str),
        ("state", str),  # one of CONTAINER_STATES
        ("grace", Optional[int]),  # s, as the kubelet noted it on the container
    ],
)


class CriError(NodeError):
    """The runtime did not answer as a kubelet needs it.

    Attributes:
        status: the gRPC status number, if there was one.
        unreachable: nobody listens on the socket.
    """

    def __init__(self, message, details=None, status=None, unreachable=False):
        super(CriError, self).__init__(message, details)
        self.status = status
        self.unreachable = unreachable


def understood(call):
    """Make CriError of what ``call`` of a :class:`Client` cannot read in an answer: the messages inside the one it got."""

    @functools.wraps(call)
    def whole(self, *arguments):
        try:
            return call(self, *arguments)
        except ValueError as error:
            raise CriError(
                "%s answered CRI %s with something else than CRI (%s)." % (self.socket_path, self.api, error),
                {"socket": self.socket_path, "cri_api": self.api},
            ) from error

    return whole


class Client(object):
    """Speaks one version of the CRI with one socket; each call is a connection of its own, so threads may share it.

    Args:
        socket_path: a path, or an endpoint such as "unix:///run/containerd/containerd.sock".
        api: "v1" or "v1alpha2"; a kubelet below 1.23 speaks v1alpha2 only, from 1.26 v1 only.
        timeout: seconds for each call.
    """

    def __init__(self, socket_path, api="v1", timeout=10.0):
        if api not in APIS:
            raise CriError("There is no CRI version %r; this asks for %s." % (api, " or ".join(APIS)))
        self.socket_path = socket_file(socket_path)
        self.api = api
        self.timeout = timeout

    def version(self) -> Version:
        reply = self._runtime("Version", b"")
        return Version(text(reply, 2), text(reply, 3), text(reply, 4))

    @understood
    def status(self) -> Dict[str, Condition]:
        """Return the runtime's conditions by type: RuntimeReady, NetworkReady."""
        status = message(self._runtime("Status", b""), 1)
        return {
            text(condition, 1): Condition(bool(integer(condition, 2)), text(condition, 3), text(condition, 4))
            for condition in messages(status, 1)
        }

    @understood
    def image_names(self) -> List[str]:
        """Return every tag and digest the runtime has, sorted."""
        names = set()
        for image in messages(self._image("ListImages", b""), 1):
            names.update(texts(image, 2))
            names.update(texts(image, 3))
        return sorted(names)

    def image_present(self, name: str) -> bool:
        """Return whether the kubelet would find ``name`` and not pull it."""
        return 1 in self._image("ImageStatus", field(1, field(1, name)))

    @understood
    def pod_sandboxes(self) -> List[PodSandbox]:
        found = []
        for item in messages(self._runtime("ListPodSandbox", b""), 1):
            names = message(item, 2)
            found.append(
                PodSandbox(text(item, 1), text(names, 1), text(names, 3), text(names, 2), integer(item, 3) == 0)
            )
        return found

    @understood
    def containers(self) -> List[Container]:
        found = []
        for item in messages(self._runtime("ListContainers", b""), 1):
            state = integer(item, 6)
            found.append(
                Container(
                    text(item, 1),
                    text(item, 2),
                    text(message(item, 3), 1),
                    CONTAINER_STATES[state] if state < len(CONTAINER_STATES) else "unknown",
                    _grace(text_map(item, 9)),
                )
            )
        return found

    def stop_container(self, container_id: str, grace: int) -> None:
        """Send the stop signal, wait ``grace`` seconds, then kill."""
        self._runtime("StopContainer", field(1, container_id) + field(2, grace), self.timeout + grace)

    def stop_pod_sandbox(self, sandbox_id: str) -> None:
        """Stop the sandbox and what still runs in it; its network is taken down by CNI DEL."""
        self._runtime("StopPodSandbox", field(1, sandbox_id))

    def remove_pod_sandbox(self, sandbox_id: str) -> None:
        """Remove the sandbox and its containers. A sandbox that is gone is no error."""
        self._runtime("RemovePodSandbox", field(1, sandbox_id))

    def _runtime(self, method, request, timeout=None):
        return self._call("RuntimeService", method, request, timeout)

    def _image(self, method, request):
        return self._call("ImageService", method, request, None)

    def _call(self, service: str, method: str, request: bytes, timeout: Optional[float]) -> Dict[int, List[Any]]:
        path = "/runtime.%s.%s/%s" % (self.api, service, method)
        details = {"socket": self.socket_path, "cri_api": self.api}
        try:
            return parse(grpc_call.call(self.socket_path, path, request, timeout or self.timeout))
        except grpc_call.TimedOut as error:
            raise CriError(
                "%s did not answer CRI %s %s: %s. Look at `journalctl -u containerd`."
                % (self.socket_path, self.api, method, error.reason),
                details,
            ) from error
        except grpc_call.CallFailed as error:
            if error.status == grpc_call.UNIMPLEMENTED:
                raise CriError(
                    "%s answers but does not serve CRI %s (%s). Either the CRI plugin is disabled or failed to load "
                    "(see `ctr plugins ls`), or this runtime is of a version without CRI %s."
                    % (self.socket_path, self.api, error.reason, self.api),
                    details,
                    error.status,
                ) from error
            raise CriError(
                "CRI %s %s on %s failed: %s." % (self.api, method, self.socket_path, error.reason),
                details,
                error.status,
            ) from error
        except OSError as error:
            gone = error.errno in (errno.ENOENT, errno.ECONNREFUSED)
            raise CriError("%s %s" % (self.socket_path, _unreachable(error)), details, unreachable=gone) from error
        except ValueError as error:
            raise CriError(
                "%s answered CRI %s %s with something else than CRI (%s)."
                % (self.socket_path, self.api, method, error),
                details,
            ) from error


def wait_ready(socket_path, apis, timeout, require=("RuntimeReady",), interval=0.2):
    """Ask until the runtime serves one of ``apis`` and every condition in ``require`` is true.

    Args:
        apis: the CRI versions the kubelet speaks; as for the kubelet, the first that is served is taken. Empty, for a
            node without a kubelet, means any.
        timeout: seconds to go on asking; there is always one try.

    Returns:
        {"api", "runtime_name", "runtime_version", "runtime_api_version",
        "conditions": {type: {"status", "reason", "message"}}}

    Raises:
        CriError: what was still wrong in the end.
    """
    if place.away() and not socket_by_perl.is_usable():
        return cri_by_ctr.wait_ready(socket_file(socket_path), timeout, CriError)
    began = time.monotonic()
    while True:
        failures = []
        for api in apis or APIS:
            patience = max(0.5, min(10.0, began + timeout - time.monotonic()))
            try:
                return _ready(Client(socket_path, api, patience), require)
            except CriError as error:
                failures.append(error)
        # What the first kubelet choice says counts, unless that version is not served and another one is.
        failure = next((one for one in failures if one.status != grpc_call.UNIMPLEMENTED), failures[0])
        waited = time.monotonic() - began
        # containerd serves only after all its plugins are loaded: a version that is missing then stays missing.
        final = failure.status == grpc_call.UNIMPLEMENTED and waited >= NOT_SERVED_AFTER
        if final or waited + interval >= timeout:
            raise CriError("%s (Waited %.1f s.)" % (failure.message, waited), failure.details, failure.status)
        time.sleep(interval)


def _ready(client, require):
    version = client.version()
    conditions = client.status()
    as_data = {kind: dict(value._asdict()) for kind, value in conditions.items()}
    missing = [kind for kind in require if not (kind in conditions and conditions[kind].status)]
    if missing:
        raise CriError(
            "The runtime at %s is not ready: %s."
            % (client.socket_path, "; ".join(_condition_text(kind, conditions) for kind in missing)),
            {"conditions": as_data},
        )
    return dict(version._asdict(), api=client.api, conditions=as_data)


def socket_file(endpoint: str) -> str:
    """Return the path of an endpoint: "unix:///run/x.sock", "unix:/run/x.sock" or the path itself."""
    for scheme in ("unix://", "unix:"):
        if endpoint.startswith(scheme):
            return endpoint[len(scheme) :]
    return endpoint


def _grace(annotations):
    with contextlib.suppress(KeyError, ValueError):
        return max(0, int(annotations[GRACE_ANNOTATION]))
    return None


def _condition_text(kind, conditions):
    if kind not in conditions:
        return "it does not report %s" % kind
    condition = conditions[kind]
    return "%s is false, %s: %s" % (kind, condition.reason or "no reason given", condition.message or "no message")


def _unreachable(error):
    if error.errno == errno.ENOENT:
        return "does not exist. Start containerd (`systemctl start containerd`) or correct the socket's path."
    if error.errno == errno.ECONNREFUSED:
        return "exists but nobody listens on it. Start containerd (`systemctl restart containerd`)."
    if error.errno in (errno.EACCES, errno.EPERM):
        return "may be opened by root only. Use `become: true`."
    return "cannot be connected: %s." % (error.strerror or error)
