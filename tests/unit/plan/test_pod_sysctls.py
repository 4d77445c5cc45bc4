"""Ports below 1024 and ping for processes without root: carried over, left as a file says, or told."""

import json

import pytest

from unshim import plan
from unshim.containerd_config import parse
from unshim.plan_model import Settings

CONFIG = "/etc/containerd/config.toml"
IMPORT = "/etc/containerd/conf.d/own.toml"
CRI, CRI_3 = "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"
PORTS, PING = "enable_unprivileged_ports", "enable_unprivileged_icmp"
KUBELET = [
    "/usr/bin/kubelet",
    "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf",
    "--kubeconfig=/etc/kubernetes/kubelet.conf",
    "--config=/var/lib/kubelet/config.yaml",
]
LOST, OFF = "unprivileged-ports-lost", "unprivileged-ports-off"


def containerd(version):
    return {
        "containerd": {"version": version},
        "packages": {"containerd": {"version": f"{version}-1", "candidate": f"{version}-1"}},
    }


def on_cri_dockerd(version, **files):
    """Return the changes of a node whose kubelet can go with containerd 2."""
    kubelet = "kind: KubeletConfiguration\ncgroupDriver: cgroupfs\ncontainerRuntimeEndpoint: unix:///var/run/cri-dockerd.sock\n"
    up = {"load_state": "loaded", "active_state": "active", "unit_file_state": "enabled"}
    return {
        **containerd(version),
        "kubelet": {"version": "1.34.1", "command_line": KUBELET},
        "units": {"cri-docker.service": up, "cri-docker.socket": up},
        "files": {
            "/var/lib/kubelet/kubeadm-flags.env": {"content": "KUBELET_KUBEADM_ARGS=\n"},
            "/var/lib/kubelet/config.yaml": {"content": kubelet},
            **files,
        },
    }


def config(text):
    return {CONFIG: {"content": text}}


def options(made):
    """Return the two options of config.toml after the plan, wherever they are."""
    text = next(change.after for change in made.files if change.path == CONFIG and change.stage == "prepare")
    plugins = parse(text)["plugins"]
    return {
        (name, key): plugins[name][key]
        for name in (CRI, CRI_3)
        for key in (PORTS, PING)
        if key in plugins.get(name, {})
    }


def told(made):
    assert made.blockers == ()
    return {finding.id: finding for finding in made.findings if finding.id in (LOST, OFF)}


@pytest.mark.parametrize(
    "docker, kernel, written",
    [
        ("20.10.24+dfsg1", "6.1.0", [PORTS, PING]),
        ("20.10.5+dfsg1", "5.10.0", [PORTS]),
        ("26.1.4", "3.10.0-1160.119.1.el7.x86_64", [PING]),
        ("19.03.15", "5.4.0", []),
    ],
)
def test_what_docker_gives_is_written(worker, docker, kernel, written):
    made = plan.make(worker({"docker": {"version": docker}, "os": {"kernel": kernel}}), Settings(), "w1")
    assert options(made) == {(CRI, key): True for key in written}
    assert told(made) == {}


def test_containerd_2_does_it_by_itself(worker):
    made = plan.make(worker(on_cri_dockerd("2.1.9")), Settings(), "w1")
    assert (options(made), told(made)) == ({}, {})


@pytest.mark.parametrize("said, kept", [("true", []), ("false", [PORTS])])
def test_what_config_toml_says_stays(worker, said, kept):
    text = f'version = 2\n[plugins."{CRI}"]\n  {PORTS} = {said} # ours\n'
    made = plan.make(worker({"files": config(text)}), Settings(), "w1")
    assert options(made) == {(CRI, PORTS): said == "true", (CRI, PING): True}
    findings = told(made)
    assert list(findings) == [OFF] * len(kept)
    if kept:
        finding = findings[OFF]
        assert finding.severity == "warn"
        assert finding.message.startswith(f"{CONFIG} leaves {PORTS} off")
        assert "Docker 20.10.24" in finding.message and "ping" not in finding.message
        assert f"{PORTS} = true" in finding.remedy and CRI in finding.remedy


@pytest.mark.parametrize(
    "files, where, table",
    [
        (config(f'version = 3\n[plugins."{CRI_3}"]\n{PORTS} = false\n'), CONFIG, CRI_3),
        (config(f'version = 2\n[plugins."{CRI}"]\n{PORTS} = false\n'), CONFIG, CRI),
        (
            config(f'version = 3\nimports = ["{IMPORT}"]\n')
            | {IMPORT: {"kind": "file", "content": f'version = 3\n[plugins."{CRI_3}"]\n{PORTS} = false\n'}},
            IMPORT,
            CRI_3,
        ),
    ],
)
def test_containerd_2_that_is_told_not_to(worker, files, where, table):
    made = plan.make(worker(on_cri_dockerd("2.1.9", **files)), Settings(), "w1")
    assert (CRI, PING) not in options(made) and (CRI_3, PING) not in options(made)
    finding = told(made)[OFF]
    assert finding.message.startswith(f"{where} leaves {PORTS} off") and table in finding.remedy


