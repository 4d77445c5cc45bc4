"""What a plan takes from the kubelet: the sandbox, Docker's socket, limits on logs; and its flags, version by version."""

from dataclasses import replace

import pytest

from unshim import compat, plan
from unshim.facts import Container, File, Unit
from unshim.kubelet_command_line import flags
from unshim.kubelet_switch import switch_runtime
from unshim.plan_model import Settings

ENDPOINT = "unix:///run/containerd/containerd.sock"
CONFIG = "/var/lib/kubelet/config.yaml"
DAEMON_JSON = "/etc/docker/daemon.json"
UNIT = "/etc/systemd/system/kubelet.service"


def made(facts, **settings):
    return plan.make(facts, Settings(**settings), "w1")


def with_flags(worker, *extra, daemon_json=None):
    """The worker with further flags in its extra arguments, which its kubelet runs with."""
    facts = worker()
    kubelet = replace(facts.kubelet, command_line=(*facts.kubelet.command_line, *extra))
    text = f'KUBELET_EXTRA_ARGS="{" ".join(extra)}"\n'
    files = {**facts.files, "/etc/default/kubelet": File("/etc/default/kubelet", "file", text, mode="0644")}
    if daemon_json is not None:
        files[DAEMON_JSON] = replace(files[DAEMON_JSON], content=daemon_json)
    docker = replace(facts.docker, command_line=None) if daemon_json is not None else facts.docker
    return replace(facts, kubelet=kubelet, files=files, docker=docker)


@pytest.mark.parametrize(
    "endpoint, hosts, blocks",
    [
        ("unix:///var/run/docker.sock", "", False),
        ("unix:///run/docker.sock", "", False),
        ("unix:///srv/docker.sock", '{"hosts": ["unix:///srv/docker.sock"]}', True),
        ("unix:///srv/docker.sock", '{"hosts": ["unix:///srv/docker.sock", "unix:///var/run/docker.sock"]}', False),
        ("unix:///srv/docker.sock", '{"hosts": ["unix:///srv/docker.sock", "fd://"]}', False),
        ("tcp://127.0.0.1:2375", '{"hosts": ["tcp://127.0.0.1:2375"]}', True),
    ],
)
def test_docker_must_listen_where_it_is_asked(worker, endpoint, hosts, blocks):
    facts = with_flags(worker, f"--docker-endpoint={endpoint}", daemon_json=hosts)
    unit = facts.units["docker.service"]  # of a unit that gives no -H
    files = {
        **facts.files,
        unit.fragment_path: File(unit.fragment_path, "file", "[Service]\nExecStart=/usr/sbin/dockerd\n"),
    }
    found = made(replace(facts, files=files))
    assert ("docker-endpoint" in {finding.id for finding in found.blockers}) is blocks
    assert f"--docker-endpoint={endpoint}" not in found.kubelet_command_line_after


def sandbox(image, started_at, running=True):
    labels = {"io.kubernetes.docker.type": "podsandbox", "io.kubernetes.pod.name": "p"}
    return Container(started_at, f"k8s_POD_{started_at}", image, running, started_at, 1, labels)


@pytest.mark.parametrize(
    "flag, sandboxes, image",
    [
        ("a/pause:1", [("b/pause:2", "2026-01-01T00:00:00Z")], "a/pause:1"),
        ("", [("b/pause:2", "2026-01-02T00:00:00Z"), ("b/pause:1", "2026-01-01T00:00:00Z")], "b/pause:2"),
        ("", [("sha256:" + "a" * 64, "2026-01-01T00:00:00Z")], "k8s.gcr.io/pause:3.2"),
        ("", [], "k8s.gcr.io/pause:3.2"),
    ],
)
def test_sandbox_image_is_the_flags_else_what_runs_else_the_default(worker, flag, sandboxes, image):
    facts = worker(
        {"files": {"/var/lib/kubelet/kubeadm-flags.env": {"content": "KUBELET_KUBEADM_ARGS=--network-plugin=cni\n"}}}
    )
    line = tuple(word for word in facts.kubelet.command_line if "pause" not in word)
    facts = replace(
        facts,
        kubelet=replace(facts.kubelet, command_line=line),
        docker=replace(facts.docker, containers=tuple(sandbox(*each) for each in sandboxes)),
    )
    if flag:
        facts = with_flags(lambda: facts, f"--pod-infra-container-image={flag}")
    assert made(facts).sandbox_image == image


