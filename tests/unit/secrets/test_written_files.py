"""Files on the controller: their mode from the first byte on, and links that somebody put in their place."""

import os
import stat

import pytest

from unshim_kube import dind_files, written_file


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "victim"
    path.write_text("mine")
    path.chmod(0o644)
    return path


@pytest.fixture(params=[0, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode_of(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_secrets_are_their_owners_alone(tmp_path, umask):
    assert dind_files.write(tmp_path / "out", {"dind-secrets.yml": "key"}, "0600", False)
    assert mode_of(tmp_path / "out/dind-secrets.yml") == 0o600
    assert not dind_files.write(tmp_path / "out", {"dind-secrets.yml": "key"}, "0600", False)


def test_a_file_that_others_may_read_is_closed(tmp_path):
    path = tmp_path / "dind-secrets.yml"
    path.write_text("key")
    path.chmod(0o644)
    opened = path.open()  # by somebody who waits for what comes
    assert dind_files.write(tmp_path, {"dind-secrets.yml": "key"}, "0600", False)
    assert mode_of(path) == 0o600
    assert dind_files.write(tmp_path, {"dind-secrets.yml": "another key"}, "0600", False)
    assert opened.read() == "key"


def test_a_planted_link_is_replaced(tmp_path, victim):
    directory = tmp_path / "out"
    directory.mkdir()
    (directory / "dind-secrets.yml").symlink_to(victim)
    assert dind_files.write(directory, {"dind-secrets.yml": "mine"}, "0600", False), (
        "the same text behind a link is not ours"
    )
    assert (victim.read_text(), mode_of(victim)) == ("mine", 0o644)
    assert not (directory / "dind-secrets.yml").is_symlink()


def test_what_fails_leaves_nothing(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        written_file.replace(tmp_path / "x", "\udcff", 0o644)
    assert list(tmp_path.iterdir()) == []
