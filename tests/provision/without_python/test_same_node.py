"""A node without Python, provisioned through pyinfra, beside its twin, which Ansible provisioned: they differ in nothing.

Run by molecule's scenario `default`, whose converge.yml made both; tests/nodes looks at each of them as well.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import testinfra

ROOT = Path(__file__).parents[3]
INVENTORY = ROOT / "inventory/lab-fresh/hosts.yml"
# Names of the machine itself, and what ldconfig and Docker make anew on each.
OWN = "hostname|hosts|resolv.conf|machine-id|ld.so.cache|mtab"
EVERY_FILE = rf"""
find /etc /usr /opt/cni /var/lib/unshim -xdev \( -path /usr/bin/python3\* -o -name '*.pyc' -o -name __pycache__ \) -prune -o \
  \( -type f -o -type l -o -type d \) -printf '%y %m %u:%g %p %l\n' 2>/dev/null | grep -vE '/etc/({OWN})( |$)' | sort
"""
CONTENT = (
    rf"find /etc /var/lib/unshim/backup -xdev -type f -exec sha256sum {{}} + | grep -vE '/etc/({OWN})$' | sort -k 2"
)


@pytest.fixture(scope="module")
def twin():
    return testinfra.get_host("docker://unshim-fresh1")


@pytest.fixture(scope="module")
def ours():
    return testinfra.get_host("docker://unshim-fresh2")


@pytest.fixture(scope="module")
def said():
    return json.loads((ROOT / "build/provision.json").read_text())


def deploy(*arguments):
    command = [sys.executable, ROOT / "deploys/provision.py", "-i", INVENTORY, "--group", "without_python", *arguments]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_it_has_no_python(ours):
    assert not ours.exists("python3") and not ours.exists("python")


def test_the_same_files_with_the_same_modes(twin, ours):
    theirs, mine = (set(host.check_output(EVERY_FILE).splitlines()) for host in (twin, ours))
    assert any("/etc/containerd/config.toml" in line for line in mine)
    assert {line for line in theirs ^ mine if "python" not in line} == set()


def test_the_same_bytes(twin, ours):
    theirs, mine = (host.check_output(CONTENT).splitlines() for host in (twin, ours))
    assert any(line.endswith("  /etc/containerd/config.toml") for line in mine)
    # The records beside the originals are of the same shape, too.
    assert mine == theirs


def test_the_same_packages_and_units(twin, ours):
    for command in (
        "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'",
        "systemctl list-unit-files --no-legend --no-pager --state=enabled,disabled,masked",
        "systemctl show containerd -p ActiveState -p UnitFileState -p DropInPaths -p NeedDaemonReload",
    ):
        assert ours.check_output(command) == twin.check_output(command)


def test_the_same_journal(twin, ours):
    theirs, mine = (json.loads(host.check_output("cat /var/lib/unshim/journal.json")) for host in (twin, ours))
    for journal in (theirs, mine):
        for step in journal["steps"]:
            assert step.pop("started") and step.pop("finished") and step.pop("controller")
    assert mine == theirs


def test_the_lock_is_free_and_nothing_is_left(ours):
    ours.check_output("flock -n /var/lib/unshim/lock true")
    assert ours.check_output("ls /var/lib/unshim").split() == [
        "backup",
        "journal.json",
        "journal.json.previous",
        "lock",
    ]
    assert (
        ours.check_output("find / -xdev -name '*.unshim-*' ! -name '*.unshim.json' -o -xdev -name '.unshim-new-*'")
        == ""
    )


def test_the_dry_run_told_the_truth(said):
    """All it said was done, in the same words; what it could not know yet, it said."""
    dry, done = ([line for line in lines if not line.startswith("  warning")][1:-1] for lines in said.values())
    versions = {line.split()[1]: line for line in done if line.startswith("  install ")}
    for line in dry:
        assert line in done or line.split()[1] in versions, line
    unknown = [line for line in done if line not in dry and line.startswith("  write ")]
    assert not unknown or any("are not known yet" in line for line in said["dry"])


def test_again_changes_nothing_and_says_so(ours):
    before = ours.check_output("find /etc /var/lib/unshim /opt -xdev -printf '%p %m %T@ %s\\n' | sort")
    pid = ours.check_output("systemctl show containerd -p MainPID")
    for arguments in (["--dry"], []):
        done = deploy(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "unshim-fresh2: nothing to do\n1 node: nothing to do.\n"
    assert ours.check_output("find /etc /var/lib/unshim /opt -xdev -printf '%p %m %T@ %s\\n' | sort") == before
    assert ours.check_output("systemctl show containerd -p MainPID") == pid


def test_what_was_changed_by_hand_is_seen_dry_and_mended(ours):
    ours.check_output("sed -i 's/SystemdCgroup = true/SystemdCgroup = false/' /etc/containerd/config.toml")
    content = ours.file("/etc/containerd/config.toml").content
    dry = deploy("--dry", "--diff")
    assert "SystemdCgroup = true" in dry.stdout and "would be changed" in dry.stdout
    assert ours.file("/etc/containerd/config.toml").content == content
    done = deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  write /etc/containerd/config.toml" in done.stdout and "containerd 1.6" in done.stdout
    assert "SystemdCgroup = true" in ours.file("/etc/containerd/config.toml").content_string


@pytest.mark.full
def test_a_configuration_that_containerd_cannot_serve_cri_with_goes_back(ours):
    """The gate: something else than our files breaks CRI, and our files do not stay behind."""
    ours.check_output("sed -i 's/SystemdCgroup = true/SystemdCgroup = false/' /etc/containerd/config.toml")
    content = ours.file("/etc/containerd/config.toml").content
    ours.check_output(
        "mkdir -p /run/systemd/system/containerd.service.d && printf '[Service]\\nExecStart=\\n"
        "ExecStart=/usr/bin/containerd --address /run/elsewhere.sock\\n' >/run/systemd/system/containerd.service.d/lab.conf"
        " && systemctl daemon-reload"
    )
    try:
        done = deploy()
        assert done.returncode == 2
        assert "is not ready for a kubelet" in done.stdout and "were put back" in done.stdout
        assert ours.file("/etc/containerd/config.toml").content == content
    finally:
        ours.check_output(
            "rm -r /run/systemd/system/containerd.service.d && systemctl daemon-reload && systemctl restart containerd"
        )
    assert deploy().returncode == 0