def test_limits_on_logs_that_are_set_are_not_set_again(worker):
    facts = worker()
    (change,) = [change for change in made(facts).files if change.path == CONFIG]
    assert change.stage == "switch"
    assert change.after == change.before + "containerLogMaxSize: 10M\ncontainerLogMaxFiles: 3\n"
    files = {**facts.files, CONFIG: replace(facts.files[CONFIG], content=change.after)}
    again = made(replace(facts, files=files))
    assert CONFIG not in {change.path for change in again.files}
    assert not [finding.id for finding in again.findings if finding.id.startswith("log-rotation")]


@pytest.mark.parametrize(
    "daemon_json, found",
    [
        ("{}", "log-rotation-new"),
        ('{"log-opts": {"max-file": "3"}}', "log-rotation-new"),
        ('{"log-opts": {"max-size": "many"}}', "log-opts-unreadable"),
        ('{"log-opts": {"max-size": "1m"}}', "log-rotation-files"),
        ('{"log-driver": "syslog"}', "log-driver"),
        ('{"log-driver": "my/plugin"}', "log-driver"),
        ('{"log-driver": "none"}', "log-driver"),
    ],
)
def test_what_is_said_of_logs(worker, daemon_json, found):
    facts = worker({"files": {DAEMON_JSON: {"content": daemon_json}}})
    assert found in {finding.id for finding in made(facts).findings}


def test_flags_for_logs_are_the_operators(worker):
    facts = with_flags(worker, "--container-log-max-size=5Mi")
    found = made(facts)
    assert "--container-log-max-size=5Mi" in found.kubelet_command_line_after
    assert CONFIG not in {change.path for change in found.files}
    assert "log-rotation-kubelets" in {finding.id for finding in found.findings}


def test_configuration_from_the_api_is_told(worker):
    found = made(with_flags(worker, "--dynamic-config-dir=/var/lib/kubelet/dynamic"))
    assert "kubelet-config-in-the-api" in {finding.id for finding in found.findings}


def test_a_bare_path_is_an_endpoint_too(worker):
    found = made(worker(), cri_endpoint="/run/containerd/containerd.sock")
    assert found.cri_endpoint == ENDPOINT
    assert f"--container-runtime-endpoint={ENDPOINT}" in found.kubelet_command_line_after


MINORS = range(16, 37)


@pytest.mark.parametrize("minor", MINORS)
def test_no_kubelet_is_given_a_flag_it_does_not_start_with(minor):
    version = f"1.{minor}.0"
    before = [
        f"--{row.name}={'unix:///run/cri-dockerd.sock' if row.name == 'container-runtime-endpoint' else 'true'}"
        for row in compat.KUBELET_FLAGS
        if compat.flag_state(row.name, version) != "fatal"
    ]
    text = f"[Service]\nExecStart=/usr/bin/kubelet {' '.join(before)} --v=2\n"
    files = {UNIT: File(UNIT, "file", text)}
    after = switch_runtime(Unit("kubelet.service", fragment_path=UNIT), files, version, ENDPOINT).after.argv
    names = [flag.name for flag in flags(after)]
    assert not [name for name in names if compat.flag_state(name, version) == "fatal"]
    assert ("container-runtime" in names) is (minor < 24)
    assert ("pod-infra-container-image" in names) is (minor < 35)
    assert f"--container-runtime-endpoint={ENDPOINT}" in after
    assert after[-1] == "--v=2"
    assert not [name for name in names if compat.dockershim_reason(name)]


CRI_DOCKER = "/lib/systemd/system/cri-docker.service"


@pytest.mark.parametrize(
    "flags, says", [("--network-plugin=", "no --network-plugin"), ("--network-plugin=kubenet", "kubenet")]
)
def test_cri_dockerd_stopped_is_known_by_its_unit(worker, flags, says):
    """The mask of an interrupted switch hides the unit, and the process is gone."""
    argv = ["/usr/bin/kubelet", "--container-runtime-endpoint=unix:///run/cri-dockerd.sock"]
    unit = {"load_state": "masked", "active_state": "inactive", "fragment_path": "/dev/null"}
    changes = {
        "kubelet": {"version": "1.28.4", "command_line": argv},
        "units": {"cri-docker.service": unit},
        "files": {CRI_DOCKER: {"kind": "file", "content": f"[Service]\nExecStart=/usr/bin/cri-dockerd {flags}\n"}},
    }
    made = plan.make(worker(changes), Settings(), "w1")
    found = [finding for finding in made.findings if finding.id == "no-network-plugin"]
    assert [("cri-dockerd" in one.message, says in one.message) for one in found] == [(True, True)]


