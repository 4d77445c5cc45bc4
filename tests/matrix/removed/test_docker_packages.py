"""Docker's package goes by real dnf and zypper databases, and does not take containerd along, then or at a later autoremove."""

import json
from pathlib import Path

import pytest

MATRIX = Path(__file__).parents[1]
# A package of the real name that needs what the real one needs; nothing in it is run.
SPEC = """\
Name: {name}
Version: 20.10.24
Release: 1
Summary: Docker as a package
License: none
AutoReq: no
Requires: {needs}
%description
Docker as a package.
%install
mkdir -p %{{buildroot}}/usr/bin
printf 'no program\\n' >%{{buildroot}}/usr/bin/dockerd
chmod 755 %{{buildroot}}/usr/bin/dockerd
%files
/usr/bin/dockerd
"""
DNF = {
    "name": "docker-ce",
    "needs": "containerd.io",
    "install": "dnf -y -C install $rpm",
    "as_requirement": "dnf -y -C mark remove containerd.io",
    "unneeded": "dnf -C autoremove --assumeno || true",
}
ZYPPER = {
    "name": "docker",
    "needs": "containerd",
    "install": "zypper --non-interactive --no-refresh install --allow-unsigned-rpm $rpm",
    # What zypper itself writes for a package that came as a requirement.
    "as_requirement": "printf 'containerd\\n' >>/var/lib/zypp/AutoInstalled",
    "unneeded": "zypper --no-refresh packages --unneeded",
}


@pytest.fixture
def case(host):
    if host.run("command -v dnf").rc == 0:
        return DNF
    if host.run("command -v zypper").rc == 0:
        return ZYPPER
    pytest.skip("apt's own is removed from a real node in the scenario migrate")


def test_containerd_stays(host, case, program):
    script = f"""set -e
        mkdir -p /tmp/docker-package && cd /tmp/docker-package
        cat >it.spec <<'SPEC'\n{SPEC.format(**case)}SPEC
        rpmbuild -bb --define "_rpmdir $PWD" it.spec >/dev/null 2>&1
        rpm=$(find "$PWD" -name '*.rpm')
        {case["install"]}
        {case["as_requirement"]}
    """
    installed = host.run("sh -c %s", script)
    assert installed.rc == 0, installed.stdout + installed.stderr
    assert host.file("/usr/bin/dockerd").exists
    before = host.check_output("systemctl show -p MainPID --value containerd")
    run = host.run(
        "program=$(mktemp) && echo %s | base64 -d >$program && python3 $program; code=$?; rm -f $program; exit $code",
        program(MATRIX / "remove_docker.py"),
    )
    assert run.rc == 0, run.stderr
    said = json.loads(run.stdout)
    assert (said["removed"], said["left"], said["again"]) == ([case["name"]], [], [])
    assert case["needs"] in said["kept"]
    assert not host.file("/usr/bin/dockerd").exists
    assert host.package(case["needs"]).is_installed
    assert case["needs"] not in host.check_output(case["unneeded"])
    assert host.check_output("systemctl show -p MainPID --value containerd") == before
