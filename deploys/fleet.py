"""Look at many nodes at once through pyinfra's connectors. What goes wrong with one is said of it and stops no other.

gevent must have patched the standard library before this is imported: paramiko would otherwise connect one by one.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import gevent
from pyinfra.api import Config, Inventory, QuoteString, State, StringCommand
from pyinfra.api.exceptions import ConnectError, FactProcessError, PyinfraError
from pyinfra.connectors.docker import DockerConnector
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.sshuserclient.client import get_ssh_config
from pyinfra.connectors.util import run_local_process

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from facts.runtime import RuntimeFacts

from unshim import audit, probe_command
from unshim.audit_model import Answer, Sighting
from unshim.facts import Facts
from unshim.targets import Target

Result = TypeVar("Result")


class RunningContainer(DockerConnector):
    """Pyinfra's connector, without the containers it would start and the image it would make of one: an audit only looks."""

    def connect(self) -> None:
        self.local.connect()
        name = self.data["docker_identifier"]
        inspect = StringCommand(self.docker_cmd, "container", "inspect", "-f", "{{.State.Running}}", QuoteString(name))
        code, output = run_local_process(inspect.get_raw_value())
        if code != 0:
            raise ConnectError(" ".join(output.stderr.split()) or f"there is no container {name}")
        if output.stdout.strip() != "true":
            raise ConnectError(f"the container {name} does not run")
        self.container_id = name

    def disconnect(self) -> None:
        pass


CONNECTORS = {"ssh": SSHConnector, "local": LocalConnector, "docker": RunningContainer}


def visit(
    targets: Iterable[Target],
    timeout: float,
    forks: int,
    directory: Path,
    errand: Callable[[Any, Target], Result],
) -> list[Result]:
    """Do an errand at each target, some at a time, and return what it returns, in the order they are done.

    Args:
        targets: the nodes.
        timeout: seconds a connection may take to come about.
        forks: how many at a time.
        directory: a private, temporary one, for configuration of ssh.
        errand: is given pyinfra's host, to :func:`see` first, and the target. For one that has a problem the host is None.
    """
    for name in ("pyinfra", "paramiko"):  # what they would say is in the result
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # A reader that meets what is no UTF-8 ends; that the output is cut off is seen and said without a traceback.
    hub = gevent.get_hub()
    hub.NOT_ERROR = (*hub.NOT_ERROR, UnicodeDecodeError)
    chosen = list(targets)
    able = [target for target in chosen if not target.problem]
    done = [errand(None, target) for target in chosen if target.problem]
    if not able:
        return done
    inventory = Inventory(([(one.node, _data(one, timeout, directory)) for one in able], {}))
    for target in able:
        inventory.get_host(target.node).connector_cls = CONNECTORS[target.connection]
    state = State(inventory, Config(PARALLEL=forks, CONNECT_TIMEOUT=max(1, round(timeout))))

    def run(target: Target) -> None:
        host = state.inventory.get_host(target.node)
        try:
            done.append(errand(host, target))
        finally:
            _close(host)

    gevent.joinall([state.pool.spawn(run, target) for target in able], raise_error=True)
    return done


def _data(target: Target, timeout: float, directory: Path) -> dict[str, Any]:
    """Return what pyinfra's connectors want to know of a target."""
    if target.connection == "docker":
        return {"docker_identifier": target.address}
    if target.connection == "local":
        return {}
    config = _ssh_config(target, directory)
    data: dict[str, Any] = {
        "ssh_hostname": target.address,
        "ssh_strict_host_key_checking": target.host_key or _own_host_key_policy(target, config),
        "ssh_paramiko_connect_kwargs": {
            name: timeout for name in ("banner_timeout", "auth_timeout", "channel_timeout")
        },
    }
    known = {
        "ssh_port": target.port,
        "ssh_user": target.user,
        "ssh_password": target.password,
        "ssh_key": target.key,
        "ssh_key_password": target.key_password,
        "ssh_config_file": config,
    }
    return {**data, **{name: value for name, value in known.items() if value}}


