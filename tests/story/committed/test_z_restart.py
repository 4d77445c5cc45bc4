"""The committed worker is restarted and comes back; then Docker's data goes, too. Named to run last in its phase."""

import pytest
import restarts
from lab import plain, recap

NODE = "unshim-w1"


@pytest.mark.full
def test_it_comes_back(lab):
    restarts.check(lab, NODE)


def test_dockers_data_goes_when_asked(lab, runbook):
    tasks = lab.containerd_tasks(NODE)
    (said,) = runbook("commit", "Delete Docker's data", node=NODE)
    assert "of Docker's data in /var/lib/docker were deleted" in plain(said.output)
    assert lab.on(NODE, "ls -A /var/lib/docker") == ""
    assert lab.containerd_tasks(NODE) == tasks


def test_and_that_is_all(lab):
    run = lab.playbook("commit", "--limit", NODE, "-e", "unshim_delete_docker_data=true")
    assert run.code == 0, run.output
    assert recap(run.output)[NODE]["changed"] == 0
