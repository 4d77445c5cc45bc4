"""Docker is removed from one worker, by the runbook; its containers run on. Named to run first in its phase."""

import node_snapshot
from lab import plain, recap

NODE = "unshim-w1"


def test_check_mode_tells_all_and_removes_nothing(lab, runbook):
    before = node_snapshot.take(lab, NODE)
    (said,) = runbook("commit", "See what would go", node=NODE)
    for line in (
        "-package docker.io",
        "-bridge docker0",
        "-X DOCKER-USER",
        "-/run/docker.sock (socket)",
        "MB of Docker's data stay",
    ):
        assert line in plain(said.output), line
    assert node_snapshot.changes(before, node_snapshot.take(lab, NODE)) == {}


def test_an_early_commit_is_refused(lab):
    run = lab.playbook("commit", "--limit", NODE, "-e", "unshim_commit_after=86400")
    assert run.code != 0
    assert "unshim_commit_after" in run.output and "Nothing was changed" in run.output


def test_a_package_that_would_go_along_is_refused(lab):
    """Something of the user's depends on Docker's package: the simulation finds it."""
    lab.on(NODE, """
        mkdir -p /tmp/needs/DEBIAN && cd /tmp
        printf 'Package: needs-docker\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@example.org>\\nDepends: docker.io\\nDescription: x\\n' >needs/DEBIAN/control
        dpkg-deb -b needs needs.deb >/dev/null && dpkg -i needs.deb >/dev/null
    """)  # fmt: skip
    try:
        run = lab.playbook("commit", "--limit", NODE)
    finally:
        lab.on(NODE, "dpkg -P needs-docker && rm -rf /tmp/needs /tmp/needs.deb")
    assert run.code != 0 and "would also remove or change needs-docker" in " ".join(run.output.split())
    assert recap(run.output)[NODE]["changed"] == 0
    assert lab.on(NODE, "command -v dockerd").strip()


def test_every_container_ran_on(lab, runbook):
    tasks = lab.containerd_tasks(NODE)
    processes = lab.on(NODE, "systemctl show -p MainPID --value kubelet containerd").split()
    (said,) = runbook("commit", "Commit", node=NODE)
    assert "containerd://" in said.output
    assert lab.containerd_tasks(NODE) == tasks
    assert lab.on(NODE, "systemctl show -p MainPID --value kubelet containerd").split() == processes
    assert lab.journal(NODE)["state"] == "committed"
