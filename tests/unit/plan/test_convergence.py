"""A plan carried out, in part or whole, and planned again: what is done is not planned twice, and no crash is a dead end.

``carried_out`` does to facts what the modules do to a node, in their order, and can stop after any step.
"""

import json
from dataclasses import replace

import pytest

from unshim import plan, plan_images
from unshim.facts import File, Image, Unit
from unshim.plan_model import Settings

SETTINGS = Settings()
JOURNAL = "/var/lib/unshim/journal.json"


def with_journal(facts, state):
    content = json.dumps({"format": 1, "state": state, "source": "dockershim"})
    return replace(facts, files={**facts.files, JOURNAL: File(JOURNAL, "file", content, mode="0600")})


def with_file(facts, change):
    file = File(change.path, "file", change.after, mode=change.mode, owner=change.owner, group=change.group)
    return replace(facts, files={**facts.files, change.path: file})


def with_unit(facts, name, **changes):
    unit = facts.units.get(name, Unit(name))
    return replace(facts, units={**facts.units, name: replace(unit, **changes)})


def carried_out(facts, made):
    """Yield (what happened last, facts) after each step of a migration."""
    for change in made.files:
        if change.stage == "prepare":
            facts = with_file(facts, change)
            yield f"wrote {change.path}", facts
    kernel = replace(
        facts.kernel, modules_loaded=("overlay", "br_netfilter"), sysctls={**facts.kernel.sysctls, **made.sysctls}
    )
    facts = replace(facts, kernel=kernel)
    yield "kernel set", facts
    facts = with_unit(
        facts, "containerd.service", active_state="active", unit_file_state="enabled", load_state="loaded"
    )
    yield "containerd restarted", facts
    for move in made.images:
        names = (*facts.containerd.k8s_images, *(plan_images.full_name(name) for name in move.names))
        facts = replace(facts, containerd=replace(facts.containerd, k8s_images=names))
        yield f"moved {move.names[0]}", facts
    facts = with_journal(facts, "prepared")
    yield "prepared", facts
    facts = with_journal(facts, "drained")
    yield "drained", facts
    facts = replace(facts, kubelet=replace(facts.kubelet, command_line=(), pid=0))
    facts = with_unit(facts, "kubelet.service", active_state="inactive")
    yield "kubelet stopped", facts
    docker = replace(facts.docker, answers=False, containers=(), images=(), cgroup_driver="")
    limits = {name: one for name, one in facts.limits.items() if name != "pod"}  # there is none to look at any more
    facts = replace(facts, docker=replace(docker, command_line=(), environment=None), limits=limits)
    for name in ("docker.socket", "docker.service"):
        facts = with_unit(facts, name, active_state="inactive")
        yield f"stopped {name}", facts
        # systemctl mask: the fragment is /dev/null from then on
        facts = with_unit(facts, name, load_state="masked", unit_file_state="masked")
        yield f"masked {name}", facts
    for change in made.files:
        if change.stage == "switch":
            facts = with_file(facts, change)
            yield f"wrote {change.path}", facts
    facts = replace(facts, kubelet=replace(facts.kubelet, command_line=made.kubelet_command_line_after, pid=1234))
    facts = with_unit(facts, "kubelet.service", active_state="active")
    yield "kubelet started", facts
    for state in ("switched", "verified", "committed"):
        facts = with_journal(facts, state)
        yield state, facts


LIMITS = {
    "limits": {
        "pod": {"nofile": [20000, 30000], "core": [0, -1], "nproc": [-1, -1]},
        "containerd": {"nofile": [1048576, 1048576], "core": [-1, -1], "nproc": [-1, -1]},
    },
    "containerd": {"oci_spec": '{"ociVersion": "1.0.2", "process": {"cwd": "/"}}'},
}

