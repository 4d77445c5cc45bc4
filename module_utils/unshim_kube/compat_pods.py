"""Probe pods on one node: made, looked into, and always deleted. What they show, as values by name."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from unshim import canary_pod, node_gate
from unshim.node_compat import observation, pods
from unshim.sections import ProbeError

from . import node_view, services
from .canary import Canary, remove_leftovers, repeat
from .errors import KubeError, Refused, Unreachable

if TYPE_CHECKING:
    from .client import Api

Json = dict[str, Any]
#: How long a look takes its time: the kubelet's probe every 4 s, cAdvisor's housekeeping every 10 to 15 s.
PROBE_SHOWN = 15.0
METRICS_SHOWN = 45.0
SANDBOX_PATIENCE = 30.0
# Where the pod's log lies on the node, and what the script prints of it.
LogReader = Callable[[str], str]


def no_sandbox(pod: Canary, seen: Json) -> str:
    """Return what the kubelet says of a pod that it could not even begin; after half a minute, in which a network may come up."""
    created = node_gate.unix_time(seen["metadata"].get("creationTimestamp"))
    has_begun = any(one.get("containerID") for one in pods.states(seen).values())
    if has_begun or not created or time.time() - created < SANDBOX_PATIENCE:
        return ""
    return next((event for event in pod.events() if event.startswith("FailedCreatePodSandBox")), "")


class Look:
    """What probe pods on one node show; ``values`` and ``reasons`` are as in :class:`unshim.node_compat.model.Observed`.

    Args:
        image: has a shell, and busybox' applets.
        timeout: seconds a pod may take to run.
        read_log: runs ``container_log.sh`` on the node with a directory.
    """

    def __init__(self, api: Api, node: Json, namespace: str, image: str, timeout: float, read_log: LogReader) -> None:
        self._api = api
        self._node = node
        self._name: str = node["metadata"]["name"]
        self._namespace = namespace
        self._image = image
        self._timeout = timeout
        self._read_log = read_log
        self.values: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self._digest = ""

    def look(self, more_images: list[str], known_digest: str) -> None:
        """Fill ``values`` and ``reasons``.

        Args:
            more_images: to be pulled besides the probe image.
            known_digest: "repository@sha256:..." of the probe image, from an earlier run.
        """
        remove_leftovers(self._api, self._namespace, self._name, pods.SELECTOR)
        self._look_into_the_pod()
        # A runtime that starts no pod starts no other; what it says of this one is enough.
        if self.values.get("pod.start", "").startswith("running"):
            self._pull(more_images, known_digest or self._digest)
        else:
            self.reasons["pull"] = "the probe pod does not run"

    def _look_into_the_pod(self) -> None:
        name = "unshim-compat-" + secrets.token_hex(4)
        token = "unshim-token-" + secrets.token_hex(8)
        port = pods.free_port(node_view.pods_on(self._api, self._name))
        manifest = pods.probe_pod(name, self._namespace, self._name, self._image, token, port)
        self.values.update({"pod.name": name, "pod.token": token})
        try:
            with Canary(self._api, manifest, self._timeout) as pod:
                began = time.monotonic()
                seen, why = pod.wait(
                    pods.is_settled, lambda one: pods.hopeless(one) or no_sandbox(pod, one), self._timeout
                )
                if why or not pods.is_settled(seen):
                    self._not_running(pod, seen, why)
                    return
                self.values["pod.start"] = "running"
                self._of_status(seen)
                self._probe_timeout(pod, began)
                self._of_containers(pod)
                self._of_log(pod, seen, token)
                self._of_host(seen, port, token)
                self._of_metrics(name)
                gone = pod.delete()
                self.values["pod.deleted"] = (
                    "" if gone is None else " ".join([f"{gone:.1f}", *pods.exit_codes(pod.last)])
                )
        except Refused as error:
            self.values["pod.start"] = f"the probe pod was refused: {error.said or error.message}"
            for group in ("pod", "plain", "user", "host"):
                self.reasons[group] = self.values["pod.start"]

    def _not_running(self, pod: Canary, seen: Json, why: str) -> None:
        states = pods.states(seen)
        waiting = [
            f"container {name} {next(iter(one.get('state') or {'unknown': 0}))}"
            for name, one in sorted(states.items())
            if name in pods.RUNNING + pods.ENDING
        ]
        told = why or f"not running after {self._timeout:.0f} s ({', '.join(waiting) or canary_pod.waiting_for(seen)})"
        events = [event for event in pod.events() if not event.startswith("Unhealthy")]
        self.values["pod.start"] = told + (f"; events: {'; '.join(events)}" if events else "")
        for group in ("pod", "plain", "user", "host"):
            self.reasons[group] = "the probe pod does not run"

    def _of_status(self, seen: Json) -> None:
        states = pods.states(seen)
        address = (seen.get("status") or {}).get("podIP") or ""
        self.values["pod.address"] = address
        gate = node_gate.address_gate(address, self._node, [], [])
        if not gate.passed and node_gate.pod_cidrs(self._node):
            # Only an address that looks wrong is worth reading the whole cluster for.
            everything = self._api.list_objects("/api/v1/pods")
            gate = node_gate.address_gate(address, self._node, everything, node_view.list_nodes(self._api))
        self.values["pod.address-gate"] = f"{'passed' if gate.passed else 'failed'} {gate.evidence}"
        for name in ("ends", "greedy"):
            ended = states[name]["state"]["terminated"]
            words = [str(ended.get("exitCode")), ended.get("reason") or "", (ended.get("message") or "").strip()]
            self.values[f"pod.{name}"] = " ".join(word for word in words if word)
        self._digest = pods.digest_of(states["plain"].get("imageID") or "")

    def _probe_timeout(self, pod: Canary, began: float) -> None:
        """See whether a probe of 3 s that may take 1 s counts as passed."""
        while True:
            slow = pods.states(pod.read()).get("slow", {})
            if slow.get("ready"):
                self.values["pod.slow"] = "ready after a probe that took longer than it may"
                return
            failed = next((event for event in self._unhealthy(pod)), "")
            waited = time.monotonic() - began
            if failed or waited > PROBE_SHOWN:
                said = f"the kubelet says {failed[:160]}" if failed else f"no such event in {waited:.0f} s"
                self.values["pod.slow"] = f"not ready; {said}"
                return
            time.sleep(1.0)

    def _unhealthy(self, pod: Canary) -> list[str]:
        return [event for event in pod.events() if event.startswith("Unhealthy")]

    def _of_containers(self, pod: Canary) -> None:
        for container in ("plain", "user"):
            self._inside(pod, container)
        self.values["pod.exec"] = self._exec(pod)
        if "plain.resolver" in self.values:
            self._resolve(pod)

    def _exec(self, pod: Canary) -> str:
        try:
            done = pod.run("plain", "/bin/sh", "-c", f"echo out; echo err >&2; exit {pods.EXIT_CODE}")
        except Unreachable:
            raise
        except KubeError as error:
            return error.message
        return f"exit code {done.exit_code}, stdout {done.stdout.strip()!r}, stderr {done.stderr.strip()!r}"

    def _inside(self, pod: Canary, container: str) -> None:
        try:
            done = pod.run(container, "/bin/sh", "-c", observation.script("container.sh"), timeout=30.0)
            self.values.update(observation.from_sections(container, done.stdout))
        except Unreachable:
            raise
        except (KubeError, ProbeError) as error:
            self.reasons[container] = error.message if isinstance(error, KubeError) else str(error)

    def _resolve(self, pod: Canary) -> None:
        service, address = services.dns_service(self._api), services.api_service(self._api)
        if service is None or not service[1] or address is None:
            return
        name = canary_pod.service_name(self.values["plain.resolver"])

        def attempt() -> tuple[bool, str]:
            done = pod.run("plain", "/bin/sh", "-c", canary_pod.RESOLVE_SCRIPT, name, timeout=30.0)
            tool, answer = canary_pod.tool_answer(done.stdout)
            if not tool or address[0] in answer.split():
                return True, f"{tool} resolved {name}" if tool else ""
            return False, f"failed: {tool} could not resolve {name}: {' '.join(answer.split())[-200:]}"

        self.values["pod.resolved"] = repeat(attempt, 20)[1]

    def _of_log(self, pod: Canary, seen: Json, token: str) -> None:
        try:
            log = self._api.text(f"{pod.path}/log", container="plain")
        except Refused as error:
            log = error.message
        self.values["pod.log"] = observation.from_log(log, token)
        try:
            self.values["pod.console"] = self._api.text(f"{pod.path}/log", container="console")
        except Refused as error:
            self.values["pod.console"] = error.message
        uid = seen["metadata"]["uid"]
        try:
            text = self._read_log(f"/var/log/pods/{self._namespace}_{pod.name}_{uid}/plain")
            self.values.update(observation.from_sections("pod", text))
        except ProbeError as error:
            self.reasons["pod.log-lines"] = str(error)

    def _of_host(self, seen: Json, port: int, token: str) -> None:
        """Ask the pod's ports from a pod in the node's network."""
        manifest = pods.host_pod("unshim-compat-host-" + secrets.token_hex(4), self._namespace, self._name, self._image)
        try:
            with Canary(self._api, manifest, self._timeout) as host:
                started, why = host.wait(canary_pod.is_running, canary_pod.hopeless, self._timeout)
                if why or not canary_pod.is_running(started):
                    self.reasons["host"] = (
                        f"the pod in the node's network does not run: {why or canary_pod.waiting_for(started)}"
                    )
                    return
                self._inside(host, "host")
                address = observation.from_cluster(self._node)["node.internal-address"]
                for name, where in (
                    ("host-port", (address, port)),
                    ("pod-port", (self.values["pod.address"], pods.PORT)),
                ):
                    self.values[f"host.{name}"] = self._ask(host, where[0], where[1], token)
                host.delete()
        except Refused as error:
            self.reasons["host"] = f"a pod in the node's network was refused: {error.said or error.message}"

    def _ask(self, host: Canary, address: str, port: int, token: str) -> str:
        def attempt() -> tuple[bool, str]:
            tool, _, answer = host.run("host", "/bin/sh", "-c", pods.ASK, address, str(port)).stdout.partition("\n")
            if tool == "none" or token in answer:
                return True, "none" if tool == "none" else f"answered at {address} port {port}"
            return False, f"no answer at {address} port {port}"

        return repeat(attempt, 15)[1]

    def _of_metrics(self, name: str) -> None:
        deadline = time.monotonic() + METRICS_SHOWN
        while True:
            try:
                text = self._api.text(f"/api/v1/nodes/{self._name}/proxy/metrics/cadvisor")
            except Refused as error:
                self.reasons["pod.metrics"] = f"the kubelet's metrics may not be read: {error.said or error.message}"
                return
            found = observation.from_metrics(text, name)
            if "container_memory_working_set_bytes" in found or time.monotonic() >= deadline:
                self.values["pod.metrics"] = found
                return
            time.sleep(2.0)

    def _pull(self, more_images: list[str], digest: str) -> None:
        images = list(dict.fromkeys([self._image, *more_images]))
        asked = [*images, digest] if digest else images
        if not digest:
            self.reasons["pull.digest"] = f"the cluster shows no digest of {self._image}"
        manifest = pods.pull_pod("unshim-compat-pull-" + secrets.token_hex(4), self._namespace, self._name, asked)
        try:
            with Canary(self._api, manifest, self._timeout) as pod:
                seen, _ = pod.wait(
                    lambda one: len(pods.pulled(one)) == len(asked) and all(pods.pulled(one).values()),
                    lambda _: "",
                    self._timeout,
                )
                found = pods.pulled(seen)
                pod.delete()
        except Refused as error:
            self.reasons["pull"] = f"the pod was refused: {error.said or error.message}"
            return
        results = [found.get(f"image-{number}") or "not pulled in time" for number in range(len(asked))]
        told = [
            "pulled " + image if how == "pulled" else f"failed {image}: {how}"
            for image, how in zip(asked, results, strict=True)
        ]
        self.values["pull.images"] = "\n".join(told[: len(images)])
        if digest:
            self.values["pull.digest"] = told[-1]
            self.values["pull.reference"] = digest
