"""The callback in real runs of ansible-playbook: on a terminal, without one, for machines, beside others.

The roles have the names of the real ones and do nothing but take time; what a journal answers is given.
"""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pyte
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ACTION = """
import time
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        time.sleep(float(self._task.args.get("seconds", 0)))
        failed = self._task.args.get("fails") == task_vars["inventory_hostname"]
        return {"changed": False, "failed": failed, "msg": "a task that fails" if failed else "", "state": self._task.args.get("state", "")}
"""
COLUMNS, ROWS = 100, 30


@pytest.fixture
def project(tmp_path):
    """Return the command that runs a small migration of three nodes, and its environment."""
    tasks = {
        "preflight": [{"name": "Observe the node", "rest": {}}],
        "drain": [{"name": "Cordon the node and evict its pods", "rest": {"seconds": 1.5}}],
        "kubelet": [{"name": "Point the kubelet at containerd", "rest": {"seconds": 1.5}}],
        "verify": [{"name": "Run a canary pod", "rest": {"fails": "w2"}}],
        "rollback": [
            {"name": "Restore", "rest": {"seconds": 1.5}},
            {"name": "Back", "migration_journal": {"state": "docker"}},
        ],
    }
    for role, its in tasks.items():
        (tmp_path / "roles" / role / "tasks").mkdir(parents=True)
        (tmp_path / "roles" / role / "tasks" / "main.yml").write_text(yaml.safe_dump(its))
    stages = [{"name": role, "ansible.builtin.include_role": {"name": role}} for role in ("drain", "kubelet", "verify")]
    done = {"name": "Note that the node is done", "migration_journal": {"state": "verified"}}
    back = [
        {"name": "Roll back", "ansible.builtin.include_role": {"name": "rollback"}},
        {"ansible.builtin.fail": {"msg": "not moved"}},
    ]
    play = {"hosts": "w*", "gather_facts": False, "tasks": [
        {"name": "Observe", "ansible.builtin.include_role": {"name": "preflight"}}, {"block": [*stages, done], "rescue": back},
    ]}  # fmt: skip
    (tmp_path / "move.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    actions = tmp_path / "actions"
    actions.mkdir()
    for name in ("rest", "migration_journal"):
        (actions / f"{name}.py").write_text(ACTION)
    (tmp_path / "ansible.cfg").write_text(
        f"[defaults]\naction_plugins = {actions}\nlibrary = {ROOT}/library\nroles_path = {tmp_path}/roles\n"
        f"doc_fragment_plugins = {ROOT}/doc_fragments\n"
        f"callback_plugins = {ROOT}/callback_plugins\ncallbacks_enabled = unshim_progress, ansible.builtin.junit\n"
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("UNSHIM_PROGRESS")},
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "JUNIT_OUTPUT_DIR": str(tmp_path / "junit"),
        "UNSHIM_PROGRESS_JSON": str(tmp_path / "progress.jsonl"), "TERM": "xterm-256color",
    }  # fmt: skip
    return [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "w1,w2,w3,", "move.yml"], environment


