"""Stop Docker and the pods it runs, or start Docker again: both reversible, both safe to run again at any point."""

import time

from . import cni_delete, commands, docker_engine, docker_units, systemd
from .errors import NodeError

PROOF_TIMEOUT = 15  # s; a shim ends a moment after its container
START_TIMEOUT = 120  # s; Docker loads every container it has before it answers
STOPPED_FOREIGN = "docker_stopped_foreign"  # journal note: ids of the foreign containers we stopped
DATA_ROOT = "docker_root"  # journal note: Docker's data directory, unknown once Docker is stopped


class Retirement(object):
    """How to retire: the module's parameters.

    Args:
        stop_foreign: names of containers that are not Kubernetes' and may be stopped.
        grace_limit: seconds no container gets more than.
        kubelet_unit: must not run while Docker's pods are stopped, it would start them again.
        cni: dict with cache_directory, config_directory, plugin_directories.
    """

    def __init__(self, stop_foreign, grace_limit, kubelet_unit, containerd_socket, cni):
        self.stop_foreign = list(stop_foreign)
        self.grace_limit = grace_limit
        self.kubelet_unit = kubelet_unit
        self.containerd_socket = containerd_socket
        self.cni = cni


def survey(retirement, root, check_mode=False):
    """Return what retiring would stop: (containers, units by name).

    Args:
        root: Docker's data directory, where the names of containers are while Docker is stopped.
        check_mode: whether the kubelet may still run, as the step before this one only said it would stop it.

    Raises:
        NodeError: the kubelet still runs, a foreign container does that may not be stopped, or containers run although
            Docker does not.
    """
    units = docker_units.present()
    if not docker_engine.running():
        left = _what_stays(retirement.containerd_socket, root)
        if left:
            # live-restore, or a dockerd that died: only Docker can stop them in good order.
            raise NodeError(
                "Docker is stopped but this of it still runs: %s. Start docker.service (state: restored, if it is "
                "masked), so that it can stop them, and run again." % ", ".join(left),
                {"still_running": left},
            )
        return [], units
    if not check_mode and systemd.active(retirement.kubelet_unit):
        raise NodeError(
            "%s still runs and would start its pods on Docker again; nothing was stopped. Stop it first."
            % retirement.kubelet_unit
        )
    containers = docker_engine.containers()
    refused = [c for c in docker_engine.foreign_running(containers) if c.name not in retirement.stop_foreign]
    if refused:
        raise NodeError(
            "Containers that are not Kubernetes' run on this node, and would be stopped with Docker: %s. Nothing was "
            "stopped. Move them elsewhere, or name them in unshim_stop_foreign_containers."
            % ", ".join(docker_engine.described(c) for c in refused),
            {"foreign_containers": [c.name for c in refused]},
        )
    return containers, units


def to_stop(containers):
    """Return the running containers in the order they stop: foreign ones first, then Kubernetes' waves."""
    foreign = docker_engine.foreign_running(containers)
    return ([foreign] if foreign else []) + docker_engine.stop_order(containers)


def retire(retirement, journal, containers, units):
    """Stop ``containers`` and ``units`` (from :func:`survey`), keep the units stopped, prove it. Returns warnings."""
    warnings = []
    for unit, state in units.items():
        if not docker_units.is_barred(unit, state):
            journal.remember_unit(unit, state["ActiveState"], state["UnitFileState"])
    if docker_engine.running():
        if journal.get(DATA_ROOT) is None:
            note_root(journal)
        warnings = _stop_containers(retirement, journal, containers)
    # Stopped before they are masked: a masked unit has lost its KillMode and would take its whole cgroup down.
    for unit in units:
        systemd.stop(unit)
    docker_units.bar(units)
    prove(retirement.containerd_socket, journal.get(DATA_ROOT, docker_engine.DEFAULT_ROOT))
    return warnings


def note_root(journal):
    """Note where a Docker that runs has its data: nobody can ask it later."""
    journal.note(DATA_ROOT, docker_engine.info().get("DockerRootDir") or docker_engine.DEFAULT_ROOT)


def _stop_containers(retirement, journal, containers):
    warnings = []
    foreign = docker_engine.foreign_running(containers)
    if foreign:
        # Before they stop, and added to what a run that was cut short has noted.
        known = journal.get(STOPPED_FOREIGN, [])
        journal.note(STOPPED_FOREIGN, known + [c.id for c in foreign if c.id not in known])
    for container in foreign:
        if container.auto_remove:
            warnings.append(
                "%s was started with --rm, so Docker removed it when it stopped; a rollback cannot start it again."
                % docker_engine.described(container)
            )
    for wave in to_stop(containers):
        hooks = [c for c in wave if docker_engine.PRE_STOP in c.labels]
        if hooks:
            warnings.append(
                "The preStop hooks of %s did not run: only a kubelet runs them."
                % ", ".join(docker_engine.described(c) for c in hooks)
            )
        if docker_engine.is_sandbox(wave[0]):
            continue
        docker_engine.stop_containers(wave, retirement.grace_limit)
    for container in containers:
        if docker_engine.is_sandbox(container):
            warnings.extend(cni_delete.delete(container, **retirement.cni))
    sandboxes = [c for c in containers if c.running and docker_engine.is_sandbox(c)]
    docker_engine.stop_containers(sandboxes, retirement.grace_limit)
    return warnings


