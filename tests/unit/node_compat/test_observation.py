"""What scripts print and clusters say becomes values; the scripts run here for real, and the pods are well-formed."""

import json
import os
import resource
import shutil
import subprocess

import pytest

from unshim.facts import Containerd, Docker, Facts, File, Image, Kernel
from unshim.node_compat import judge_containers, judge_network, observation, pods
from unshim.sections import ProbeError

SHELLS = [shell for shell in (["sh"], ["dash"], ["busybox", "sh"]) if shutil.which(shell[0])]


def printed(name, *arguments, shell=("sh",)):
    """Return what a script prints; process 1 is that of a container, not of this machine."""
    script = (
        observation.script(name).replace("</proc/1/environ", "</proc/$$/environ").replace("/proc/1/", "/proc/self/")
    )
    command = [*shell, "-c", script, "sh", *arguments]
    environment = {**os.environ, "UNSHIM_COMPAT_VALUE": "made of x"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=True).stdout


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_a_container_says_what_the_kernel_says(shell):
    values = observation.from_sections("plain", printed("container.sh", shell=shell))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    seen = judge_containers.parse_limits(values["plain.limits"])
    assert seen["open files"].split()[1] == str(hard) and int(seen["open files"].split()[0]) <= hard, soft
    assert judge_containers.status_field(values["plain.status"], "Uid").split()[0] == str(os.getuid())
    assert "/" in judge_containers.mount_points(values["plain.mounts"])
    assert values["plain.identity"].split()[:2] == [str(os.getuid()), str(os.getgid())]
    assert values["plain.value"] == "made of x"
    assert {"PATH", "UNSHIM_COMPAT_VALUE"} <= set(values["plain.variables"].split())
    assert judge_network.interfaces(values["plain.interfaces"])["lo"][0] >= 16436
    assert values["plain.hostname"].strip() == os.uname().nodename


def test_values_of_variables_stay_where_they_are():
    assert "made of x" not in printed("container.sh").replace("@@value\nmade of x", "")


def test_a_node_without_any_runtime_says_so(tmp_path):
    shell = shutil.which("sh")
    command = [shell, "-c", observation.script("node.sh").replace("PATH=${PATH:-", f"PATH={tmp_path}; : ${{PATH:-")]
    for name in ("printf", "stat"):
        (tmp_path / name).symlink_to(shutil.which(name))
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    values = observation.from_node(text, Facts())
    assert "node.config" not in values and "node.runtimes" not in values and values["node.cni-network"] == ""


def test_a_log_is_found_with_its_form(tmp_path):
    (tmp_path / "real.log").write_text("2026-11-26T02:30:00.1Z stdout F " + "x" * 500 + "\n")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/0.log").symlink_to(tmp_path / "real.log")
    values = observation.from_sections("pod", printed("container_log.sh", str(tmp_path / "plain")))
    assert values["pod.log-file"] == str(tmp_path / "real.log")
    assert len(values["pod.log-lines"]) == 120 and "pod.log-link" not in values


