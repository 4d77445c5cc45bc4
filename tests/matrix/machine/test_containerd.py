"""The containerd a machine was given: its release, its configuration, and a pod on it."""

import re
import tomllib

import pytest


@pytest.fixture(scope="module")
def config(host):
    """The configuration as the machine's containerd understands it."""
    return tomllib.loads(host.check_output("containerd config dump"))


@pytest.fixture(scope="module")
def runtime(config):
    name = "io.containerd.cri.v1.runtime" if config["version"] >= 3 else "io.containerd.grpc.v1.cri"
    return config["plugins"][name]


@pytest.fixture(scope="module")
def images(config):
    name = "io.containerd.cri.v1.images" if config["version"] >= 3 else "io.containerd.grpc.v1.cri"
    return config["plugins"][name]


@pytest.fixture(scope="module")
def written(host):
    return host.check_output("cat /etc/containerd/config.toml")


def test_release_is_the_one_of_this_machine(host, variables):
    assert re.search(rf" v?{re.escape(variables['matrix_containerd'])}\.\d+", host.check_output("containerd --version"))


def test_every_plugin_of_cri_is_loaded(host, config):
    states = {
        words[1]: words[-1]
        for words in map(str.split, host.check_output("ctr plugins ls").splitlines())
        if len(words) > 3
    }
    wanted = {"cri", "images", "runtime"} if config["version"] >= 3 else {"cri"}
    assert {name: states.get(name) for name in wanted} == dict.fromkeys(wanted, "ok")


def test_containerd_takes_the_settings_from_the_file(host, written, runtime, images, variables):
    file = tomllib.loads(written)
    assert (runtime.get("sandbox_image") or images["pinned_images"]["sandbox"]) == variables["unshim_sandbox_image"]
    assert runtime["cni"]["conf_dir"] == "/etc/cni/net.d"
    assert file["version"] in (2, 3)
    said = host.run("containerd config dump").stderr
    assert "unknown" not in said.lower() and "error" not in said.lower(), said


def test_what_was_written_by_hand_is_still_there(host, written, variables):
    registry = f"/etc/containerd/certs.d/{variables['matrix_registry']}/hosts.toml"
    assert host.file(registry).content_string == variables["matrix_hosts_toml"]
    if "matrix_config" in variables:
        position = 0
        for line in variables["matrix_config"].splitlines():
            position = written.find(line, position)
            assert position >= 0, f"{line!r} is gone, or before what it followed:\n{written}"
        assert host.file("/etc/containerd/config.toml").mode == 0o640


def test_pod_runs_in_the_namespace_of_kubernetes(pod):
    assert pod["state"] == "running"
    tasks = {words[0]: words[2] for words in pod["tasks"]}
    assert (tasks[pod["sandbox"]], tasks[pod["container"]]) == ("RUNNING", "RUNNING")


def test_pod_has_a_network(pod):
    assert pod["network_ready"]
    assert pod["address"].startswith("10.88.")
    assert pod["answer"] == "it answers\n"


def test_log_is_written_where_the_kubelet_reads_it(pod):
    assert re.fullmatch(r"\S+ stdout F it runs\n", pod["log"])


def test_exec_works(pod):
    assert "/" in pod["exec"]


def test_systemd_has_the_containers_cgroup(pod):
    assert f"/kubepods.slice/cri-containerd-{pod['container']}.scope" in pod["cgroups"]


def test_nothing_of_the_pod_is_left(host, pod):
    assert pod["left"] == []
    assert host.check_output("ctr -n k8s.io containers ls -q") == ""
