"""An ansible-playbook run as a process of its own: its output can be waited for, and it can be killed as a power cut would."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

from lab import Run


class PlaybookProcess:
    """One running ansible-playbook, in a session of its own.

    Attributes:
        log: file that has the output, also while it runs.
    """

    def __init__(self, command, root: Path, log: Path):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MOLECULE_"))}
        self.command = command
        self.log = log
        self._lines = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            command, cwd=root, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, env={**kept, "ANSIBLE_NOCOLOR": "1"},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self.log.open("w") as log:
            for line in self._process.stdout:
                log.write(line)
                log.flush()
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def output(self):
        return "".join(self._lines)

    @property
    def pid(self):
        return self._process.pid

    def is_running(self):
        return self._process.poll() is None

    def wait_for_task(self, name, seconds=600):
        """Wait until the run announces the task: "kubelet : Stop the kubelet", without role for a playbook's own."""
        return self.wait_for_output(rf"^TASK \[{re.escape(name)}\]", seconds)

    def wait_for_output(self, pattern, seconds=600):
        """Wait until the output has a match of a regular expression (multi-line) and return it."""
        expression = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                found = expression.search(self.output)
                if found:
                    return found
                assert self._reader.is_alive(), f"the run ended before {pattern!r} came:\n{self.output[-3000:]}"
                left = deadline - time.monotonic()
                assert left > 0, f"{pattern!r} did not come within {seconds} s:\n{self.output[-3000:]}"
                self._changed.wait(min(left, 1))

    def finish(self, seconds=1200):
        """Wait for the end and return the Run."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {seconds} s: {self.command}\n{self.output[-3000:]}") from None
        self._reader.join(10)
        return Run(code, self.output)

    def kill(self, workers=True):
        """SIGKILL the controller; with ``workers`` all its processes, as when its machine dies, else the main one only.

        Ansible's workers are in sessions of their own, so a process group is not enough. What a killed run has started on
        nodes goes on there, as it would behind a broken connection.
        """
        victims = [self._process.pid]
        if workers:
            for pid in victims:  # grows while it is walked
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                victims += _children(pid)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(30)
        self._reader.join(2 if workers else 0)
        return Run(self._process.returncode, self.output)


def _children(pid):
    with contextlib.suppress(OSError):
        return [
            int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()
        ]
    return []
