"""Shows how far each node is, beside Ansible's own output; what it knows is in module_utils/unshim/progress.py."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from ansible.plugins.callback import CallbackBase
from rich.console import Console
from rich.live import Live
from rich.text import Text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim import progress

DOCUMENTATION = r"""
name: unshim_progress
type: aggregate
short_description: One line per node with its stage and how long it has been there
description:
  - On a terminal, a board below Ansible's own output has one line for each node, with its stage and the time it has been in
    it, as many as half of the terminal has room for; those that need a look come first.
  - Where there is no terminal, a line is printed when a node comes to a stage.
  - For machines, each such moment is one line of JSON in a file; its schema is C(docs/schemas/progress.schema.json).
  - Works beside any stdout callback, and beside callbacks such as C(ansible.builtin.junit).
author: unshim contributors
options:
  output:
    description: What is shown. V(auto) is a board on a terminal and lines elsewhere.
    type: str
    choices: [auto, board, lines, none]
    default: auto
    env:
      - name: UNSHIM_PROGRESS
    ini:
      - section: callback_unshim_progress
        key: output
  json_path:
    description: File to append the lines of JSON to; it may be a named pipe that somebody reads. None is written by default.
    type: path
    env:
      - name: UNSHIM_PROGRESS_JSON
    ini:
      - section: callback_unshim_progress
        key: json_path
requirements:
  - rich (Python package, on the controller)
"""


class CallbackModule(CallbackBase):
    """Hands what Ansible says to a board, and shows what comes of it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "unshim_progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._board = progress.Board()
        self._lock = threading.RLock()  # the board is drawn by a thread of its own
        self._screen: Screen | None = None
        self._lines = False
        self._json: TextIO | None = None

    def v2_playbook_on_start(self, playbook: Any) -> None:
        # A gate that waits says why; where the output is a file or a pipe, Ansible would leave that in a buffer for minutes.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
        self._open_json()
        output = self.get_option("output")
        terminal = next((one for one in (sys.stdout, sys.stderr) if one.isatty()), None)
        if output in ("auto", "board") and terminal and os.environ.get("TERM", "dumb") != "dumb":
            self._screen = Screen(terminal, self._picture)
        else:
            self._lines = output in ("auto", "lines", "board")
        self._tell(self._board.begin(playbook._file_name or "", time.time()))

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        if self._screen:
            # Who is asked something must see the question.
            self._screen.show(task.action.rpartition(".")[2] != "pause" and bool(self._board.nodes))

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        role = task._role.get_name().rpartition(".")[2] if task._role else ""
        with self._lock:
            told = self._board.task(host.get_name(), role, time.time())
        self._tell(told)

    def v2_runner_on_ok(self, result: Any) -> None:
        action = result.task.action.rpartition(".")[2]
        if action in ("migration_journal", "migration_plan"):
            with self._lock:
                told = self._board.ok(_name(result), action, result.task.args, result.result, time.time())
            self._tell(told)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            with self._lock:
                told = self._board.failed(
                    _name(result), result.task.get_name(), str(result.result.get("msg") or "it failed"), time.time()
                )
            self._tell(told)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        if not result.task.ignore_unreachable:
            with self._lock:
                told = self._board.lost(_name(result), str(result.result.get("msg") or "unreachable"), time.time())
            self._tell(told)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if self._screen:
            self._screen.close()
        self._tell(self._board.end(time.time()))
        if self._json:
            self._json.close()

    def _picture(self, width: int, height: int) -> list[str]:
        with self._lock:
            return self._board.lines(time.time(), width, height)

    def _tell(self, events: list[progress.Event]) -> None:
        for event in events:
            if self._lines and (line := progress.plain(event)):
                self._display.display(line)
            self._write(event)

    def _open_json(self) -> None:
        path = self.get_option("json_path")
        if path:
            try:
                self._json = open(path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - open until the end
            except OSError as error:
                self._no_json(error)

    def _write(self, event: progress.Event) -> None:
        if self._json:
            try:
                self._json.write(json.dumps(event, ensure_ascii=False) + "\n")
                self._json.flush()
            except OSError as error:  # a full disk, or a pipe that nobody reads any more
                self._no_json(error)

    def _no_json(self, error: OSError) -> None:
        self._json = None
        self._display.warning(
            f"No more progress is written to {self.get_option('json_path')} (UNSHIM_PROGRESS_JSON): {error.strerror or error}."
        )


class Screen:
    """The board at the bottom of a terminal; what is printed meanwhile goes above it."""

    def __init__(self, terminal: TextIO, picture: Any) -> None:
        # A file of its own: Ansible guards every write to its stdout with the lock it holds while it prints (utils/display.py),
        # and what it prints waits for the board's lock. A thread that took both the other way round would wait forever.
        terminal.flush()
        file = open(os.dup(terminal.fileno()), "w", encoding=terminal.encoding, errors="replace")  # noqa: SIM115 - until the end
        self._console = Console(file=file, no_color="ANSIBLE_NOCOLOR" in os.environ or "NO_COLOR" in os.environ)
        self._picture = picture
        # Ansible's output is redirected only if it goes to the same terminal.
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=2,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=sys.stderr.isatty(),
            vertical_overflow="crop",
        )

    def show(self, wanted: bool) -> None:
        if wanted and not self._live.is_started:
            self._live.start(refresh=True)
        elif not wanted and self._live.is_started:
            self._live.stop()

    def close(self) -> None:
        self.show(False)

    def _render(self) -> Text:
        lines = self._picture(self._console.width, max(3, self._console.height // 2))
        return Text("\n".join(lines), no_wrap=True, overflow="crop")


def _name(result: Any) -> str:
    return str(result.host.get_name())