@pytest.mark.parametrize(
    ("endpoint", "changes"),
    [
        ("unix:///srv/k8s/cri.sock", {"cri_dockerd": ["/usr/bin/cri-dockerd", "--container-runtime-endpoint=unix:///srv/k8s/cri.sock"]}),
        ("/srv/k8s/cri.sock", {"cri_dockerd": ["/usr/bin/cri-dockerd", "--container-runtime-endpoint", "unix:///srv/k8s/cri.sock"]}),
        (
            "unix:///run/k8s-cri.sock",
            {
                "cri_dockerd": ["/usr/bin/cri-dockerd", "--container-runtime-endpoint", "fd://"],
                "files": {"/etc/systemd/system/cri-docker.socket": {"kind": "file", "content": "[Socket]\nListenStream = %t/k8s-cri.sock\n"}},
            },
        ),
    ],
)  # fmt: skip
def test_cri_dockerd_at_a_socket_of_another_name(worker, endpoint, changes):
    units = {
        "cri-docker.service": {"load_state": "loaded", "active_state": "active", "unit_file_state": "enabled"},
        "cri-docker.socket": {
            "load_state": "loaded", "active_state": "active", "unit_file_state": "enabled",
            "fragment_path": "/etc/systemd/system/cri-docker.socket",
        },
    }  # fmt: skip
    argv = ["/usr/bin/kubelet", "--container-runtime=remote", f"--container-runtime-endpoint={endpoint}"]
    made = plan.make(worker({"kubelet": {"command_line": argv}, "units": units, **changes}), Settings(), "w1")
    assert made.source == "cri-dockerd"
    assert {change.unit for change in made.units if change.action == "mask"} >= {
        "cri-docker.service",
        "cri-docker.socket",
    }
    other = [*argv[:-1], "--container-runtime-endpoint=unix:///srv/other.sock"]
    made = plan.make(worker({"kubelet": {"command_line": other}, "units": units, **changes}), Settings(), "w1")
    assert "source-unknown" in {finding.id for finding in made.findings}


def test_kubesprays_names_of_cri_dockerds_units(worker):
    unit = "/etc/systemd/system/cri-dockerd.service"
    changes = {
        "kubelet": {"version": "1.28.4", "command_line": ["/usr/bin/kubelet", "--container-runtime-endpoint=unix:///var/run/cri-dockerd.sock"]},
        "units": {
            "cri-dockerd.service": {"load_state": "loaded", "active_state": "active", "unit_file_state": "enabled", "fragment_path": unit},
            "cri-dockerd.socket": {"load_state": "loaded", "active_state": "active", "unit_file_state": "enabled"},
        },
        "files": {unit: {"kind": "file", "content": "[Service]\nExecStart=/usr/local/bin/cri-dockerd --cni-bin-dir=/opt/other/bin\n"}},
    }  # fmt: skip
    made = plan.make(worker(changes), Settings(), "w1")
    assert made.source == "cri-dockerd" and made.cni_bin_dir == "/opt/other/bin"
    assert {change.unit for change in made.units if change.action == "mask"} >= {
        "cri-dockerd.service",
        "cri-dockerd.socket",
    }


def test_a_cri_dockerd_that_is_no_unit(worker):
    changes = {
        "kubelet": {"command_line": ["/usr/bin/kubelet", "--container-runtime=remote", "--container-runtime-endpoint=unix:///run/cri-dockerd.sock"]},
        "cri_dockerd": ["/root/cri-dockerd"],
    }  # fmt: skip
    found = {finding.id: finding for finding in plan.make(worker(changes), Settings(), "w1").findings}
    assert "/root/cri-dockerd" in found["cri-dockerd-not-a-unit"].message


@pytest.mark.parametrize(
    ("line", "blocks"),
    [
        ("Requires=docker.service", True),
        ("BindsTo = network.target docker.socket", True),
        ("Requires=cri-docker.service", True),
        ("Requisite=cri-dockerd.service", True),
        ("Wants=docker.service", False),
        ("After=docker.service", False),
        ("PartOf=docker.service", False),
        ("#Requires=docker.service", False),
        ("Requires=my-docker.service", False),
        ("Requires=docker.service.d", False),
    ],
)
def test_a_kubelet_that_systemd_does_not_start_without_docker(worker, line, blocks):
    path = worker().units["kubelet.service"].fragment_path
    before = worker().files[path].content
    changes = {"files": {path: {"content": before.replace("[Unit]\n", f"[Unit]\n{line}\n")}}}
    assert "[Unit]" in before
    found = {finding.id: finding for finding in plan.make(worker(changes), Settings(), "w1").findings}
    assert ("kubelet-requires-docker" in found) is blocks
    if blocks:
        assert path in found["kubelet-requires-docker"].message
