"""Both workers move again, by the runbooks: the one whose drain was stuck and whose gate failed, and the one put back by hand."""


def test_the_drain_goes_on(lab, runbook):
    runbook("stuck-drain", "Go on", node="unshim-w1")
    assert lab.journal("unshim-w1")["state"] == "verified"


def test_one_node_by_hand(lab, runbook):
    said = runbook("one-node-by-hand", "Move it", node="unshim-w2")
    assert "containerd://" in said[0].output
    assert lab.journal("unshim-w2")["state"] == "verified"
