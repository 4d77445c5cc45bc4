"""daemon.json's registries as hosts.toml files."""

import tomllib

import pytest

from unshim.facts import File
from unshim.registries import hosts_files

CERTS_D = "/etc/containerd/certs.d"


def hosts(settings, *files):
    found = hosts_files(settings, {path: File(path, "file", "x") for path in files}, CERTS_D)
    return {path.removeprefix(CERTS_D + "/"): tomllib.loads(text) for path, text in found.files.items()}


def test_an_insecure_registry_is_tried_without_verification_then_over_http():
    assert hosts({"insecure-registries": ["reg:5000", "http://10.0.0.1"]}) == {
        "reg:5000/hosts.toml": {
            "server": "http://reg:5000",
            "host": {"https://reg:5000": {"capabilities": ["pull", "resolve"], "skip_verify": True}},
        },
        "10.0.0.1/hosts.toml": {
            "server": "http://10.0.0.1",
            "host": {"https://10.0.0.1": {"capabilities": ["pull", "resolve"], "skip_verify": True}},
        },
    }


def test_mirrors_of_docker_hub_keep_their_order_and_end_at_docker_hub():
    found = hosts({"registry-mirrors": ["https://b.example/", "http://a:5000"], "insecure-registries": ["b.example"]})
    hub = found["docker.io/hosts.toml"]
    assert hub["server"] == "https://registry-1.docker.io"
    assert list(hub["host"]) == ["https://b.example", "http://b.example", "http://a:5000"]
    assert hub["host"]["https://b.example"]["skip_verify"] is True
    assert "skip_verify" not in hub["host"]["http://a:5000"]


def test_certificates_are_named_where_docker_has_them():
    base = "/etc/docker/certs.d/reg.example:5000"
    found = hosts(
        {}, f"{base}/ca.crt", f"{base}/client.cert", f"{base}/client.key", f"{base}/other.cert", f"{base}/README"
    )
    assert found == {
        "reg.example:5000/hosts.toml": {
            "server": "https://reg.example:5000",
            "host": {
                "https://reg.example:5000": {
                    "capabilities": ["pull", "resolve"],
                    "ca": [f"{base}/ca.crt"],
                    "client": [[f"{base}/client.cert", f"{base}/client.key"]],
                }
            },
        }
    }


@pytest.mark.parametrize(
    "settings, networks, odd",
    [
        ({"insecure-registries": ["10.0.0.0/8", "fd00::/8"]}, ("10.0.0.0/8", "fd00::/8"), ()),
        ({"insecure-registries": ["../../x", 'a"b', 5]}, (), ("5", "../../x", 'a"b')),
        ({"registry-mirrors": ["ftp://x", "https://x/path"]}, (), ("ftp://x", "https://x/path")),
        ({"registry-mirrors": "https://x"}, (), ('"https://x"',)),
    ],
)
def test_what_has_no_form_is_told(settings, networks, odd):
    found = hosts_files(settings, {}, CERTS_D)
    assert (found.files, found.networks, found.odd) == ({}, networks, odd)


def test_a_mirror_with_a_password_is_secret():
    found = hosts_files({"registry-mirrors": ["https://me:pw@m.example"]}, {}, CERTS_D)
    assert found.secret == (f"{CERTS_D}/docker.io/hosts.toml",)
