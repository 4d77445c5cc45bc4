"""node-problem-detector on a node that runs containerd: the checker of CRI on, those of Docker off, no repair.

Both checkers report the condition ContainerRuntimeUnhealthy, so one of Docker's that is left marks every moved node unhealthy;
and "repair" kills the runtime. Sources: kubernetes/node-problem-detector config/health-checker-containerd.json,
health-checker-docker.json, docker-monitor*.json, cmd/healthchecker/options/options.go (the defaults: repair on, crictl in
/usr/bin), deployment/node-problem-detector-healthchecker.yaml; the shipped path of the checker is that of one vendor's nodes.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable
from typing import Any

from . import templating

CHECKER = "health-checker-containerd.json"
CONFIG_FLAGS = ("config.system-log-monitor", "config.custom-plugin-monitor", "config.system-stats-monitor")
_DOCKERS = re.compile(r"(?:.*/)?(?:health-checker-docker|docker-monitor(?:-counter|-filelog)?)\.json")


def checker(socket: str, crictl: str, health_checker: str) -> dict[str, Any]:
    """Return the configuration of the checker that asks CRI with crictl and repairs nothing."""
    return {
        "plugin": "custom",
        "pluginConfig": {"invoke_interval": "30s", "timeout": "1m", "max_output_length": 80, "concurrency": 1},
        "source": "health-checker",
        "metricsReporting": True,
        "conditions": [
            {
                "type": "ContainerRuntimeUnhealthy",
                "reason": "ContainerRuntimeIsHealthy",
                "message": "Container runtime on the node is functioning properly",
            }
        ],
        "rules": [
            {
                "type": "permanent",
                "condition": "ContainerRuntimeUnhealthy",
                "reason": "ContainerdUnhealthy",
                "path": health_checker,
                "args": [
                    "--component=cri",
                    "--enable-repair=false",
                    f"--crictl-path={crictl}",
                    f"--cri-socket-path={socket}",
                    "--cri-timeout=10s",
                    "--health-check-timeout=60s",
                ],
                "timeout": "1m",
            }
        ],
    }


def without_docker(arguments: Iterable[str], directory: str) -> list[str]:
    """Return node-problem-detector's arguments without Docker's monitors and with containerd's checker.

    Args:
        arguments: as they are, the program first; flags as ``--config.x=a.json,b.json``.
        directory: where the checker's configuration is.
    """
    wanted = posixpath.join(directory, CHECKER)
    result, has_checker = [], False
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if not equals or flag.lstrip("-") not in CONFIG_FLAGS:
            result.append(argument)
            continue
        kept = [path for path in value.split(",") if path and not _DOCKERS.fullmatch(path)]
        if flag.lstrip("-") == "config.custom-plugin-monitor":
            kept = [path for path in kept if posixpath.basename(path) != CHECKER] + [wanted]
            has_checker = True
        if kept:
            result.append(f"{flag}={','.join(kept)}")
    return result if has_checker else [*result, f"--config.custom-plugin-monitor={wanted}"]


# As upstream's own DaemonSet starts it (deployment/node-problem-detector-healthchecker.yaml), without Docker.
UPSTREAM_COMMAND = (
    "/node-problem-detector",
    "--logtostderr",
    "--config.system-log-monitor=/config/kernel-monitor.json,/config/readonly-monitor.json,/config/docker-monitor.json",
    "--config.custom-plugin-monitor=/config/health-checker-kubelet.json",
)


def render(socket: str, crictl: str, health_checker: str) -> dict[str, str]:
    """Return, by file name, the checker and a patch that gives it to upstream's DaemonSet."""
    text = json.dumps(checker(socket, crictl, health_checker), indent=2) + "\n"
    return {
        CHECKER: text,
        "daemonset-patch.yml": templating.render(
            "npd-daemonset-patch.yml.j2",
            checker=CHECKER,
            text=text,
            command=without_docker(UPSTREAM_COMMAND, "/unshim"),
            socket_directory=posixpath.dirname(socket.removeprefix("unix://")),
            crictl=crictl,
        ),
    }
