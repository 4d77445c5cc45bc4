"""How dockerd in a pod reaches registries: as Docker did on the node, whether its settings are there or only their translation."""

from pathlib import Path

import pytest

from unshim import registries
from unshim.dind import registry_settings
from unshim.dind.model import Networks, Registries
from unshim.facts import Docker, Facts, File, Unit

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
DAEMON_JSON = """{
  "registry-mirrors": ["https://mirror.example", "https://cache.example/hub"],
  "insecure-registries": ["plain.example:5000"],
  "proxies": {"http-proxy": "http://proxy.example:3128"}
}"""


def facts(files, **more):
    return Facts(files={path: File(path, "file", text) for path, text in files.items()}, **more)


def test_dockers_own_settings():
    found = registry_settings.of_node(
        facts({
            "/etc/docker/daemon.json": DAEMON_JSON,
            "/etc/docker/certs.d/private.example/ca.crt": PEM,
            "/etc/docker/certs.d/private.example/client.key": None,
        })
    )  # fmt: skip
    assert found == Registries(
        ("https://mirror.example", "https://cache.example/hub"),
        ("plain.example:5000",),
        {"private.example": PEM},
        {"HTTP_PROXY": "http://proxy.example:3128"},
    )


def test_flags_of_a_running_dockerd_count_too():
    docker = Docker(command_line=("dockerd", "--insecure-registry", "other.example:5000"))
    assert registry_settings.of_node(facts({}, docker=docker)).insecure == ("other.example:5000",)


def test_after_docker_has_gone_its_translation_is_read_back():
    """The very files that the move wrote: what they mean to containerd, they mean to dockerd."""
    settings = {
        "registry-mirrors": ["https://mirror.example", "https://cache.example/hub"],
        "insecure-registries": ["plain.example:5000"],
    }
    certificate = "/etc/docker/certs.d/private.example/ca.crt"
    # Its CA has to be one: the translation leaves out what is none.
    authority = (Path(__file__).parents[2] / "data/certificates").glob("*")
    pem = next(path.read_text() for path in authority if "BEGIN CERTIFICATE" in path.read_text())
    wanted = registries.read(settings, {certificate: File(certificate, "file", pem, mode="0644")}, [])
    root = registry_settings.CERTS_D
    written = {
        f"{root}/{one.name}/hosts.toml": registries.hosts_toml(one, wanted.certificates, root)
        for one in wanted.registries
    }
    written[f"{root}/private.example/ca.crt"] = pem
    found = registry_settings.of_node(facts(written))
    assert found.mirrors == tuple(settings["registry-mirrors"])
    assert found.insecure == ("plain.example:5000",)
    assert found.ca == {"private.example": pem}


@pytest.mark.parametrize("unit", ["docker.service", "containerd.service"])
def test_proxies_of_a_unit(unit):
    path = f"/etc/systemd/system/{unit}.d/proxy.conf"
    text = '[Service]\nEnvironment="HTTPS_PROXY=http://u:p%%40@proxy.example:3128"\n'
    found = registry_settings.of_node(facts({path: text}, units={unit: Unit(unit, drop_in_paths=(path,))}))
    assert found.proxies == {"HTTPS_PROXY": "http://u:p%40@proxy.example:3128"}


def test_a_private_key_among_certificates_goes_nowhere():
    text = PEM + "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"
    assert registry_settings.of_node(facts({"/etc/docker/certs.d/private.example/ca.crt": text})).ca == {}


def test_nodes_together_and_what_they_contradict_each_other_in():
    one = facts({"/etc/docker/daemon.json": DAEMON_JSON})
    other = facts({
        "/etc/docker/daemon.json": '{"registry-mirrors": ["https://third.example"], "proxies": {"http-proxy": "http://else:1"}}'
    })  # fmt: skip
    found, problems = registry_settings.of_nodes({"a": one, "b": other})
    assert found.mirrors[-1] == "https://third.example" and len(found.mirrors) == 3
    assert found.proxies == {"HTTP_PROXY": "http://proxy.example:3128"}
    assert problems == ["b has other proxy settings than the nodes before it; theirs are used"]


def test_what_is_inside_the_cluster_goes_past_the_proxy():
    found = registry_settings.with_cluster(
        Registries(proxies={"HTTP_PROXY": "http://p", "NO_PROXY": "mine.example"}),
        Networks(("10.1.0.0/16",), ("10.2.0.0/16",)),
    )
    assert found.proxies["NO_PROXY"] == "mine.example,localhost,127.0.0.1,10.1.0.0/16,10.2.0.0/16,.svc,.cluster.local"
    assert registry_settings.with_cluster(Registries(proxies={"NO_PROXY": "mine.example"}), Networks()).proxies == {}
