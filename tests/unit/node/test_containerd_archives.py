"""Release archives as containerd_install takes them: what is checked is what is used, and no crash leaves the old one running."""

import pytest

from unshim_node import containerd_archives
from unshim_node.journal import Journal


def test_what_is_checked_cannot_be_exchanged_afterwards(tmp_path):
    there = tmp_path / "anybodys" / "archive.tgz"
    there.parent.mkdir()
    there.write_text("the right one")
    work = tmp_path / "work"
    work.mkdir(mode=0o700)
    archive = {"name": "containerd", "version": "2.1.9", "sha256": "0" * 64, "url": "", "path": str(there)}
    for one in (archive, dict(archive, path="", url=f"file://{there}")):
        there.write_text("the right one")
        path = containerd_archives.get_archive(one, str(work), None)
        there.write_text("another")
        with open(path, encoding="utf-8") as stream:
            assert stream.read() == "the right one"


@pytest.fixture
def links(tmp_path):
    made = Journal(str(tmp_path / "unshim"))
    yield made, {str(tmp_path / "bin/containerd"): ("", "/opt/unshim/containerd-2.1.9/bin/containerd")}
    made.unlock()


def test_a_crash_before_the_restart_is_made_up_for(links, monkeypatch):
    journal, changes = links

    def killed(_unit):
        raise KeyboardInterrupt

    monkeypatch.setattr(containerd_archives.systemd, "restart", killed)
    with pytest.raises(KeyboardInterrupt):
        containerd_archives.use(changes, {"ActiveState": "active"}, journal)
    assert Journal.load(journal.root).get("restart_pending") is True  # containerd_config reads it
    monkeypatch.setattr(containerd_archives.systemd, "restart", lambda _unit: True)
    containerd_archives.use(changes, {"ActiveState": "active"}, journal)
    assert Journal.load(journal.root).get("restart_pending") is None


def test_no_restart_is_noted_where_none_is_due(links):
    journal, changes = links
    containerd_archives.use(changes, {"ActiveState": "inactive"}, journal)
    assert not journal.exists
