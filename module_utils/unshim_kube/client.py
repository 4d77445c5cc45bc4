"""The way to a cluster: kubeconfig, requests with time-outs and retries, errors in one sentence each.

Requests go through the official client (its kubeconfig, TLS, credential plugins and proxies) and return the API's own JSON,
so that nothing depends on which API versions a release of the client has classes for.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes import client, config, stream
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import DynamicApiError

from .errors import KubeError, Refused, Unreachable

CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 20.0  # seconds between two bytes
PAGE = 500  # objects per request of a list
# A restarting API server answers 401 and 403 until it has read its own rules; a wrong credential costs this wait once.
DENIED_GRACE = 10.0
TRANSIENT = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Executed:
    """What a command in a container left behind."""

    exit_code: int
    stdout: str
    stderr: str


def kubeconfig_paths(kubeconfig: str = "") -> list[Path]:
    """Return the kubeconfig files to read: the one given, else those of KUBECONFIG, else ~/.kube/config."""
    named = kubeconfig or os.environ.get("KUBECONFIG", "")
    if kubeconfig:
        return [Path(kubeconfig).expanduser()]
    if named:
        return [Path(part).expanduser() for part in named.split(os.pathsep) if part]
    return [Path("~/.kube/config").expanduser()]


def connect(kubeconfig: str = "", context: str = "", timeout: float = 10.0) -> Api:
    """Return a connection whose server has answered.

    Args:
        kubeconfig: path; "" means KUBECONFIG, else ~/.kube/config.
        context: context in it; "" means its current one.
        timeout: seconds for which a server that does not answer, or answers 5xx, is asked again; also later.

    Raises:
        KubeError: no usable kubeconfig, no answer, or not allowed in.
    """
    paths = kubeconfig_paths(kubeconfig)
    found = [path for path in paths if path.is_file()]
    named = ", ".join(str(path) for path in paths)
    if not found:
        raise KubeError(
            f"There is no kubeconfig at {named} on the controller. Name one with unshim_kubeconfig or KUBECONFIG; its user must "
            "be allowed to read and patch nodes, to evict pods and to create one."
        )
    for path in found:
        _check_file(path)
    merged = os.pathsep.join(str(path) for path in found)
    settings = client.Configuration()
    try:
        contexts, active = config.list_kube_config_contexts(config_file=merged)
    except (config.ConfigException, KeyError, TypeError) as error:
        raise KubeError(f"The kubeconfig {named} is not usable: {error}.") from None
    names = sorted(entry["name"] for entry in contexts)
    if context and context not in names:
        raise KubeError(f"The kubeconfig {named} has no context {context}; it has: {', '.join(names) or 'none'}.")
    try:
        config.load_kube_config(
            config_file=merged, context=context or None, client_configuration=settings, persist_config=False
        )
    except Exception as error:  # noqa: BLE001 - the loader lets anything through: base64, PEM, missing files, credential plugins
        raise KubeError(f"The kubeconfig {named} is not usable: {str(error).rstrip('.')}.") from None
    settings.retries = False
    settings.connection_pool_maxsize = 32
    settings.client_side_validation = False
    chosen = context or (active or {}).get("name", "")
    api = Api(settings, source=f"context {chosen} of {named}" if chosen else named, timeout=timeout)
    api.get("/version")
    return api


def _check_file(path: Path) -> None:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KubeError(f"The kubeconfig {path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}: {error.problem}" if mark else ""  # type: ignore[union-attr]
        raise KubeError(f"The kubeconfig {path} is not valid YAML{where}.") from None
    if not isinstance(data, dict) or not isinstance(data.get("clusters"), list):
        raise KubeError(f"The file {path} is not a kubeconfig: it has no clusters.")


class Api:
    """One cluster. Methods raise :class:`Refused` or :class:`Unreachable`; they may be called from several threads."""

    def __init__(self, settings: client.Configuration, source: str, timeout: float) -> None:
        self.server: str = settings.host
        self.source = source
        self.timeout = timeout
        self._settings = settings
        # No discoverer: paths are given in full, and its cache file in /tmp would outlive an upgrade of the cluster.
        self._client = DynamicClient(client.ApiClient(settings), discoverer=lambda _client, _cache_file: None)

    def get(self, path: str, *, retry_for: float | None = None, **query: Any) -> dict[str, Any]:
        return json.loads(self._request("GET", path, query, retry_for=retry_for))

    def text(self, path: str, **query: Any) -> str:
        return self._request("GET", path, query).decode("utf-8", "replace")

    def list_objects(self, path: str, *, retry_for: float | None = None, **query: Any) -> list[dict[str, Any]]:
        """Return every object of a list, read page by page."""
        return self.list_with_version(path, retry_for=retry_for, **query)[0]

    def list_with_version(
        self, path: str, *, retry_for: float | None = None, **query: Any
    ) -> tuple[list[dict[str, Any]], str]:
        """As :meth:`list_objects`, with the resource version to watch from."""
        objects: list[dict[str, Any]] = []
        token = ""
        while True:
            page = dict(query, limit=PAGE)
            if token:
                page["continue"] = token
            try:
                answer = self.get(path, retry_for=retry_for, **page)
            except Refused as error:
                if error.status != 410 or not token:
                    raise
                objects, token = [], ""  # the first page has expired meanwhile
                continue
            objects += answer.get("items") or []
            token = answer["metadata"].get("continue") or ""
            if not token:
                return objects, answer["metadata"].get("resourceVersion", "")

    def post(self, path: str, body: dict[str, Any], *, retry_for: float | None = None, **query: Any) -> dict[str, Any]:
        return json.loads(self._request("POST", path, query, body=body, retry_for=retry_for))

    def patch(self, path: str, body: dict[str, Any], *, retry_for: float | None = None) -> dict[str, Any]:
        """Apply a JSON merge patch: None deletes a key."""
        answer = self._request(
            "PATCH", path, {}, body=body, content_type="application/merge-patch+json", retry_for=retry_for
        )
        return json.loads(answer)

    def delete(
        self, path: str, *, retry_for: float | None = None, body: dict[str, Any] | None = None, **query: Any
    ) -> None:
        """Delete one object; it is no error if it is gone already. ``body`` is DeleteOptions, such as preconditions."""
        try:
            self._request("DELETE", path, query, body=body, retry_for=retry_for)
        except Refused as error:
            if error.status != 404:
                raise

    def watch(self, path: str, *, seconds: int, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield watch events ({"type", "object"}) until the server ends the watch after ``seconds``."""
        query.update(watch="true", timeoutSeconds=seconds)
        response = self._once("GET", path, query, None, "", (CONNECT_TIMEOUT, seconds + READ_TIMEOUT))
        rest = b""
        try:
            for chunk in response.stream(amt=None, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line.strip())
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from None
        finally:
            response.close()

    def execute(self, namespace: str, pod: str, container: str, command: list[str], timeout: float = 15.0) -> Executed:
        """Run ``command`` in a container and return what it printed.

        Raises:
            KubeError: the command could not be started, or did not end in time.
        """
        # The official stream() swaps a method of its client while it connects: a client of its own.
        core = client.CoreV1Api(client.ApiClient(self._settings))
        try:
            session = stream.stream(
                core.connect_get_namespaced_pod_exec,
                pod,
                namespace,
                container=container,
                command=command,
                stdin=False,
                stdout=True,
                stderr=True,
                tty=False,
                _preload_content=False,
                _request_timeout=timeout,
            )
        except Exception as error:  # noqa: BLE001 - websocket, ssl and API errors alike arrive here under many types
            said = " ".join(str(error).split())
            raise KubeError(f"exec into {namespace}/{pod} failed: {said[:300] or type(error).__name__}") from None
        try:
            session.run_forever(timeout=timeout)
            if session.is_open():
                raise KubeError(
                    f"exec of {' '.join(command)[:80]} in {namespace}/{pod} did not end within {timeout:.0f} s"
                )
            stdout, stderr = session.read_stdout(timeout=0) or "", session.read_stderr(timeout=0) or ""
            code = session.returncode
        except KubeError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            raise KubeError(f"exec into {namespace}/{pod} broke off: {' '.join(str(error).split())[:300]}") from None
        finally:
            session.close()
        return Executed(-1 if code is None else code, stdout, stderr)

    def _request(
        self,
        method: str,
        path: str,
        query: dict[str, Any],
        body: dict[str, Any] | None = None,
        content_type: str = "",
        retry_for: float | None = None,
    ) -> bytes:
        patience = self.timeout if retry_for is None else retry_for
        began = time.monotonic()
        pause = 0.25
        while True:
            left = patience - (time.monotonic() - began)
            timeouts = (
                (CONNECT_TIMEOUT, READ_TIMEOUT)
                if left <= 0
                else (min(CONNECT_TIMEOUT, left + 1), min(READ_TIMEOUT, left + 5))
            )
            try:
                return self._once(method, path, query, body, content_type, timeouts).data
            except Unreachable as error:
                if not error.details.pop("transient", False) or left <= pause:
                    raise
            except (urllib3.exceptions.HTTPError, OSError) as error:  # while the body was read
                if left <= pause:
                    raise self._unreachable(error) from None
            except Refused as error:
                denied = error.status in (401, 403) and time.monotonic() - began < min(DENIED_GRACE, patience / 4)
                if left <= pause or not (error.status in TRANSIENT or denied):
                    raise
            time.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 2, 2.0)

    def _once(
        self,
        method: str,
        path: str,
        query: dict[str, Any],
        body: dict[str, Any] | None,
        content_type: str,
        timeouts: tuple[float, float],
    ) -> Any:
        try:
            return self._client.request(
                method,
                path,
                body=body,
                query_params=list(query.items()),
                header_params={},
                content_type=content_type or "application/json",
                _request_timeout=timeouts,
                serialize=False,
            )
        except DynamicApiError as error:
            if not error.status:  # the client's own wrapping of TLS failures
                raise self._unreachable(error) from None
            raise self._refused(error, method, path) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from None

    def _refused(self, error: DynamicApiError, method: str, path: str) -> Refused:
        body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else error.body or ""
        try:
            status = json.loads(body)
        except ValueError:
            status = {}
        if not isinstance(status, dict):
            status = {}
        said = str(status.get("message") or " ".join(body.split())[:200] or error.reason or "")
        details = status.get("details") or {}
        causes = tuple(cause for cause in details.get("causes") or () if isinstance(cause, dict))
        if error.status == 401:
            message = (
                f"The Kubernetes API server at {self.server} does not accept the credentials of {self.source} (401). "
                "They may have expired; use a kubeconfig that works with kubectl."
            )
        elif error.status == 403:
            message = f"The user of {self.source} may not do this at {self.server}: {said} (403). Give it the right, or use another user."
        else:
            message = f"The Kubernetes API server at {self.server} refused {method} {path}: {said} ({error.status})."
        return Refused(message, int(error.status), said, str(status.get("reason") or ""), causes)

    def _unreachable(self, error: BaseException) -> Unreachable:
        kind, said = _describe(error)
        remedy = {
            "tls": "Check certificate-authority and server in the kubeconfig.",
            "name": "Check server in the kubeconfig.",
        }.get(
            kind, "Check server in the kubeconfig, and that the API server runs and can be reached from the controller."
        )
        return Unreachable(
            f"The Kubernetes API server at {self.server} ({self.source}) could not be asked: {said}. {remedy}",
            {"transient": kind not in ("tls", "name")},
        )