def _ssh_config(target: Target, directory: Path) -> str:
    """Return the ssh configuration for a target: its own, made of Ansible's ssh arguments and the file that applies anyway."""
    applies = target.ssh_config or str(Path("~/.ssh/config").expanduser())
    if not target.ssh_options:
        return target.ssh_config
    lines = [f"Host {target.address}"]
    lines += [f"  {name} {value}" for name, value in target.ssh_options]
    if target.port:
        lines.append(f"  port {target.port}")
    if target.user:
        lines.append(f"  user {target.user}")
    path = directory / f"ssh_config.{len(list(directory.iterdir()))}"
    path.write_text("\n".join([*lines, "Host *", f"Include {applies}", ""]))
    return str(path)


def _own_host_key_policy(target: Target, config: str) -> str:
    """Return what ssh's configuration says of unknown host keys. Nobody can be asked, so they are accepted where it asks."""
    own = get_ssh_config(config or None)
    said = own.lookup(target.address).get("stricthostkeychecking", "ask") if own else "ask"
    return said if said in ("yes", "no", "off", "accept-new") else "accept-new"


def ask(host: Any, target: Target, timeout: float) -> Sighting | Answer:
    """Connect to a target, run the probe there and return what came back, unread; a sighting if nothing did.

    Args:
        host: pyinfra's; stays connected. None if the target has a problem.
        timeout: seconds it may take for everything.
    """
    if host is None:
        return Sighting(target.node, "not-audited", target.problem)
    began = time.monotonic()

    def sighting(status: str, reason: str = "") -> Sighting:
        return Sighting(target.node, status, reason, round(time.monotonic() - began, 1))

    try:
        with gevent.Timeout(timeout):
            try:
                host.connect(show_errors=False, raise_exceptions=True)
            except (ConnectError, PyinfraError, OSError, EOFError, ValueError) as error:
                return sighting("unreachable", _words(error))
            except Exception as error:  # noqa: BLE001  paramiko and the keys it reads raise many kinds
                return sighting("unreachable", f"{type(error).__name__}: {_words(error)}")
            try:
                output, said = _run(host, target)
            except Exception as error:  # noqa: BLE001  the connection broke
                return sighting("unreachable", f"the connection broke: {_words(error) or type(error).__name__}")
            return Answer(sighting("seen"), "\n".join(output), said)
    except gevent.Timeout:
        what = "did not answer the probe" if host.connected else "did not let us in"
        return sighting("timed-out", f"it {what} within {timeout:g} s")


def see(host: Any, target: Target, timeout: float) -> tuple[Sighting, Facts | None]:
    """Do as :func:`ask`, and return how it went, and the target's facts if it was seen."""
    answer = ask(host, target, timeout)
    if isinstance(answer, Sighting):
        return answer, None
    return audit.read(answer)


def look_again(host: Any, target: Target, timeout: float) -> Facts:
    """Return the facts of a connected target anew.

    Raises:
        FactProcessError, gevent.Timeout: there are none.
    """
    with gevent.Timeout(timeout):
        return _facts(*_run(host, target))


def _run(host: Any, target: Target, plain: bool = False) -> tuple[list[str], str]:
    """Return what the probe printed on a connected host, and what was said beside it."""
    password = [target.become_password] if target.become and target.become_password else None
    command = RuntimeFacts().command(become=target.become, with_password=bool(password), plain=plain)
    _, output = host.run_shell_command(StringCommand(command), _stdin=password)
    if probe_command.NO_UNPACKER in output.stdout_lines and not plain:
        return _run(host, target, plain=True)
    return output.stdout_lines, " ".join(output.stderr.split()).replace("unshim:", "").strip()[-300:]


def _facts(output: list[str], said: str) -> Facts:
    try:
        return RuntimeFacts().process(output)
    except FactProcessError as error:
        raise FactProcessError(f"{error}" + (f" (the node said: {said})" if said else "")) from None


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())


def _close(host: Any) -> None:
    """End the connection: pyinfra leaves those of ssh to the end of the process, and a slow node's would stay busy."""
    client = getattr(host.connector, "client", None)
    if client is not None:
        with gevent.Timeout(5, False):
            client.close()
