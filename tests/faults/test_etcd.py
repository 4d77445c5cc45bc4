"""Faults of etcd around the move of a control-plane node, with a real quorum of three."""

import base64
import hashlib
import re

import pytest
from etcd_members import EtcdMembers


@pytest.fixture
def members(fault):
    """Two more members. They leave the cluster before the machine goes back to how it was."""
    made = EtcdMembers(fault.lab)
    fault.undo(made.leave)
    made.join()
    return made


@pytest.mark.fault(27, "etcd member unhealthy before a control-plane move")
@pytest.mark.victim(lambda lab: lab.control_plane)
def test_unhealthy_member(fault, members):
    fault.may_differ = (*fault.may_differ, "file /root/.kube/cache")  # kubectl's own, on the control plane
    before = members.members()
    assert len(before) == 3
    down = members.names[1]
    members.stop(down)
    fault.injected("before the move, another member of three stopped")
    run = fault.migrate()
    fault.failed(
        run, "etcd has 3 members and needs 2 of them", down, members.addresses[down], "Nothing was changed on this node"
    )
    fault.safe("docker")
    fault.keeps_data()
    assert fault.on("cat /var/lib/unshim/journal.json 2>/dev/null | grep -c prepared || true").strip() == "0"

    members.start(down)
    # The node's own API server is away while it moves, but etcd is not: the other two have the quorum.
    run = fault.rerun(unshim_drain_timeout=240, unshim_ready_timeout=300)
    assert members.members() == before, "not the same members with the same IDs"
    saved = re.search(
        r"Snapshot: (\S+) on this node, (\d+) bytes, revision (\d+), SHA-256 (\w{64})", " ".join(run.output.split())
    )
    assert saved, run.output[-3000:]
    path, size, _, digest = saved.groups()
    assert fault.on(f"stat -c '%a %U %s' {path}").split() == ["600", "root", size]
    assert fault.on(f"sha256sum {path}").split()[0] == digest
    content = fault.on(f"base64 -w0 {path}")
    assert is_whole(content)


def is_whole(content):
    """Return whether a snapshot's database has the checksum that etcd put behind it."""
    data = base64.b64decode(content)
    return hashlib.sha256(data[:-32]).digest() == data[-32:]
