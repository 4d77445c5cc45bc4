"""The part of a plan that concerns pods' logs: who rotates them, and what no longer receives them."""

from __future__ import annotations

from . import carry_over, log_rotation
from .kubelet_command_line import flag_value
from .kubelet_configuration import LOG_MAX_FILES, LOG_MAX_SIZE
from .plan_draft import Draft
from .plan_model import NotCarried

DEFAULTS = "10Mi in a file, 5 files"  # the kubelet's


def rotation_to_set(draft: Draft) -> dict[str, str | int]:
    """Return what the kubelet's configuration must get so that logs are rotated as Docker did; {} if nothing.

    What the kubelet is told already stays. Findings say what changes for the operator.
    """
    if draft.source == "containerd" and not draft.daemon_json:
        return {}  # moved already, its Docker gone
    docker = log_rotation.from_docker(draft.daemon_json)
    origin = draft.docker_origins.get("log-opts", "/etc/docker/daemon.json")
    _note_options(draft, docker, origin)
    _warn_of_driver(draft, docker.driver)
    for option, value in docker.odd.items():
        draft.warn(
            "log-opts-unreadable",
            f"{origin}: log-opts: {option} is {value!r}, which is not taken over",
            f"Set {LOG_MAX_SIZE} and {LOG_MAX_FILES} in the kubelet's configuration.",
        )
    _warn_of_feature_gate(draft)
    kubelets = {
        LOG_MAX_SIZE: flag_value(draft.argv, "container-log-max-size") or draft.kubelet_config.get(LOG_MAX_SIZE),
        LOG_MAX_FILES: flag_value(draft.argv, "container-log-max-files") or draft.kubelet_config.get(LOG_MAX_FILES),
    }
    given = {key: value for key, value in kubelets.items() if value not in (None, "", 0)}
    if docker.driver not in ("json-file", "local"):
        return {}
    if docker.size is None:
        if not given:
            draft.note(
                "log-rotation-new",
                f"Docker did not limit container logs; on containerd the kubelet does: {DEFAULTS}, older output is removed",
                f"Set {LOG_MAX_SIZE} and {LOG_MAX_FILES} in the kubelet's configuration if pods need more.",
            )
        return {}
    wanted: dict[str, str | int] = {
        LOG_MAX_SIZE: log_rotation.quantity(docker.size),
        LOG_MAX_FILES: max(docker.files, log_rotation.FEWEST_FILES),
    }
    if given:
        if {key: str(value) for key, value in given.items()} != {key: str(value) for key, value in wanted.items()}:
            draft.note(
                "log-rotation-kubelets",
                f"the kubelet's own {_listed(given)} counts for container logs; Docker's was {_listed(wanted)}",
            )
        return {}
    if draft.kubelet_config_path and draft.kubelet_config_path not in draft.kubelet_config_paths:
        if draft.kubelet_config_path not in draft.facts.files:  # else it blocks already
            draft.warn(
                "log-rotation-not-set",
                f"Docker's limits on container logs, {_listed(wanted)}, cannot be set in {draft.kubelet_config_path}",
                f"Set them there by hand; without them the kubelet's own count: {DEFAULTS}.",
            )
        return {}
    if docker.files < log_rotation.FEWEST_FILES:
        draft.note(
            "log-rotation-files",
            f"Docker kept 1 file of each container's log; the kubelet keeps {log_rotation.FEWEST_FILES}, the fewest it takes",
        )
    if draft.file("/var/lib/kubelet/kubeadm-flags.env").kind != "missing" and draft.kubelet_config_path:
        draft.note(
            "log-rotation-kubeadm",
            f"{_listed(wanted)} is set in {draft.kubelet_config_path}, which kubeadm writes anew when the node is upgraded",
            "Put the same into the ConfigMap kubelet-config (before 1.24: kubelet-config-1.x) in kube-system.",
        )
    return wanted


def _listed(settings: dict[str, str | int]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())


def _note_options(draft: Draft, docker: log_rotation.Rotation, origin: str) -> None:
    options = draft.daemon_json.get("log-opts")
    for name, value in (options if isinstance(options, dict) else {}).items():
        if name not in log_rotation.SIZES:
            reason = log_rotation.OPTIONS.get(
                name, f"it is the log driver's, {docker.driver}, which containerd has not"
            )
            draft.not_carried.append(NotCarried(f"{origin}: log-opts.{name}", carry_over.shown(name, value), reason))


def _warn_of_driver(draft: Draft, driver: str) -> None:
    if driver in ("json-file", "local"):
        return
    origin = draft.docker_origins.get("log-driver", "/etc/docker/daemon.json")
    missing = log_rotation.DRIVERS.get(driver) or log_rotation.SENDS.format(f"the log driver {driver}")
    draft.warn(
        "log-driver",
        f"{origin} sets the log driver {driver}: {missing}",
        "Before this node moves, run a collector that reads /var/log/containers (as a DaemonSet), or do without.",
    )


def _warn_of_feature_gate(draft: Draft) -> None:
    gates = draft.kubelet_config.get("featureGates")
    values = {str(k): str(v).lower() for k, v in gates.items()} if isinstance(gates, dict) else {}
    for pair in (flag_value(draft.argv, "feature-gates") or "").split(","):
        name, _, value = pair.partition("=")
        values[name.strip()] = value.strip().lower()
    if values.get("CRIContainerLogRotation") == "false":
        draft.warn(
            "log-rotation-off",
            "the kubelet's feature gate CRIContainerLogRotation is off: on containerd nothing would limit container logs",
            "Take the feature gate out: it is on from 1.11, and cannot be off from 1.21.",
        )
