"""dockerd's settings, and what becomes of each."""

import pytest

from unshim.carry_over import not_carried
from unshim.docker_settings import DaemonJsonError, parse_daemon_json


@pytest.mark.parametrize("text, line, column", [('{"a": x}', 1, 7), ('{\n "a" 1}', 2, 6), ("[]", 1, 1), ("{", 1, 2)])
def test_a_malformed_file_is_told_with_its_place(text, line, column):
    with pytest.raises(DaemonJsonError) as caught:
        parse_daemon_json(text)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_an_empty_file_sets_nothing():
    assert parse_daemon_json(" \n") == {}


def test_every_other_key_is_told_with_its_reason_and_without_passwords():
    settings = {
        "debug": True,
        "insecure-registries": [],
        "proxies": {"http-proxy": "http://u:p@x"},
        "new-key": 1,
    }
    found = {item.source: (item.value, item.reason) for item in not_carried(settings)}
    assert set(found) == {f"/etc/docker/daemon.json: {key}" for key in ("debug", "proxies", "new-key")}
    assert "u:p" not in found["/etc/docker/daemon.json: proxies"][0]
    assert found["/etc/docker/daemon.json: new-key"] == ("1", "unshim does not know it")
