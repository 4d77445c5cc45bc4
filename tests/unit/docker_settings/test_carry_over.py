"""The table of what becomes of each of Docker's settings."""

import collections

import pytest

from unshim import carry_over, docker_settings
from unshim.carry_over import BY_KEY, HOW, PLACES, ROWS, not_carried


def test_every_row_is_whole_and_there_once():
    counted = collections.Counter((row.place, row.setting) for row in ROWS)
    assert [setting for setting, number in counted.items() if number > 1] == []
    for row in ROWS:
        assert row.how in HOW and row.place in PLACES, row
        assert row.reason and row.source, row
        assert not row.reason.endswith("."), row
        assert bool(row.becomes) is (row.how in ("carried", "kubelet")), row
        assert bool(row.remedy) is (row.how in ("warns", "blocks") and row.place == "daemon.json"), row


def test_every_flag_that_is_known_has_a_row():
    words = [f"--{name}=1" for name in (*docker_settings._BOOLEAN, *docker_settings._INTEGER)]
    words += [f"--{name}=a=b" for name in (*docker_settings._LISTS, *docker_settings._OBJECTS)]
    words += [f"-{letter}=1" for letter in docker_settings._SHORT]
    assert set(docker_settings.from_flags(["dockerd", *words])) - set(BY_KEY) == set()


def test_every_other_key_is_told_with_its_reason_and_without_passwords():
    settings = {
        "debug": True,
        "insecure-registries": [],
        "init": True,
        "storage-opts": ["https://u:p@x"],
        "hosts": ["fd://"],
        "log-opts": {"splunk-token": "s3cret", "splunk-url": "https://u:p@x"},
        "new-key": 1,
    }
    found = {
        item.source: (item.value, item.reason) for item in not_carried(settings, {"debug": "dockerd's command line"})
    }
    assert "dockerd's command line: debug" in found
    assert found["/etc/docker/daemon.json: new-key"] == ("1", "unshim does not know it")
    assert not {key for key in found if key.endswith((": insecure-registries", ": init", ": hosts"))}
    assert "u:p" not in str(found) and "s3cret" not in str(found)


@pytest.mark.parametrize(
    "key", [row.setting for row in ROWS if row.place == "daemon.json" and row.how == "not-carried"]
)
def test_what_is_not_carried_is_never_dropped_in_silence(key):
    assert [item.reason for item in not_carried({key: "some value"})] == [BY_KEY[key].reason]


def test_a_proxys_password_is_hidden_without_a_scheme_too():
    assert carry_over.shown("proxies", {"https-proxy": "u:p@proxy:1"}) == '{"https-proxy": "***@proxy:1"}'
    assert carry_over.shown("http-proxy", "u:p@proxy:1") == '"***@proxy:1"'


def test_secrets_are_hidden_at_any_depth():
    value = {"a": [{"awslogs-credentials-endpoint": "x", "Token": "y"}], "env": "fine"}
    assert (
        carry_over.shown("log-opts", value)
        == '{"a": [{"awslogs-credentials-endpoint": "***", "Token": "***"}], "env": "fine"}'
    )


def test_a_secret_in_a_list_of_settings_is_not_shown():
    assert carry_over.shown("labels", ["zone=a", "api-token=hunter2"]) == '["zone=a", "api-token=***"]'
