"""A connected node as a place that the code of Ansible's modules can work on; see module_utils/unshim_node/place.py."""

from __future__ import annotations

import getpass
import socket
import sys
from pathlib import Path
from typing import Any

import gevent
from pyinfra.api import StringCommand

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "module_utils"))

from unshim import shell_command
from unshim.targets import Target
from unshim_node import errors, lock_by_shell, place

GRACE = 60  # s that an answer may take beyond what its program may


class ConnectedNode(place.Place):
    """A node that pyinfra is connected to.

    Args:
        host: pyinfra's.
        target: how we become root there.
        clock: the node's time when it was last looked at, and ours.
    """

    def __init__(self, host: Any, target: Target, clock: tuple[float, float]) -> None:
        super().__init__()
        self.host, self.target = host, target
        self.clock_offset = clock[0] - clock[1]
        self.controller = f"{getpass.getuser()}@{socket.gethostname()}"
        self.keeps = ""
        self.commands = 0

    def run(
        self, argv: list[str], stdin: str | None, timeout: float | None, env: dict[str, str]
    ) -> tuple[int, str, str]:
        command = shell_command.argument_list(argv, env, timeout)
        if self.keeps:
            command = lock_by_shell.keeping(command, self.keeps)
        password = self.target.become_password if self.target.become else ""
        line = shell_command.framed(command, self.target.become, bool(password), stdin is not None)
        self.commands += 1
        try:
            with gevent.Timeout(None if timeout is None else timeout + GRACE):
                _, output = self.host.run_shell_command(
                    StringCommand(line), _stdin=shell_command.stdin_lines(stdin, password)
                )
            code, out, err = shell_command.result(output.stdout_lines, output.stderr_lines)
        except gevent.Timeout:
            raise errors.NodeError(_lost("it does not answer any more")) from None
        except shell_command.NoAnswer as error:
            raise errors.NodeError(_lost(str(error))) from None
        except (OSError, EOFError) as error:
            raise errors.NodeError(_lost(" ".join(str(error).split()) or type(error).__name__)) from None
        if code == lock_by_shell.LOST and self.keeps:
            raise errors.NodeError(_lost(err.strip()))
        if timeout is not None and code == shell_command.KILLED:
            raise place.TimedOut
        return code, out, err


def _lost(why: str) -> str:
    return f"The node was lost: {why}. What was begun there ends by itself; run again to go on."
