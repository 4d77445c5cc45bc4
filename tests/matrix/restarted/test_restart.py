"""That the machine was restarted: everything else must be as before."""


def test_machine_was_restarted(host):
    assert not host.file("/run/before-the-restart").exists


def test_nothing_of_ours_failed_at_its_start(host):
    failed = {
        line.split()[0] for line in host.check_output("systemctl list-units --failed --plain --no-legend").splitlines()
    }
    # A kernel with everything built in and no list of it: the lab's machine can load none, and older systemd minds.
    if not host.file(f"/lib/modules/{host.check_output('uname -r')}").exists:
        failed -= {"systemd-modules-load.service"}
    assert failed & {"containerd.service", "systemd-modules-load.service", "systemd-sysctl.service"} == set()
