"""containerd_config and containerd_install on a node that only a shell reaches: every test of theirs, once more."""

import os

import pytest
import test_modules
from a_shell import place_of
from ansible.module_utils import unshim_node
from ansible.module_utils.unshim_node import lock_by_shell, place
from stand_in_node import node  # noqa: F401  a fixture

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as on a node")


@pytest.fixture(autouse=True)
def on_a_node(monkeypatch):
    monkeypatch.setattr("ansible.module_utils._internal.is_controller", False, raising=False)


@pytest.fixture(autouse=True)
def from_afar():
    with place.at(place_of(unshim_node)()) as there:
        yield there


class TestContainerdConfig(test_modules.TestContainerdConfig):
    def present(self, *changes, check=False, **more):
        # Each question takes a perl there, and longer on a busy machine.
        gate = {"socket": self.socket, "cri_api": ["v1"], "cri_timeout": 60}
        return self.node.run("containerd_config", check, files=list(changes), **gate, **more)

    def test_a_killed_controller_leaves_the_node_locked_only_while_its_command_runs(self, monkeypatch):
        """The holder of the lock ends when nothing is heard of us any more, and the next run goes on."""
        with monkeypatch.context() as patch:
            patch.setattr(lock_by_shell, "OLD", 2)
            patch.setattr(lock_by_shell.Lock, "release", lambda _lock: None)  # as if killed
            self.present(self.config_change("new\n"))
        place.away().keeps = ""
        assert self.present(self.config_change("newer\n", before="new\n"))["changed"] is True


class TestContainerdInstall(test_modules.TestContainerdInstall):
    # Its second half is about release archives, which are refused from afar.
    test_a_password_in_an_address_is_not_shown = None

    def test_a_release_archive_is_refused(self, apt):
        archive = {"name": "runc", "version": "1.3.6", "sha256": "0" * 64, "url": "http://[::1]:1/runc"}
        failed = apt.run("containerd_install", archives=[archive])
        assert "Use provision.yml for this node" in failed["msg"] and failed["changed"] is False