def on_terminal(command, environment, directory, stdout=None, patience=240):
    """Run a command on a terminal and return (code, all it printed, the screen every half second)."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=slave,
        stdout=stdout or slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    screen = pyte.HistoryScreen(COLUMNS, ROWS, history=10_000)
    stream, raw, pictures, last = pyte.ByteStream(screen), b"", [], 0.0
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not data:
                break
            raw += data
            stream.feed(data)
        if time.monotonic() - last > 0.3:
            pictures.append([line.rstrip() for line in screen.display])
            last = time.monotonic()
    pictures.append([line.rstrip() for line in screen.display])
    above = ["".join(line[x].data for x in range(COLUMNS)).rstrip() for line in screen.history.top]
    os.close(master)
    if process.poll() is None and time.monotonic() >= deadline:
        process.kill()
    return process.wait(30), raw, pictures, above + pictures[-1], screen


def stage_on(picture, node):
    found = [re.fullmatch(rf"  \S {node}  (\w+) .*|  \S {node}  (\w+)", line) for line in picture]
    return next((match[1] or match[2] for match in found if match), None)


def test_a_board_on_a_terminal_below_what_ansible_says(project, tmp_path):
    command, environment = project
    code, raw, pictures, text, screen = on_terminal(command, environment, tmp_path)
    assert code == 2, text
    seen = {node: list(dict.fromkeys(filter(None, (stage_on(one, node) for one in pictures)))) for node in ("w1", "w2")}
    assert [one for one in seen["w1"] if one in ("drain", "switch")] == ["drain", "switch"]
    assert "restore" in seen["w2"]
    boards = [one for one in pictures if any(line.startswith("unshim move.yml  ") for line in one)]
    assert len(boards) > 3 and all(sum(line.startswith("unshim move.yml  ") for line in one) == 1 for one in boards)
    # A clock that goes on although Ansible says nothing meanwhile.
    clocks = {
        re.search(r"unshim move\.yml  (\S+) s", line)[1]
        for one in boards
        for line in one
        if line.startswith("unshim move")
    }
    assert len(clocks) > 3
    assert stage_on(pictures[-1], "w1") == "done" and stage_on(pictures[-1], "w2") == "restored", (
        "it stays when the run is over"
    )
    assert any("2 of 3 done" in line for line in pictures[-1])
    for line in ("PLAY [w*]", "TASK [drain : Cordon the node and evict its pods]", "PLAY RECAP"):
        assert sum(one.startswith(line) for one in text) == 1, f"{line} is there once"
    assert raw.rfind(b"\x1b[?25h") > raw.rfind(b"\x1b[?25l"), "the cursor is there again"
    assert not screen.cursor.hidden


def test_the_board_never_waits_for_ansible_while_ansible_waits_for_it(project, tmp_path):
    """The thread that draws and the one that prints, as often as they can: of two locks none may be taken the other way round."""
    command, environment = project
    plugin = (ROOT / "callback_plugins" / "unshim_progress.py").read_text()
    assert "refresh_per_second=2," in plugin
    (tmp_path / "callbacks").mkdir()
    often = plugin.replace("refresh_per_second=2,", "refresh_per_second=5000,")
    often = often.replace("Path(__file__).resolve().parent.parent", f"Path({str(ROOT)!r})")
    (tmp_path / "callbacks" / "unshim_progress.py").write_text(often)
    config = (tmp_path / "ansible.cfg").read_text()
    (tmp_path / "ansible.cfg").write_text(config.replace(f"{ROOT}/callback_plugins", f"{tmp_path}/callbacks"))
    code, _, pictures, text, _ = on_terminal(command, environment, tmp_path, patience=60)
    assert code == 2 and any(line.startswith("PLAY RECAP") for line in text)
    assert stage_on(pictures[-1], "w1") == "done"


def test_the_board_is_on_the_terminal_where_the_output_goes_to_a_file(project, tmp_path):
    command, environment = project
    with open(tmp_path / "log", "wb") as log:
        _, _, pictures, text, _ = on_terminal(command, environment, tmp_path, stdout=log)
    log = (tmp_path / "log").read_text()
    assert any(stage_on(one, "w1") == "drain" for one in pictures) and not any("TASK [" in line for line in text)
    assert "TASK [drain" in log and "\x1b[" not in log and "unshim move.yml" not in log


def run(project, directory, **changes):
    command, environment = project
    return subprocess.run(
        command, cwd=directory, env={**environment, **changes}, capture_output=True, text=True, timeout=240, check=False
    )


def test_lines_json_and_junit_where_there_is_no_terminal(project, tmp_path):
    done = run(project, tmp_path)
    assert done.returncode == 2, done.stdout
    lines = [line.split("UTC  ")[1] for line in done.stdout.splitlines() if "UTC  " in line]
    assert sum(line.startswith("w1: ") for line in lines) == 5
    assert [line.split(",")[0] for line in lines if line.startswith("w2: ")] == [
        "w2: plan", "w2: drain", "w2: switch", "w2: verify", "w2: failed", "w2: restore", "w2: restored",
    ]  # fmt: skip
    assert lines[-1] == "move.yml: 1 restored, 2 done" and "\x1b" not in done.stdout
    assert "TASK [drain : Cordon the node and evict its pods]" in done.stdout and "PLAY RECAP" in done.stdout

    schema = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/schemas/progress.schema.json").read_text()))
    events = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [error.message for event in events for error in schema.iter_errors(event)] == []
    assert events[0]["event"] == "begin" and events[-1]["counts"] == {"restored": 1, "done": 2}
    (drained,) = [one for one in events if one.get("node") == "w1" and one.get("previous") == "drain"]
    assert 1.4 < drained["previous_seconds"] < 60

    (report,) = (tmp_path / "junit").glob("*.xml")
    names = [case.get("name") for case in ElementTree.parse(report).iter("testcase")]
    assert any("w1" in name and "Cordon the node" in name for name in names)


def test_a_file_that_cannot_be_written_is_said_and_stops_nothing(project, tmp_path):
    done = run(project, tmp_path, UNSHIM_PROGRESS_JSON=str(tmp_path / "no" / "such.jsonl"))
    assert "No more progress is written to" in " ".join((done.stdout + done.stderr).split())
    assert "w1: done" in done.stdout and "Traceback" not in done.stdout + done.stderr


def test_it_can_be_switched_off(project, tmp_path):
    done = run(project, tmp_path, UNSHIM_PROGRESS="none")
    assert "UTC  " not in done.stdout and "PLAY RECAP" in done.stdout


def test_what_a_task_says_while_it_waits_is_in_a_pipe_at_once(project, tmp_path):
    command, environment = project
    (tmp_path / "actions" / "wait.py").write_text(
        ACTION.replace("time.sleep(", "Display().display('it waits'); time.sleep(").replace(
            "import time", "import time\nfrom ansible.utils.display import Display"
        )
    )
    (tmp_path / "move.yml").write_text(
        yaml.safe_dump([{"hosts": "w1", "gather_facts": False, "tasks": [{"name": "Wait", "wait": {"seconds": 90}}]}])
    )
    environment.pop("PYTHONUNBUFFERED", None)
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=tmp_path, text=True) as run:
        try:
            told = any("it waits" in line for line in run.stdout)
        finally:
            run.kill()
    assert told and time.monotonic() - began < 80, "it was told when the task had ended"
