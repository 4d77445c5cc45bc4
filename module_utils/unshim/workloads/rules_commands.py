"""Rules for what containers run: commands, hooks, probes."""

from __future__ import annotations

from collections.abc import Iterator

from . import shell
from .model import Hit, Json, Path, Rule, ScanSettings
from .pod_specs import Container, PodSpec, text
from .uses_docker import container_commands, docker_commands, has_daemon, is_daemon

_CHECK = "kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/check-if-dockershim-removal-affects-you"
RULES = (
    Rule(
        "docker-command",
        "warn",
        "runs Docker's client",
        "On a containerd node no Docker daemon answers, or one that has none of the cluster's containers and images.",
        "Build with BuildKit, Podman or Buildah, look at containers with crictl, or give the pod a Docker daemon of its own.",
        _CHECK,
    ),
    Rule(
        "docker-probe",
        "block",
        "has a probe that runs Docker's client",
        "The probe fails on a containerd node, so the container never becomes ready or is restarted for ever.",
        "Probe what the container serves, not Docker.",
        f"{_CHECK}; kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes",
    ),
    Rule(
        "docker-in-docker",
        "info",
        "runs a Docker daemon of its own",
        "It goes on working, but on another runtime: look again at its cgroup (with cgroup v2 a privileged daemon can leave the "
        "pod's limits), iptables, MTU, open files and storage driver.",
        "Run a build on the first node that moved before the others follow.",
        "moby/moby#45378; docker-library/docker#467; github.com/actions/actions-runner-controller#393",
    ),
    Rule(
        "nsenter-host",
        "warn",
        "enters its node with nsenter",
        "A pod in the node's namespaces can do anything there, Docker included, and nothing in the object says what; scripts of "
        "this kind often ask docker.",
        "Read what it runs on the node; what looks at containers must use crictl.",
        f"{_CHECK} (privileged pods that run commands on the node)",
    ),
    Rule(
        "exec-probe-timeout",
        "warn",
        "has an exec probe with the default time-out of one second",
        "containerd ends a probe's command when its time-out is over, and the probe has failed. dockershim let it run on before "
        "Kubernetes 1.20, and after that where the feature gate ExecProbeTimeout is off. The API shows one second where "
        "timeoutSeconds was left out.",
        "Set timeoutSeconds to what the command needs on a busy node.",
        "kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes (ExecProbeTimeout)",
    ),
)
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
HOOKS = ("postStart", "preStop")


def check_pod(pod: PodSpec, _settings: ScanSettings) -> Iterator[Hit]:
    own_daemon = has_daemon(pod)
    for container in pod.containers:
        if is_daemon(container):
            yield Hit("docker-in-docker", (*container.path, "image"), container.image)
        if pod.spec.get("hostPID") is True:
            yield from _enters_node(container)
        for name in PROBES:
            probe = container.spec.get(name)
            if not isinstance(probe, dict) or not isinstance(probe.get("exec"), dict):
                continue
            path = (*container.path, name)
            if probe.get("timeoutSeconds") in (None, 0, 1):
                yield Hit("exec-probe-timeout", (*path, "exec", "command"), " ".join(_exec_words(probe)))
            if not own_daemon and not _has_remote_daemon(container) and docker_commands(_exec_words(probe)):
                yield Hit("docker-probe", (*path, "exec", "command"), " ".join(_exec_words(probe)))
        if own_daemon or _has_remote_daemon(container):
            continue
        seen: set[Path] = set()
        for path, _ in [*container_commands(container), *_hook_commands(container)]:
            if path not in seen:
                seen.add(path)
                yield Hit("docker-command", path, _at(container.spec, path[len(container.path) :]))


def check_object(data: Json, _settings: ScanSettings) -> Iterator[Hit]:
    """The Actions Runner Controller of summerwind.dev runs a daemon beside each runner unless told not to (its docs, dockerEnabled)."""
    if data.get("kind") not in ("Runner", "RunnerDeployment", "RunnerReplicaSet", "RunnerSet"):
        return
    path: Path = ("spec",) if data["kind"] in ("Runner", "RunnerSet") else ("spec", "template", "spec")
    spec: object = data
    for part in path:
        spec = spec.get(part) if isinstance(spec, dict) else None
    if isinstance(spec, dict) and spec.get("dockerEnabled", True) is not False:
        yield Hit("docker-in-docker", (*path, "dockerEnabled"), str(spec.get("dockerEnabled", "true, by default")))


def _hook_commands(container: Container) -> Iterator[tuple[Path, str]]:
    lifecycle = container.spec.get("lifecycle")
    for name in HOOKS:
        hook = lifecycle.get(name) if isinstance(lifecycle, dict) else None
        if isinstance(hook, dict):
            for one in docker_commands(_exec_words(hook)):
                yield (*container.path, "lifecycle", name, "exec", "command"), one


def _exec_words(action: Json) -> list[str]:
    execute = action.get("exec")
    command = execute.get("command") if isinstance(execute, dict) else None
    return [text(word) for word in command] if isinstance(command, list) else []


def _has_remote_daemon(container: Container) -> bool:
    """True if it is told of a daemon that is neither its node's nor in this pod; the rules for DOCKER_HOST speak of that one."""
    return any(
        entry.get("name") == "DOCKER_HOST" and text(entry.get("value")).startswith(("tcp://", "ssh://"))
        for _, entry in container.environment
    )


def _enters_node(container: Container) -> Iterator[Hit]:
    words = container.words()
    for path, script in words:
        found = shell.script_commands(script) if path[-1] in ("script", "source") else iter(())
        if any(one[0] == "nsenter" for one in found):
            yield Hit("nsenter-host", path, script)
            return
    array = [(path, word) for path, word in words if path[-1] not in ("script", "source")]
    if any(one[0] == "nsenter" for one in shell.commands([word for _, word in array])):
        path, word = next(((path, word) for path, word in array if "nsenter" in word), array[0])
        yield Hit("nsenter-host", path, word)


def _at(spec: Json, path: Path) -> str:
    value: object = spec
    for part in path:
        value = value[part]  # type: ignore[index]
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