def prove(containerd_socket, root):
    """Make sure that Docker is down and has left nothing running.

    Raises:
        NodeError: naming what still runs; nothing is killed by name.
    """
    units = docker_units.present()
    up = [unit for unit, state in units.items() if state["ActiveState"] not in ("inactive", "failed")]
    left = _what_stays(containerd_socket, root)
    if up or left:
        raise NodeError(
            "Docker is not wholly stopped: %s. Look at these, stop them (`ctr -n moby tasks ls`, `ctr -n moby tasks "
            "kill`), or roll the node back." % ", ".join(up + left),
            {"still_running": up + left},
        )


def _what_stays(containerd_socket, root):
    """Return what of Docker still runs after PROOF_TIMEOUT, [] as soon as nothing does."""
    deadline = time.monotonic() + PROOF_TIMEOUT
    while True:
        left = docker_engine.left_running(containerd_socket, root)
        if not left:
            return []
        if time.monotonic() >= deadline:
            # Not before: the shim of a container that is just being made is empty, too.
            return docker_engine.left_running(containerd_socket, root, with_empty_shims=False)
        time.sleep(0.5)


def to_restore(journal):
    """Return how the journal says Docker's units were, by name, in the order to start them; {} if never retired."""
    return {unit: journal.units[unit] for unit in reversed(docker_units.UNITS) if unit in journal.units}


def is_restored(journal, units):
    """Return whether every unit is as the journal says it was, and no foreign container is still to be started."""
    if journal.get(STOPPED_FOREIGN) and units.get(docker_engine.SERVICE, {}).get("active_state") == "active":
        return False
    states = docker_units.present()
    for unit, was in units.items():
        state = states.get(unit)
        if state is None or docker_units.is_barred(unit, state) != (was["unit_file_state"] == "masked"):
            return False
        if (state["ActiveState"] == "active") != (was["active_state"] == "active"):
            return False
        if was["unit_file_state"] == "enabled" and state["UnitFileState"] != "enabled":
            return False
    return True


def restore(journal, units, timeout=START_TIMEOUT):
    """Put Docker's units back as ``units`` (from :func:`to_restore`) says and wait until Docker answers.

    Pods' containers are the kubelet's to start; the foreign ones we stopped are started again. Returns warnings.

    Raises:
        NodeError: a unit does not start, or Docker does not answer.
    """
    for unit, was in units.items():
        if was["unit_file_state"] != "masked":
            docker_units.unbar(unit)
        if was["unit_file_state"] == "enabled":
            systemd.enable(unit)
    # Sockets first: docker.service takes its listening socket over from docker.socket.
    for unit in sorted(units, key=lambda unit: (unit.startswith("cri-"), unit.endswith(".service"))):
        if units[unit]["active_state"] == "active":
            systemd.start(unit)
    if units.get(docker_engine.SERVICE, {}).get("active_state") != "active":
        return []
    _wait_until_docker_answers(timeout)
    return _start_foreign(journal)


def _wait_until_docker_answers(timeout):
    deadline = time.monotonic() + timeout
    while True:
        result = commands.run(["docker", "info", "--format", "{{.ServerVersion}}"], timeout=60, check=False)
        if result.rc == 0 and result.out.strip():
            return
        if time.monotonic() >= deadline:
            raise NodeError(
                "docker.service is started but `docker info` does not answer after %d s: %s\nThe end of its log:\n%s"
                % (timeout, commands.last_lines(result.err), systemd.log(docker_engine.SERVICE))
            )
        time.sleep(1)


def _start_foreign(journal):
    ids = journal.get(STOPPED_FOREIGN, [])
    if not ids:
        return []
    warnings = []
    known = {c.id: c for c in docker_engine.containers()}
    for identity in ids:
        container = known.get(identity)
        if container is None:
            warnings.append("The container %s, which was stopped with Docker, no longer exists." % identity[:12])
        elif not container.running:
            result = commands.run(["docker", "start", identity], timeout=300, check=False)
            if result.rc != 0:
                said = commands.last_lines(result.err)
                warnings.append("%s could not be started again: %s" % (docker_engine.described(container), said))
    journal.note(STOPPED_FOREIGN, None)
    return warnings