def test_output_that_was_cut_off_is_no_observation():
    text = printed("container.sh")
    with pytest.raises(ProbeError):
        observation.from_sections("plain", text[: len(text) // 2])


DUMP = """\
version = 2
[metrics]
  address = "127.0.0.1:1338"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "k8s.gcr.io/pause:3.2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".registry.configs."r".auth]
    password = "secret-9c41"
"""
CONFLIST = (
    '{"cniVersion": "0.3.1", "plugins": [{"type": "bridge", "ipam": {"type": "host-local"}}, {"type": "portmap"}]}'
)


def test_of_containerds_settings_only_what_checks_need_is_kept():
    facts = Facts(files={"/etc/cni/net.d/10-lab.conflist": File("/etc/cni/net.d/10-lab.conflist", "file", CONFLIST)})
    text = f"@@unshim-probe 1\n@@config\n{DUMP}\n@@unshim-probe-end\n"
    values = observation.from_node(text, facts)
    assert values == {
        "node.runtimes": "runc",
        "node.cni-directories": "/opt/cni/bin /etc/cni/net.d",
        "node.sandbox-image": "k8s.gcr.io/pause:3.2",
        "node.metrics-address": "127.0.0.1:1338",
        "node.cni-network": "/etc/cni/net.d/10-lab.conflist bridge host-local portmap",
    }
    assert "secret" not in str(values)


def test_facts_of_a_node_on_docker_and_on_containerd():
    docker = Docker(installed=True, answers=True, runtimes=("runc", "kata"), images=(Image("sha256:1", ("a:1",)),))
    values = observation.from_facts(Facts(docker=docker, kernel=Kernel(sysctls={"net.ipv4.ip_forward": "1"})))
    assert values["node.docker"] == "running" and values["node.docker-runtimes"] == "runc kata"
    assert values["node.sysctls"] == "net.ipv4.ip_forward 1" and "node.images" not in values
    moved = Facts(
        docker=Docker(installed=True), containerd=Containerd(answers=True, cri_plugin="ok", k8s_images=("a:1",))
    )
    values = observation.from_facts(moved)
    assert (values["node.docker"], values["node.images"]) == ("installed", "a:1")
    assert observation.from_facts(Facts())["node.docker"] == "absent"


def test_what_the_cri_said():
    conditions = {"RuntimeReady": {"status": True}, "NetworkReady": {"status": False, "reason": "x"}}
    said = {"cri": {"api": "v1", "runtime_name": "containerd", "runtime_version": "1.6.20", "conditions": conditions}}
    assert observation.from_cri(said) == {"node.cri": "v1 containerd 1.6.20 NetworkReady=false RuntimeReady=true"}
    assert observation.from_cri({"failed": True, "msg": "no  answer"}) == {"node.cri": "failed: no answer"}


def test_the_long_line_is_whole_where_stderr_came_between_its_parts():
    # As Docker 20.10 gave it back on a busy node.
    said = "t on stdout\n"
    for log in (
        "x" * 20000 + "\n" + said + "t on stderr\n",
        "x" * 16384 + "t on stderr\n" + "x" * 3616 + "\n" + said,
        "t on stderr\n" + "x" * 20000 + "\n" + said,
    ):
        assert json.loads(observation.from_log(log, "t")) == {"longest": 20000, "stdout": True, "stderr": True}
    cut = "x" * 16384 + "\n" + "x" * 3616 + "\n" + said + "t on stderr\n"
    assert json.loads(observation.from_log(cut, "t"))["longest"] == 16384
    assert json.loads(observation.from_log("t on std", "t")) == {"longest": 8, "stdout": False, "stderr": False}


def test_series_of_one_pods_container():
    text = (
        '# HELP x\nx{container="plain",image="i:1",pod="p"} 1\ny{container="plain",image="i:1",pod="p"} 1\n'
        'z{container="plain",image="i:1",pod="q"} 1\nw{container="",image="",pod="p"} 1\n'
    )
    assert observation.from_metrics(text, "p") == "x\ny\nimage i:1"


def manifests():
    return [
        pods.probe_pod("p", "n", "w1", "i:1", "t", 20123),
        pods.host_pod("p", "n", "w1", "i:1"),
        pods.pull_pod("p", "n", "w1", ["i:1", "i@sha256:1"]),
    ]


def test_every_probe_pod_is_bound_marked_and_ends_by_itself():
    for pod in manifests():
        spec = pod["spec"]
        assert spec["nodeName"] == "w1" and spec["activeDeadlineSeconds"] and spec["tolerations"]
        assert spec["restartPolicy"] == "Never" and spec["automountServiceAccountToken"] is False
        assert pod["metadata"]["labels"] == pods.LABELS
    names = [container["name"] for container in manifests()[0]["spec"]["containers"]]
    assert sorted(names) == sorted(pods.RUNNING + pods.ENDING)
    assert pods.RUNNING[0] == "plain" and "securityContext" not in manifests()[0]["spec"]["containers"][0]


def status(running=pods.RUNNING, ended=pods.ENDING, **others):
    states = {
        **{name: {"running": {}} for name in running},
        **{name: {"terminated": {"exitCode": 0}} for name in ended},
        **others,
    }
    return {"status": {"phase": "Running", "containerStatuses": [{"name": n, "state": s} for n, s in states.items()]}}


def test_a_pod_is_settled_when_each_container_is_where_it_shall_be():
    assert pods.is_settled(status())
    assert not pods.is_settled(status(running=("plain", "user")))
    assert not pods.is_settled(status(ended=("ends",), greedy={"running": {}}, console={"running": {}}))
    assert not pods.is_settled({"status": {"phase": "Pending"}})


def test_a_pod_that_will_never_run_says_why():
    assert pods.hopeless(status()) == ""
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "x509"}}
    assert pods.hopeless(status(user=waiting)) == "container user: ImagePullBackOff: x509"
    ended = {"terminated": {"exitCode": 127, "reason": "Error"}}
    assert "exit code 127" in pods.hopeless(status(plain=ended))
    assert "NodePorts" in pods.hopeless({"status": {"phase": "Failed", "reason": "NodePorts"}})


def test_what_was_pulled_is_told_from_what_was_not():
    states = {
        "image-0": {"terminated": {"exitCode": 0}},
        "image-1": {"waiting": {"reason": "ErrImagePull", "message": "x509"}},
        "image-2": {"waiting": {"reason": "ContainerCreating"}},
        "image-3": {"waiting": {"reason": "RunContainerError", "message": "no command"}},
    }
    pod = {"status": {"containerStatuses": [{"name": n, "state": s} for n, s in states.items()]}}
    assert pods.pulled(pod) == {
        "image-0": "pulled",
        "image-1": "ErrImagePull: x509",
        "image-2": "",
        "image-3": "pulled",
    }


@pytest.mark.parametrize(
    "image_id,digest",
    [
        ("docker-pullable://r/a@sha256:1", "r/a@sha256:1"),
        ("r/a@sha256:1", "r/a@sha256:1"),
        ("docker://sha256:1", ""),
        ("sha256:1", ""),
        ("", ""),
    ],
)
def test_the_digest_of_a_status(image_id, digest):
    assert pods.digest_of(image_id) == digest


def test_a_port_that_another_pod_has_is_not_taken():
    taken = [{"spec": {"containers": [{"ports": [{"hostPort": port} for port in range(20_100, 29_899)]}]}}]
    assert pods.free_port(taken) == 29_899
