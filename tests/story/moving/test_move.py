"""The move itself, by the runbooks: workers, then the control plane."""


def test_the_workers_move(lab, runbook):
    runbook("rolling-migration", "Hold, and go on")
    runbook("rolling-migration", "Move the workers")
    for node in lab.workers:
        assert lab.journal(node)["state"] == "verified"
    assert lab.journal(lab.control_plane)["state"] == "prepared"


def test_the_control_plane_moves(lab, runbook):
    said = runbook("control-plane", "Move it")
    assert "/var/lib/unshim/etcd/etcd-" in said[0].output
    runbook("control-plane", "Look")
