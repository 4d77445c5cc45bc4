"""That the machine was restarted: everything else must be as before."""


def test_machine_was_restarted(host):
    assert not host.file("/run/before-the-restart").exists


def test_nothing_failed_at_its_start(host):
    failed = host.check_output("systemctl list-units --failed --plain --no-legend")
    assert "containerd" not in failed and "sysctl" not in failed and "modules" not in failed, failed
