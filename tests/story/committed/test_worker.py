"""Docker is removed from one worker; its pods did not notice, and the way back is closed and says so."""

import re

NODE = "unshim-w1"


def test_docker_is_gone_and_its_data_is_not(lab):
    assert lab.on(NODE, "command -v dockerd docker || true") == ""
    installed = lab.on(NODE, "dpkg-query -W -f '${Package} ${Status}\\n' | grep 'ok installed'")
    assert not any(line.startswith("docker") for line in installed.splitlines())
    kept = lab.on(NODE, "cd /var/lib/docker && ls -d image/overlay2/layerdb/sha256/* volumes/*").split()
    assert set(lab.remembered("docker_data")[NODE]) - set(kept) == set()


def test_containerd_was_not_taken_along(lab):
    assert lab.on(NODE, "dpkg-query -W -f '${Status}' containerd") == "install ok installed"
    assert "containerd" in lab.on(NODE, "apt-mark showmanual").split()


def test_nothing_is_left_where_docker_was(lab):
    left = (
        "ls -d /run/docker* /run/dockershim.sock /var/lib/dockershim /etc/systemd/system/docker.* 2>/dev/null || true"
    )
    assert lab.on(NODE, left) == ""
    assert "docker" not in lab.on(NODE, "cut -d ' ' -f 2 /proc/mounts | grep -vx /var/lib/docker")


def test_nothing_of_dockers_network_is_left(lab):
    assert lab.on(NODE, "ip -brief link show docker0 2>/dev/null || true") == ""
    # DOCKER_OUTPUT and DOCKER_POSTROUTING belong to the Docker that this node is a container of.
    assert re.findall(r"DOCKER(?!_OUTPUT|_POSTROUTING).*", lab.on(NODE, "iptables-save")) == []


def test_a_second_commit_changes_nothing(lab):
    run = lab.playbook("commit", "--limit", NODE)
    assert run.code == 0, run.output
    assert run.recap()[NODE]["changed"] == 0


def test_the_way_back_is_closed_and_says_so(lab):
    run = lab.playbook("rollback", "--limit", NODE)
    assert run.code != 0
    assert f"{NODE} was committed" in " ".join(run.output.split())
    assert run.recap()[NODE]["changed"] == 0