def test_an_import_that_takes_it_away_is_told_and_does_not_block(worker):
    """An import like nvidia-ctk's for containerd 1.x: the whole table of the plugin, as config.toml had it once."""
    first = plan.make(worker(), Settings(), "w1")
    text = next(change.after for change in first.files if change.path == CONFIG)
    table = "\n".join(line for line in text.splitlines() if PORTS not in line)
    files = {CONFIG: {"content": f'imports = ["{IMPORT}"]\n{text}'}, IMPORT: {"kind": "file", "content": table}}
    made = plan.make(worker({"files": files}), Settings(), "w1")
    finding = told(made)[OFF]
    assert finding.message.startswith(f"{IMPORT} leaves {PORTS} off")
    assert CONFIG not in {change.path for change in made.files}


@pytest.mark.parametrize(
    "docker, ping",
    [("20.10.24+dfsg1", True), ("20.10.5+dfsg1", False)],
)
def test_an_old_containerd_cannot(worker, docker, ping):
    made = plan.make(worker({**containerd("1.4.13~ds1"), "docker": {"version": docker}}), Settings(), "w1")
    assert options(made) == {}
    finding = told(made)[LOST]
    assert finding.severity == "warn"
    assert "containerd 1.4.13~ds1 has no" in finding.message and ("ping" in finding.message) is ping
    for word in ("net.ipv4.ip_unprivileged_port_start=0", "1.22", "1.6", "unshim_containerd_version"):
        assert word in finding.remedy
    assert ("net.ipv4.ping_group_range" in finding.remedy) is ping


def test_an_old_containerd_after_an_old_docker_is_no_news(worker):
    made = plan.make(worker({**containerd("1.4.13~ds1"), "docker": {"version": "19.03.15"}}), Settings(), "w1")
    assert told(made) == {}


def test_on_a_kernel_with_which_containerd_2_would_not_load_cri_it_is_off(worker):
    text = f'version = 3\n[plugins."{CRI_3}"]\n{PORTS} = true\n'
    changes = on_cri_dockerd("2.1.9", **config(text)) | {"os": {"kernel": "4.4.0-210-generic"}}
    made = plan.make(worker(changes), Settings(), "w1")
    assert options(made) == {(CRI_3, PORTS): False, (CRI_3, PING): False}
    finding = told(made)[LOST]
    assert "ping; on the kernel 4.4.0-210-generic" in finding.message and "a newer kernel" in finding.remedy


def test_a_node_that_is_provisioned_gets_containerds_own(facts_of):
    changes = {**containerd("1.7.24"), "docker": {"version": "20.10.24"}}
    made = plan.make(facts_of("fresh-debian", changes), Settings(goal="provision"), "n1")
    assert options(made) == {}


def moved(state, text):
    """Return the changes of a node that runs on containerd with this config.toml, its Docker stopped by unshim."""
    stopped = {"active_state": "inactive", "load_state": "masked", "unit_file_state": "masked"}
    flags = ["--container-runtime=remote", "--container-runtime-endpoint=unix:///run/containerd/containerd.sock"]
    journal = {"kind": "file", "content": json.dumps({"format": 1, "state": state, "source": "dockershim"})}
    return {
        "kubelet": {"command_line": [*KUBELET, *flags]},
        "units": {"docker.service": stopped, "docker.socket": stopped},
        "docker": {"answers": False, "containers": [], "images": [], "cgroup_driver": ""},
        "files": config(text)
        | {"/var/lib/kubelet/kubeadm-flags.env": {"content": f'KUBELET_KUBEADM_ARGS="{" ".join(flags)}"\n'}}
        | ({"/var/lib/unshim/journal.json": journal} if state != "docker" else {}),
    }


def test_a_node_moved_before_this_was_carried_is_told_of_it_and_stays_as_it_is(worker):
    made = plan.make(worker(moved("verified", "version = 2\n")), Settings(), "w1")
    assert made.done
    assert not (made.files or made.units or made.annotations)
    finding = told(made)[OFF]
    assert finding.severity == "info" and "restart containerd" in finding.remedy


def test_a_moved_node_that_has_it_is_told_nothing(worker):
    text = f'version = 2\n[plugins."{CRI}"]\n{PORTS} = true\n{PING} = true\n'
    assert told(plan.make(worker(moved("verified", text)), Settings(), "w1")) == {}


def test_a_node_that_somebody_else_moved_is_told_nothing(worker):
    assert told(plan.make(worker(moved("docker", "version = 2\n")), Settings(), "w1")) == {}
