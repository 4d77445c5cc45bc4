"""Docker's units: asked about at once, and kept from starting again at once, each in the way that systemd allows."""

import json
import os
import sys
from pathlib import Path

import pytest

from unshim_node import docker_units, systemd
from unshim_node.errors import NodeError

HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as on a node")


@pytest.fixture
def units(tmp_path, monkeypatch):
    """A systemctl with docker.socket and docker.service; returns the directory of its units."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {HERE}/stand_in_systemctl.py "$@"\n')
    program.chmod(0o755)
    state = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "MainPID": "7"}
    directory = tmp_path / "units"
    directory.mkdir()
    for name in ("docker.socket", "docker.service"):
        (directory / f"{name}.json").write_text(json.dumps(dict(state, SubState=name)))
    monkeypatch.setenv("UNITS", str(directory))
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(docker_units, "ETC", str(tmp_path / "etc"))
    return directory


def calls(units):
    path = units / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_each_unit_gets_its_own_answer(units):
    found = systemd.show_all(["docker.service", "cri-docker.service", "docker.socket"])
    assert [found[unit]["SubState"] for unit in found] == ["docker.service", "", "docker.socket"]
    assert found["cri-docker.service"]["LoadState"] == "not-found"
    assert list(docker_units.present()) == ["docker.socket", "docker.service"]


def test_an_answer_of_another_length_is_an_error(units, tmp_path):
    (tmp_path / "bin" / "systemctl").write_text("#!/bin/sh\necho LoadState=loaded\n")
    with pytest.raises(NodeError, match="told of 1 units and was asked about 2"):
        systemd.show_all(["docker.service", "docker.socket"])


def test_units_are_masked_by_one_command(units):
    assert docker_units.bar(docker_units.present()) == ["docker.socket", "docker.service"]
    assert calls(units) == ["mask docker.socket docker.service"]
    assert docker_units.bar(docker_units.present()) == [] and len(calls(units)) == 1


def test_a_unit_installed_by_hand_is_barred_in_its_own_way(units, tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "docker.service").write_text("[Service]\n")
    docker_units.bar(docker_units.present())
    assert calls(units) == ["daemon-reload", "disable docker.service", "mask docker.socket"]
    assert "AssertPathExists=!/" in Path(docker_units.drop_in_path("docker.service")).read_text()
    assert docker_units.bar(docker_units.present()) == []


def test_a_link_in_the_way_changes_nothing(units, tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "docker.service").symlink_to("/opt/docker.service")
    with pytest.raises(NodeError, match="is a link to /opt/docker.service"):
        docker_units.bar(docker_units.present())
    assert calls(units) == []
