"""containerd's data directory changes only while nothing runs, after the images are there, and comes back."""

import os

import pytest

from cri_server import Server, reply, trailers_frame
from stand_in_node import Node, change
from unshim_node.protobuf_wire import field

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as on a node")
PREPARED = "version = 2\n# prepared\n"
TASKS = """\
case "$*" in
  *"namespaces ls"*) printf 'k8s.io\\nmoby\\n' ;;
  *"--namespace moby tasks ls"*) cat "$UNITS/tasks" ;;
  *plugins*) echo "io.containerd.grpc.v1 cri linux/amd64 error" ;;
esac"""


@pytest.fixture
def node(tmp_path, capsys, monkeypatch):
    made = Node(tmp_path, capsys)
    monkeypatch.setenv("UNITS", str(made.units))
    monkeypatch.setenv("PATH", f"{made.bin}:/usr/bin:/bin")
    made.program("containerd", "exit 0")
    made.program("ctr", TASKS)
    made.unit("containerd.service")
    made.config = made.etc / "config.toml"
    made.config.write_text("version = 2\n")
    made.tasks = made.units / "tasks"
    made.tasks.write_text("TASK PID STATUS\n")
    made.new_root = tmp_path / "new"

    def answer(method, request):
        if "no cri" in made.config.read_text():
            return trailers_frame(12, "unknown service")
        if method.endswith("Version"):
            return reply(field(2, "containerd") + field(3, "1.6.20"))
        return reply(field(1, field(1, field(1, "RuntimeReady") + field(2, True))))

    with Server(tmp_path, answer) as server:
        made.common = {"socket": server.path, "cri_api": ["v1"], "cri_timeout": 3}
        yield made


def prepare(node, check=False):
    first = change(node.config, "version = 2\n", PREPARED, role="containerd_config", stage="prepare")
    return first, node.run("containerd_config", check, files=[first], **node.common)


def switch(node, check=False, more="", **arguments):
    after = f'version = 2\nroot = "{node.new_root}"\n# prepared\n{more}'
    second = change(node.config, PREPARED, after, role="containerd_config", stage="switch")
    return node.run("containerd_config", check, files=[second], **node.common, **arguments)


def test_both_stages_and_back(node):
    prepare(node)
    result = switch(node)
    assert (result["changed"], result["restarted"]) == (True, True)
    assert f'root = "{node.new_root}"' in node.config.read_text()
    assert [(step["stage"], step["status"]) for step in node.written()["steps"]] == [
        ("prepare", "done"),
        ("switch", "done"),
    ]
    assert switch(node)["changed"] is False
    back = node.run("containerd_config", state="restored", **node.common)
    assert node.config.read_text() == "version = 2\n"
    assert str(node.new_root) in str(back["warnings"])
    assert f"{node.config} had been edited" not in str(back["warnings"])
    assert "restart containerd.service" in node.calls()
    assert node.run("containerd_config", state="restored", **node.common)["changed"] is False


def test_a_running_container_stops_it(node):
    prepare(node)
    node.calls()
    node.tasks.write_text("TASK PID STATUS\nabc 12 RUNNING\ndef 13 STOPPED\n")
    result = switch(node)
    assert result["failed"] and "1 in namespace moby" in result["msg"]
    assert (node.config.read_text(), node.calls()) == (PREPARED, [])


def test_a_containerd_that_does_not_tell_stops_it(node):
    prepare(node)
    node.calls()
    node.tasks.unlink()  # `tasks ls` of one namespace fails, as beside a shim that hangs
    result = switch(node)
    assert result["failed"] and "does not tell what runs in it" in result["msg"]
    assert (node.config.read_text(), node.calls()) == (PREPARED, [])
    # one that is down cannot tell, and a run that was cut short there goes on
    node.unit("containerd.service", ActiveState="failed")
    assert switch(node)["changed"]


def test_a_restart_that_would_kill_containers_nobody_counted_is_refused(node):
    prepare(node)
    state = node.run("migration_journal", state="drained")
    assert "failed" not in state
    node.unit("containerd.service", KillMode="control-group")
    node.tasks.unlink()
    first = change(node.config, PREPARED, PREPARED + "# more\n", role="containerd_config", stage="switch")
    result = node.run("containerd_config", files=[first], **node.common)
    assert result["failed"] and "KillMode=control-group" in result["msg"]


def test_a_running_container_stops_the_way_back(node):
    prepare(node)
    switch(node)
    now = node.config.read_text()
    node.tasks.write_text("abc 12 RUNNING\n")
    result = node.run("containerd_config", state="restored", **node.common)
    assert result["failed"] and "1 in namespace moby" in result["msg"]
    assert node.config.read_text() == now
    # while the data stays where it is, containers may run
    node.tasks.write_text("")
    node.run("containerd_config", state="restored", **node.common)
    node.tasks.write_text("abc 12 RUNNING\n")
    assert "failed" not in prepare(node)[1]


def test_a_directory_of_something_else_is_refused(node):
    prepare(node)
    node.new_root.mkdir()
    (node.new_root / "letters").write_text("")
    result = switch(node)
    assert result["failed"] and str(node.new_root) in result["msg"] and "letters" in result["msg"]
    assert node.config.read_text() == PREPARED
    (node.new_root / "io.containerd.metadata.v1.bolt").mkdir()
    assert switch(node)["changed"]


def test_check_mode_goes_on_from_what_was_not_done(node):
    first, _ = prepare(node, check=True)
    node.tasks.write_text("abc 12 RUNNING\n")  # Docker was not stopped either
    result = switch(node, check=True, earlier=[first])
    assert (result["changed"], result["restarted"]) == (True, True)
    assert result["diff"][0]["before"] == PREPARED and str(node.new_root) in result["diff"][0]["after"]
    assert node.config.read_text() == "version = 2\n" and not node.journal.exists()
    # somebody's edit is seen all the same, and outside check mode nothing is assumed
    assert switch(node, earlier=[first])["failed"]
    node.config.write_text("version = 2\n# mine\n")
    assert switch(node, check=True, earlier=[first])["failed"]


def test_a_failing_gate_gives_the_prepared_file_back(node):
    prepare(node)
    result = switch(node, more="# no cri\n")
    assert result["failed"] and result["put_back"] == [str(node.config)]
    assert node.config.read_text() == PREPARED
    back = node.run("containerd_config", state="restored", **node.common)
    assert node.config.read_text() == "version = 2\n"
    # the warnings of tests before this one are in it, too
    assert str(node.new_root) not in str(back.get("warnings")) and str(node.config) not in str(back.get("warnings"))