def _describe(error: BaseException) -> tuple[str, str]:
    """Return the kind of a connection failure ("tls", "name", "other") and what happened, in few words."""
    text = " ".join(str(getattr(error, "reason", None) or error).split())
    lowered = text.lower()
    if "certificate_verify_failed" in lowered:
        cause = lowered.rpartition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        return "tls", f"its certificate is not the one expected ({cause})"
    if "wrong_version_number" in lowered or "record_layer" in lowered or "unknown_protocol" in lowered:
        return "tls", "it does not speak TLS on this port"
    if (
        isinstance(error, urllib3.exceptions.SSLError)
        or "ssl" in type(error).__name__.lower()
        or "[ssl" in lowered
        or "[x509" in lowered
    ):
        return "tls", f"TLS failed ({text[:200]})"
    if "refused" in lowered:
        return "other", "connection refused"
    if "name or service not known" in lowered or "failed to resolve" in lowered or "nodename nor servname" in lowered:
        return "name", "its name does not resolve"
    if isinstance(error, urllib3.exceptions.TimeoutError) or "timed out" in lowered:
        return "other", "no answer in time"
    if "no route" in lowered or "unreachable" in lowered:
        return "other", "no route to it"
    if "reset" in lowered or "aborted" in lowered or "closed connection" in lowered or "without response" in lowered:
        return "other", "it closed the connection"
    return "other", text[:200] or type(error).__name__
