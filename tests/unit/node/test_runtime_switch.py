"""A node goes from Docker to containerd in one module: in which order, what is refused before, and how it is gone on with."""

import json
import os
import subprocess
from unittest import mock

import pytest

from cri_server import Server, reply
from stand_in_node import change
from unshim_node.protobuf_wire import field

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as on a node")
FLAGS = 'KUBELET_KUBEADM_ARGS="--network-plugin=cni"\n'
ENGINE = "ansible.module_utils.unshim_node.docker_engine"

POD = {
    "Id": "c" * 64,
    "Name": "/k8s_agent_agent-x",
    "State": {"Running": True, "Pid": 0},
    "HostConfig": {"NetworkMode": "host"},
    "Config": {
        "Image": "agent:1",
        "Labels": {
            "io.kubernetes.pod.name": "agent-x",
            "io.kubernetes.pod.namespace": "shop",
            "io.kubernetes.container.name": "agent",
            "io.kubernetes.docker.type": "container",
        },
    },
}
FOREIGN = {"Id": "f" * 64, "Name": "/registry", "State": {"Running": True}, "Config": {"Image": "registry:2"}}

# Docker has what is in the file "containers", until it is stopped; what it was asked stands in the order of systemd's calls.
DOCKER = """
echo "docker $1" >>$UNITS/calls
case "$1 $*" in
    "ps "*-aq*) grep -o '"Id": "[a-f]*"' {containers} | cut -d'"' -f4 ;;
    "ps "*) [ -e {stopped} ] || grep -o '"Id": "[a-f]*"' {containers} | cut -d'"' -f4 ;;
    "inspect "*) cat {containers} ;;
    "info "*) echo '{{"DockerRootDir": "/data/docker"}}' ;;
    "stop "*) touch {stopped} ;;
esac
"""


class Switching:
    """A drained node on Docker, with a containerd that answers."""

    def __init__(self, node):
        self.node = node
        self.flags = node.etc / "kubeadm-flags.env"
        self.config = node.etc / "config.toml"
        self.stopped = node.root / "stopped"
        self.containers = node.root / "containers"
        self.network = True
        self.has(POD)

    def has(self, *containers):
        self.containers.write_text(json.dumps(containers))

    def answer(self, method, request):
        name = method.rsplit("/", 1)[1]
        if name == "Version":
            return reply(field(2, "containerd") + field(3, "1.6.20"))
        if name == "Status":
            conditions = (("RuntimeReady", True), ("NetworkReady", self.network))
            return reply(
                field(1, b"".join(field(1, field(1, k) + (field(2, True) if v else b"")) for k, v in conditions))
            )
        return reply(field(1, b"") if b"pause" in request else b"")

    def run(self, check=False, **more):
        wanted = FLAGS.replace("--network-plugin=cni", "--container-runtime-endpoint=unix://%s" % self.socket)
        files = [change(self.flags, FLAGS, wanted, role="kubelet", stage="switch")]
        # What is left in this machine's process table is not this node's.
        with mock.patch(ENGINE + ".left_running", return_value=[]):
            given = {"files": files, "sandbox_image": "pause:3.2", "cri_timeout": 0.5, "watch": 0.3, **more}
            return self.node.run("runtime_switch", check, endpoint="unix://" + self.socket, cri_api=["v1"], **given)


@pytest.fixture
def on_docker(node):
    made = Switching(node)
    made.flags.write_text(FLAGS)
    node.program("kubelet", "while :; do sleep 1; done")
    node.program("docker", DOCKER.format(containers=made.containers, stopped=made.stopped))
    node.unit("kubelet.service", command=["/bin/sh", str(node.bin / "kubelet")], environment_file=str(made.flags))
    for unit in ("docker.socket", "docker.service", "containerd.service"):
        node.unit(unit)
    systemctl = str(node.bin / "systemctl")
    subprocess.run([systemctl, "restart", "kubelet.service"], check=True)
    node.calls()
    with Server(node.root, made.answer) as server:
        made.socket = server.path
        yield made
    subprocess.run([systemctl, "stop", "kubelet.service"], check=True)


def events(node):
    return [entry["event"] for entry in node.written()["timeline"]]


