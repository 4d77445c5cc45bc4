"""The first worker goes back to Docker, by the runbook. Named to run first in its phase."""

NODE = "unshim-w1"


def test_the_runbook_puts_it_back(lab, runbook):
    runbook("rollback-days-later", "Put it back", node=NODE)
    said = runbook("rollback-days-later", "Look", node=NODE)
    assert "docker://" in said[0].output and "SchedulingDisabled" not in said[0].output
