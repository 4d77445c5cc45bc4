"""The metrics' address in config.toml: where its schema has it, beside what else is there, and never over an administrator's."""

import pytest

from unshim.facts import Containerd, Facts, File
from unshim.monitoring import endpoint

PATH = "/etc/containerd/config.toml"
ADDRESS = "127.0.0.1:1338"
BY_HAND = """\
# ours
version = 2
imports = ["/etc/containerd/conf.d/*.toml"]

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.example/pause:3.6" # pinned
"""


def facts(text, version="1.7.24", **imported):
    files = {PATH: File(PATH, "file", text, mode="0640", owner="root", group="adm")}
    for name, content in imported.items():
        path = f"/etc/containerd/conf.d/{name}.toml"
        files[path] = File(path, "file", content)
    return Facts(containerd=Containerd(installed=True, version=version), files=files)


@pytest.mark.parametrize(
    ("version", "text", "added"),
    [
        ("1.6.20", BY_HAND, '\n[metrics]\naddress = "127.0.0.1:1338"\n'),
        ("2.1.9", "version = 3\n", '\n[metrics]\naddress = "127.0.0.1:1338"\n'),
        ("2.3.4", "version = 4\n", '\n[plugins."io.containerd.server.v1.metrics"]\naddress = "127.0.0.1:1338"\n'),
        ("1.7.24", 'version = 2\r\nroot = "/data"\r\n', '\r\n[metrics]\r\naddress = "127.0.0.1:1338"\r\n'),
    ],
)
def test_address_is_added_and_nothing_else_is_touched(version, text, added):
    found = endpoint.make(facts(text, version), ADDRESS)
    (change,) = found.files
    assert change.after.startswith(text)
    assert change.after.removeprefix(text).strip("\r\n ").split() == added.split()
    assert (change.before, change.mode, change.group, change.role) == (text, "0640", "adm", "containerd_config")
    assert (found.address, found.is_loopback) == (ADDRESS, True)


def test_table_that_is_there_gets_the_address():
    text = 'version = 2\n[metrics]\ngrpc_histogram = true # ours\n[debug]\nlevel = "info"\n'
    (change,) = endpoint.make(facts(text), "10.0.0.5:1338").files
    assert change.after == text.replace("# ours\n", '# ours\naddress = "10.0.0.5:1338"\n')


@pytest.mark.parametrize(
    ("text", "imported", "address"),
    [
        ('version = 2\n[metrics]\naddress = "10.0.0.5:9090"\n', {}, "10.0.0.5:9090"),
        (BY_HAND, {"metrics": 'version = 2\n[metrics]\naddress = "[::1]:9090"\n'}, "[::1]:9090"),
        ('version = 4\n[plugins."io.containerd.server.v1.metrics"]\naddress = "10.0.0.5:9090"\n', {}, "10.0.0.5:9090"),
    ],
)
def test_address_that_an_administrator_set_stays(text, imported, address):
    version = "2.3.4" if "version = 4" in text else "1.7.24"
    found = endpoint.make(facts(text, version, **imported), ADDRESS)
    assert (found.address, found.files) == (address, ())
    assert found.is_loopback == address.startswith("[::1]")


def test_version_4_reads_no_table_metrics():
    text = 'version = 4\n[metrics]\naddress = "10.0.0.5:9090"\n'
    (change,) = endpoint.make(facts(text, "2.3.4"), ADDRESS).files
    assert 'plugins."io.containerd.server.v1.metrics"' in change.after


def test_what_was_made_is_not_made_again():
    (change,) = endpoint.make(facts(BY_HAND), ADDRESS).files
    assert endpoint.make(facts(change.after), ADDRESS) == endpoint.Endpoint(ADDRESS, True, ())


def test_configuration_with_a_login_is_secret():
    text = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry.configs."r.example".auth]\npassword = "x"\n'
    assert endpoint.make(facts(text), ADDRESS).files[0].secret


@pytest.mark.parametrize(
    ("given", "address", "says"),
    [
        (facts(BY_HAND), "localhost:1338", "an IP address of the node and a port"),
        (facts(BY_HAND), "127.0.0.1", "an IP address of the node and a port"),
        (facts(BY_HAND), "127.0.0.1:99999", "an IP address of the node and a port"),
        (Facts(), ADDRESS, "containerd is not installed"),
        (Facts(containerd=Containerd(installed=True)), ADDRESS, "config.toml is not there"),
        (facts("version = 2\nroot = \n"), ADDRESS, "config.toml:2: it is not valid TOML"),
        (facts('version = 2\nmetrics = "no"\n'), ADDRESS, "metrics is not a table there"),
    ],
)
def test_what_cannot_be_done_is_said(given, address, says):
    with pytest.raises(endpoint.EndpointError, match=says):
        endpoint.make(given, address)
