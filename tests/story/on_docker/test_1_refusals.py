"""Bad input: one clear message, no traceback, and a node on which nothing changed."""

import json

import node_snapshot
import pytest

FLAGS = "/var/lib/kubelet/kubeadm-flags.env"


def refusal(lab, *arguments, inventory="inventory/lab/hosts.yml", node="unshim-w2", playbook="migrate"):
    """Run a playbook that must fail, prove that it left the node alone, and return what it said."""
    before = node_snapshot.take(lab, node)
    run = lab.playbook(playbook, *arguments, inventory=inventory)
    after = node_snapshot.take(lab, node)
    assert run.code != 0, run.output
    assert "Traceback" not in run.output and "MODULE FAILURE" not in run.output, run.output
    assert node_snapshot.changes(before, after) == {}
    assert all(counts["changed"] == 0 for counts in run.recap().values()), run.output
    return " ".join(run.output.split())


@pytest.fixture
def inventory_of(tmp_path, lab):
    def write(host, **variables):
        path = tmp_path / "hosts.yml"
        path.write_text(json.dumps({
            "kube_node": {"hosts": {host: {
                "ansible_connection": "community.docker.docker", "ansible_user": "root",
                "unshim_kubeconfig": str(lab.root / "build/lab/kubeconfig"), **variables,
            }}},
            "kube_control_plane": {},
        }))  # fmt: skip
        return str(path)

    return write


def test_node_without_a_kubelet(lab, inventory_of):
    said = refusal(lab, inventory=inventory_of(lab.registry), node=lab.registry)
    assert "there is no kubelet on this node" in said and lab.registry in said


@pytest.mark.full
def test_node_without_docker(lab):
    lab.on("unshim-w2", "systemctl stop docker.socket docker.service && mv /usr/bin/docker /usr/sbin/dockerd /root/")
    try:
        said = refusal(lab, "--limit", "unshim-w2")
    finally:
        lab.on(
            "unshim-w2",
            "mv /root/docker /usr/bin/ && mv /root/dockerd /usr/sbin/ && systemctl start docker.socket docker.service",
        )
        lab.wait_for_pods("unshim-w2")
    assert "Docker" in said and "is not installed" in said


def test_api_not_reachable(lab, tmp_path):
    kubeconfig = (lab.root / "build/lab/kubeconfig").read_text().replace(":6443", ":6444")
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig)
    said = refusal(lab, "--limit", "unshim-w2", "-e", f"unshim_kubeconfig={path}")
    assert ":6444" in said and str(path) in said


@pytest.mark.full
def test_unknown_os(lab):
    lab.on(
        "unshim-w2",
        "mv /etc/os-release /etc/os-release.kept; printf 'ID=plan9\\nPRETTY_NAME=\"Plan 9\"\\n' >/etc/os-release",
    )
    try:
        said = refusal(lab, "--limit", "unshim-w2")
    finally:
        lab.on("unshim-w2", "mv /etc/os-release.kept /etc/os-release")
    assert "plan9" in said.lower() or "Plan 9" in said


@pytest.mark.full
def test_containerd_that_this_kubelet_cannot_speak_to(lab):
    said = refusal(lab, "--limit", "unshim-w2", "-e", "unshim_containerd_version=2.1.4-1")
    assert "2.1.4" in said and "1.20.2" in said


def test_foreign_container(lab):
    image = lab.on("unshim-w2", "docker images --format '{{.Repository}}:{{.Tag}}' | grep /web:").split()[0]
    lab.on("unshim-w2", f"docker run -d --name haproxy --network none {image}")
    try:
        said = refusal(lab, "--limit", "unshim-w2")
    finally:
        lab.on("unshim-w2", "docker rm -f haproxy")
    assert "haproxy" in said and "unshim_stop_foreign_containers" in said


def test_kubelet_flags_that_cannot_be_parsed(lab):
    lab.on(
        "unshim-w2", f"cp -p {FLAGS} /root/flags.kept; printf 'KUBELET_KUBEADM_ARGS=\"--network-plugin=cni\\n' >{FLAGS}"
    )
    try:
        said = refusal(lab, "--limit", "unshim-w2")
    finally:
        lab.on("unshim-w2", f"cp -p /root/flags.kept {FLAGS}; rm /root/flags.kept")
    assert f"{FLAGS}:1" in said or f"{FLAGS}, line 1" in said or f"{FLAGS} line 1" in said


@pytest.mark.full
def test_host_that_is_no_node(lab):
    said = refusal(lab, "--limit", "unshim-w2", "-e", "unshim_node_name=no-such-node")
    assert "no-such-node" in said and "unshim-w1" in said


@pytest.mark.full
def test_no_root(lab, inventory_of):
    said = refusal(lab, "-e", "ansible_become=false", inventory=inventory_of("unshim-w2", ansible_user="nobody"))
    assert "root" in said
