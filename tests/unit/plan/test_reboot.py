"""What a reboot needs, seen in a node's files and units."""

import json

import pytest

from unshim import reboot
from unshim.facts import Facts

MOVED = {
    "hostname": "w",
    "files": {
        "/var/lib/unshim/journal.json": {
            "kind": "file",
            "content": json.dumps({"state": "verified", "units": {"kubelet.service": {"unit_file_state": "enabled"}}}),
        },
        "/etc/modules-load.d/unshim.conf": {"kind": "file", "content": "# ours\noverlay\nbr_netfilter\n"},
        "/etc/sysctl.d/99-unshim.conf": {
            "kind": "file",
            "content": "net.bridge.bridge-nf-call-ip6tables = 1\nnet.bridge.bridge-nf-call-iptables = 1\nnet.ipv4.ip_forward = 1\n",
        },
        # The recorded worker's own, which say the same.
        "/etc/modules-load.d/kubernetes.conf": None,
        "/etc/sysctl.d/kubernetes.conf": None,
    },
    "units": {
        "containerd.service": {"unit_file_state": "enabled"},
        "kubelet.service": {"unit_file_state": "enabled"},
        "docker.service": {"load_state": "masked", "unit_file_state": "masked"},
        "docker.socket": {"load_state": "masked", "unit_file_state": "masked"},
    },
}


def judged(worker, changes=None):
    moved = json.loads(json.dumps(MOVED))
    for section, entries in (changes or {}).items():
        if isinstance(entries, dict):
            moved.setdefault(section, {}).update(entries)
    return reboot.judge(worker(moved))


def test_a_moved_node_comes_back(worker):
    assert judged(worker) == reboot.Reboot()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"units": {"containerd.service": {"unit_file_state": "disabled"}}}, "systemctl enable containerd"),
        ({"units": {"containerd.service": {"unit_file_state": "enabled-runtime"}}}, "systemctl enable containerd"),
        ({"units": {"kubelet.service": {"unit_file_state": "disabled"}}}, "systemctl enable kubelet"),
        ({"units": {"docker.socket": {"load_state": "loaded", "unit_file_state": "enabled"}}}, "mask docker.socket"),
        ({"units": {"docker.service": {"load_state": "loaded", "unit_file_state": "disabled"}}}, "mask docker.service"),
        ({"files": {"/etc/modules-load.d/unshim.conf": None}}, "br_netfilter"),
        ({"files": {"/etc/sysctl.d/99-unshim.conf": None}}, "net.ipv4.ip_forward"),
    ],
)
def test_what_would_not_come_back(worker, changes, said):
    found = judged(worker, changes)
    assert any(said in line for line in found.problems), found


def test_a_unit_that_cannot_be_masked_and_has_our_drop_in(worker):
    unit = {
        "load_state": "loaded", "unit_file_state": "disabled", "fragment_path": "/etc/systemd/system/docker.service",
        "drop_in_paths": ["/etc/systemd/system/docker.service.d/90-unshim-retired.conf"],
    }  # fmt: skip
    assert judged(worker, {"units": {"docker.service": unit}}) == reboot.Reboot()
    assert judged(worker, {"units": {"docker.service": {**unit, "unit_file_state": "enabled"}}}).problems


def test_what_the_node_never_had_is_a_doubt(worker):
    journal = {"kind": "file", "content": json.dumps({"state": "verified"})}
    found = judged(
        worker,
        {
            "units": {"kubelet.service": {"unit_file_state": "disabled"}},
            "files": {
                "/var/lib/unshim/journal.json": journal,
                "/etc/sysctl.d/zz.conf": {"kind": "file", "content": "net.ipv4.ip_forward = 0\n"},
            },
        },
    )
    assert found.problems == ()
    assert [line.split()[0] for line in found.doubts] == ["kubelet.service", "/etc/sysctl.d/zz.conf"]


def test_a_node_that_others_set_up(worker):
    found = judged(worker, {"files": {"/var/lib/unshim/journal.json": None, "/etc/modules-load.d/unshim.conf": None}})
    assert found.problems == () and len(found.doubts) == 2


def test_a_disk_that_was_mounted_by_hand(worker):
    mount = {"path": "/var/lib/containerd", "filesystem": "ext4", "device": "/dev/sdb"}
    where = {"mounts": {"/var/lib/containerd": {**mount, "unit": ""}}}
    assert any("/etc/fstab" in line for line in judged(worker, where).doubts)
    for changes in (
        {"mounts": {"/var/lib/containerd": {**mount, "unit": "/run/systemd/generator/var-lib-containerd.mount"}}},
        {"mounts": {"/var/lib/containerd": {**mount, "unit": None}}},
        {"mounts": {"/var/lib/containerd": {**mount, "filesystem": "zfs", "unit": ""}}},
        {**where, "os": {"container": "docker"}},
    ):
        assert judged(worker, changes).doubts == (), changes


def test_no_facts_at_all():
    assert reboot.judge(Facts()).problems