def test_docker_stops_between_the_two_kubelets(on_docker, node):
    result = on_docker.run()
    assert result["changed"] and result["pid"], result
    assert result["command_line"][-1] == "--container-runtime-endpoint=unix://" + on_docker.socket
    assert result["stopped"] == ["agent of pod shop/agent-x (cccccccccccc)"]
    assert result["changed_files"] == [str(on_docker.flags)]
    assert node.calls() == [
        "docker info",  # while the kubelet still runs
        "stop kubelet.service",
        "docker ps",
        "docker inspect",
        "docker stop",
        "docker ps",
        "stop docker.socket",
        "stop docker.service",
        "mask docker.socket docker.service",
        "restart kubelet.service",
    ]
    written = node.written()
    assert [step["name"] for step in written["steps"]] == [
        "stop the kubelet",
        "retire Docker",
        "point the kubelet at unix://" + on_docker.socket,
    ]
    assert {step["status"] for step in written["steps"]} == {"done"}
    assert (written["state"], written["notes"]["docker_root"]) == ("switched", "/data/docker")
    assert events(node) == ["docker stopping", "docker stopped", "switched"]


def test_check_mode_tells_all_of_it_and_does_nothing(on_docker, node):
    predicted = on_docker.run(check=True)
    assert predicted["changed"] and predicted["changed_files"] == [str(on_docker.flags)]
    assert [call for call in node.calls() if not call.startswith("docker")] == [] and not node.journal.exists()
    assert on_docker.run()["diff"] == predicted["diff"]


@pytest.mark.parametrize(
    "what, said",
    [
        ("network", "NetworkReady is false"),
        ("image", "does not have gone:1"),
        ("file", "changed since the plan was made"),
    ],
)
def test_what_can_be_refused_is_refused_while_the_kubelet_runs(on_docker, node, what, said):
    on_docker.network = what != "network"
    if what == "file":
        on_docker.flags.write_text("somebody's\n")
    result = on_docker.run(**({"sandbox_image": "gone:1"} if what == "image" else {}))
    assert result["failed"] and said in result["msg"], result
    assert node.calls() == [] and node.state_of("kubelet.service")["ActiveState"] == "active"


def test_a_foreign_container_leaves_docker_as_it_is(on_docker, node):
    on_docker.has(POD, FOREIGN)
    result = on_docker.run()
    assert "would be stopped with Docker: registry" in result["msg"]
    assert node.state_of("docker.service")["ActiveState"] == "active"
    assert "docker stop" not in node.calls()
    assert on_docker.run(stop_foreign=["registry"])["changed"]


def test_a_switch_that_was_cut_short_is_gone_on_with(on_docker, node):
    killed = mock.Mock(side_effect=KeyboardInterrupt)
    with mock.patch("ansible.module_utils.unshim_node.kubelet_switch.run_and_prove", killed), pytest.raises(
        KeyboardInterrupt
    ):
        on_docker.run()
    assert node.written()["state"] == "docker" and events(node)[-1] == "docker stopped"
    node.calls()
    assert on_docker.run()["changed"]
    assert node.calls() == ["restart kubelet.service"]  # Docker is stopped: only the kubelet is left to do
    assert node.written()["state"] == "switched"


def test_a_switched_node_is_only_looked_at(on_docker, node):
    on_docker.run()
    node.calls()
    again = on_docker.run()
    assert again["pid"] and node.written()["state"] == "switched"


def test_a_new_data_directory_comes_when_nothing_runs_any_more(on_docker, node):
    on_docker.config.write_text("old\n")
    node.program("containerd", "true")
    files = [
        change(on_docker.config, "old\n", 'root = "/x"\n', role="containerd_config", stage="switch"),
        change(on_docker.flags, FLAGS, FLAGS.replace("network-plugin", "container-runtime-endpoint"), role="kubelet"),
    ]
    order = []
    moved = {"changed": True, "changed_files": [str(on_docker.config)], "diff": []}

    def present(part, journal):
        order.append((node.calls()[-1], [one["path"] for one in part.params["files"]]))
        return moved

    with mock.patch("ansible.module_utils.unshim_node.containerd_config.present", present):
        result = on_docker.run(files=files, new_root=True)
    assert order == [("mask docker.socket docker.service", [str(on_docker.config)])]
    assert result["failed"] and "neither its command line nor its configuration file names" in result["msg"]