# What a node can be besides the recorded one, as changes to its facts.
NODES = {
    "kubeadm worker": {},
    "flags in the extra arguments": {
        "files": {
            "/var/lib/kubelet/kubeadm-flags.env": {"content": 'KUBELET_KUBEADM_ARGS="--v=2"\n'},
            "/etc/default/kubelet": {
                "kind": "file",
                "content": "# mine\nKUBELET_EXTRA_ARGS='--network-plugin cni --cni-bin-dir=/opt/cni/bin'\n",
            },
        },
        "kubelet": {
            "command_line": [
                "/usr/bin/kubelet",
                "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf",
                "--kubeconfig=/etc/kubernetes/kubelet.conf",
                "--config=/var/lib/kubelet/config.yaml",
                "--v=2",
                "--network-plugin",
                "cni",
                "--cni-bin-dir=/opt/cni/bin",
            ]
        },
    },
    "limits, arguments of a runtime": {
        **LIMITS,
        "files": {
            "/etc/docker/daemon.json": {
                "content": '{"default-runtime": "lab-runc", "insecure-registries": ["unshim-registry:5000"], "runtimes": '
                '{"lab-runc": {"path": "/usr/local/sbin/lab-runc", "runtimeArgs": ["--debug"]}},'
                '"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 20000, "Hard": 30000}}}'
            }
        },
    },
    "limits on containerd 1.4": {
        **LIMITS,
        "packages": {"containerd": {"version": "1.4.13~ds1-1", "candidate": "1.4.13~ds1-1"}},
        "containerd": {"version": "1.4.13~ds1"},
    },
    "other CNI directories": {
        "files": {
            "/var/lib/kubelet/kubeadm-flags.env": {
                "content": 'KUBELET_KUBEADM_ARGS="--network-plugin=cni --cni-bin-dir=/srv/cni/bin --cni-conf-dir=/srv/cni/conf"\n'
            },
            "/srv/cni/conf/1.conf": {"kind": "file", "content": '{"cniVersion": "0.3.1", "name": "n", "type": "ptp"}'},
        },
        "cni_plugins": {"/srv/cni/bin": ["loopback", "ptp"]},
        "kubelet": {
            "command_line": [
                "/usr/bin/kubelet",
                "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf",
                "--kubeconfig=/etc/kubernetes/kubelet.conf",
                "--config=/var/lib/kubelet/config.yaml",
                "--network-plugin=cni",
                "--cni-bin-dir=/srv/cni/bin",
                "--cni-conf-dir=/srv/cni/conf",
            ]
        },
    },
    "kernel and sysctls not set": {
        "files": {"/etc/sysctl.d/kubernetes.conf": None},
        "kernel": {"modules_loaded": [], "sysctls": {"net.ipv4.ip_forward": "0"}},
    },
    "a proxy and flags of dockerd": {
        "docker": {
            "command_line": [
                "/usr/sbin/dockerd",
                "-H",
                "fd://",
                "--containerd=/run/containerd/containerd.sock",
                "--insecure-registry=reg.example:5000",
            ],
            "environment": {"HTTP_PROXY": "http://u:p@proxy.example:3128"},
        },
        "files": {
            "/etc/docker/daemon.json": {"content": '{"exec-opts": ["native.cgroupdriver=cgroupfs"]}'},
            "/etc/default/docker": {"kind": "file", "content": "DOCKER_OPTS=--insecure-registry=reg.example:5000\n"},
        },
    },
    "systemd cgroups": {
        "docker": {"cgroup_driver": "systemd"},
        "files": {"/var/lib/kubelet/config.yaml": {"content": "kind: KubeletConfiguration\ncgroupDriver: systemd\n"}},
    },
}


@pytest.mark.parametrize("name", NODES)
def test_a_move_can_stop_anywhere_and_goes_on(worker, name):
    facts = worker(NODES[name])
    first = plan.make(facts, SETTINGS, "w1")
    assert [finding.message for finding in first.blockers] == []
    assert not first.done
    for event, now in carried_out(facts, first):
        again = plan.make(now, SETTINGS, "w1")
        assert [finding.message for finding in again.blockers] == [], event
        for change in again.files:
            assert now.files.get(change.path, File(change.path)).content != change.after, (
                f"{event}: {change.path} again"
            )
        if event.startswith("wrote "):
            assert event.removeprefix("wrote ") not in {change.path for change in again.files}, event
        assert {m.id for m in again.images} <= {m.id for m in first.images}
        assert again.done is (event in ("verified", "committed")), event
        if event in ("switched", "verified", "committed"):
            assert not (
                again.files or again.units or again.images or again.packages or again.modules or again.sysctls
            ), event
            assert again.source == "containerd"
            assert again.cgroup_driver == first.cgroup_driver
            assert again.sandbox_image == first.sandbox_image
            assert (again.cni_bin_dir, again.cni_conf_dir) == (first.cni_bin_dir, first.cni_conf_dir)


def test_the_kubelet_is_switched_after_docker_is_stopped(worker):
    made = plan.make(worker(), SETTINGS, "w1")
    assert [(change.unit, change.action) for change in made.units if change.stage == "switch"] == [
        ("kubelet.service", "stop"),
        ("docker.socket", "stop"),
        ("docker.socket", "mask"),
        ("docker.service", "stop"),
        ("docker.service", "mask"),
        ("kubelet.service", "start"),
    ]


def test_an_image_pulled_by_digest_counts_as_moved(worker):
    image = Image("sha256:" + "a" * 64, digests=("quay.io/x/y@sha256:" + "b" * 64,), size=5)
    facts = worker()
    facts = replace(facts, docker=replace(facts.docker, images=(*facts.docker.images, image)))
    settings = Settings(all_images=True)
    assert image.id in {move.id for move in plan.make(facts, settings, "w1").images}
    facts = replace(facts, containerd=replace(facts.containerd, k8s_images=image.digests))
    assert image.id not in {move.id for move in plan.make(facts, settings, "w1").images}
