"""Docker's registry settings as hosts.toml files, and as the tables of a containerd that has none."""

import ipaddress
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshim import registries
from unshim.containerd_config import ContainerdSettings, render
from unshim.facts import File
from unshim.registries import LoginSearch, hosts_toml, is_host, logged_in, merged, read, registry_of, rows

CERTS_D = "/etc/containerd/certs.d"
PEM = (Path(__file__).parents[2] / "data/certificates/ca.crt").read_text()
NOT_PEM = PEM.replace("MIIB", "MIIA")
PULL = ["pull", "resolve"]


def given_files(*paths, **contents):
    files = {path: File(path, "file", None if path.endswith(".key") else PEM, mode="0644") for path in paths}
    return files | {path: File(path, "file", content, mode="0644") for path, content in contents.items()}


def hosts(settings, *paths, images=()):
    found = read(settings, given_files(*paths), images)
    return {r.name: tomllib.loads(hosts_toml(r, found.certificates, CERTS_D)) for r in found.registries}


def tables(settings, *paths, images=()):
    found = read(settings, given_files(*paths), images)
    wanted = [row for r in found.registries for row in rows(r, found.certificates, CERTS_D)]
    text = render("version = 2\n", "1.4.13", ContainerdSettings(registry_tables=tuple(dict(wanted).items())))
    return tomllib.loads(text)["plugins"]["io.containerd.grpc.v1.cri"].get("registry", {})


def problems(settings, files=None):
    return [problem.id for problem in read(settings, files or {}, ()).problems]


def test_an_insecure_registry_is_tried_without_verification_then_over_http():
    assert hosts({"insecure-registries": ["reg:5000", "http://10.0.0.1", "HTTPS://r.example/"]}) == {
        host: {
            "server": f"http://{host}",
            "host": {f"https://{host}": {"capabilities": PULL, "skip_verify": True}},
        }
        for host in ("reg:5000", "10.0.0.1", "r.example")
    }


def test_mirrors_of_docker_hub_keep_their_order_and_end_at_docker_hub():
    mirrors = ["https://b.example/", "http://a:5000", "https://b.example", "HTTPS://c.example"]
    hub = hosts({"registry-mirrors": mirrors, "insecure-registries": ["b.example"]})["docker.io"]
    assert hub["server"] == "https://registry-1.docker.io"
    assert list(hub["host"]) == ["https://b.example", "http://a:5000", "https://c.example"]
    # As Docker: an insecure mirror is not verified, but asked as its URL says and no other way.
    assert [host.get("skip_verify") for host in hub["host"].values()] == [True, None, None]


def test_a_mirror_is_insecure_by_its_host_and_port_or_by_its_network():
    settings = {
        "registry-mirrors": [
            "https://m:5000",
            "https://m",
            "https://10.1.2.3:5000",
            "https://127.0.0.5:1",
            "https://[::1]:2",
        ],
        "insecure-registries": ["m:5000", "10.1.0.0/16"],
    }
    hub = hosts(settings)["docker.io"]["host"]
    assert [host.removeprefix("https://") for host in hub if hub[host].get("skip_verify")] == [
        "m:5000",
        "10.1.2.3:5000",
        "127.0.0.5:1",
        "[::1]:2",
    ]


def test_a_mirror_with_a_path_is_asked_below_it_as_docker_does():
    """Docker asks PATH/v2/, whatever PATH is; containerd adds /v2 only where a path does not end in it."""
    mirrors = ["https://m.example/hub", "https://m.example/v2/"]
    assert list(hosts({"registry-mirrors": mirrors})["docker.io"]["host"]) == [
        "https://m.example/hub/v2",
        "https://m.example/v2/v2",
    ]


def test_a_mirror_has_the_certificates_of_its_host_and_port():
    base = "/etc/docker/certs.d/m.example:5000"
    found = hosts({"registry-mirrors": ["https://m.example:5000", "https://m.example"]}, f"{base}/ca.crt")
    ca = [f"{CERTS_D}/m.example:5000/ca.crt"]
    assert found["docker.io"]["host"]["https://m.example:5000"] == {"capabilities": PULL, "ca": ca}
    assert found["docker.io"]["host"]["https://m.example"] == {"capabilities": PULL}
    assert found["m.example:5000"]["host"]["https://m.example:5000"]["ca"] == ca


def test_certificates_are_named_where_they_are_copied_to():
    base, copy = "/etc/docker/certs.d/reg.example:5000", f"{CERTS_D}/reg.example:5000"
    names = ("a.crt", "b.crt", "client.cert", "client.key", "z.cert", "z.key", "README")
    assert hosts({}, *(f"{base}/{name}" for name in names)) == {
        "reg.example:5000": {
            "server": "https://reg.example:5000",
            "host": {
                "https://reg.example:5000": {
                    "capabilities": PULL,
                    "ca": [f"{copy}/a.crt", f"{copy}/b.crt"],
                    "client": [[f"{copy}/client.cert", f"{copy}/client.key"], [f"{copy}/z.cert", f"{copy}/z.key"]],
                }
            },
        }
    }


def test_a_network_becomes_the_registries_in_it_that_images_come_from():
    images = [
        "10.1.2.3:5000/a:1", "10.1.2.3:5000/b@sha256:" + "0" * 64, "10.9.9.9/c", "192.168.0.1/d", "reg.example/e:2",
        "library/f", "g:1", "docker.io/library/h", "[fd00::1]:5000/i:1", "127.0.0.1:5000/j:1", "localhost/k:1",
    ]  # fmt: skip
    found = read({"insecure-registries": ["10.0.0.0/8", "fd00::/8", "172.16.0.0/12"]}, {}, images)
    assert found.networks == {
        "10.0.0.0/8": ("10.1.2.3:5000", "10.9.9.9"),
        "fd00::/8": ("[fd00::1]:5000",),
        "172.16.0.0/12": (),
    }
    assert found.names == ("reg.example",)
    assert [r.name for r in found.registries] == [
        *("10.1.2.3:5000", "10.9.9.9", "[fd00::1]:5000"),
        *("127.0.0.1:5000", "localhost"),  # always insecure
    ]


def test_certificates_that_docker_does_not_read_are_not_taken():
    paths = [f"/etc/docker/certs.d/{host}/ca.crt" for host in ("docker.io", "reg:5000", "10.0.0.1", "localhost:5000")]
    settings = {"insecure-registries": ["reg:5000", "10.0.0.0/8", "docker.io", "index.docker.io"]}
    found = read(settings, given_files(*paths), ())
    assert found.certificates == {}
    assert [r.name for r in found.registries] == ["reg:5000"]
    assert [problem.id for problem in found.problems] == ["registry-not-used"] * 6


BASE = "/etc/docker/certs.d/r.example"


@pytest.mark.parametrize(
    "files, id, told",
    [
        ({f"{BASE}/c.cert": File(f"{BASE}/c.cert", "file", PEM)}, "registry-client-certificate", "has no key c.key"),
        ({f"{BASE}/c.key": File(f"{BASE}/c.key", "file")}, "registry-client-certificate", "has no certificate c.cert"),
        ({f"{BASE}/c.crt": File(f"{BASE}/c.crt", "file", "")}, "registry-ca-unusable", "no certificate in PEM form"),
        (
            {f"{BASE}/c.crt": File(f"{BASE}/c.crt", "file", NOT_PEM)},
            "registry-ca-unusable",
            "no certificate in PEM form",
        ),
        ({f"{BASE}/c.crt": File(f"{BASE}/c.crt", "file", None, is_utf8=False)}, "registry-ca-unusable", "PEM"),
        (
            {f"{BASE}/c.crt": File(f"{BASE}/c.crt", "symlink", None, target="/gone")},
            "registry-file-unreadable",
            "/gone",
        ),
    ],
)
def test_what_would_stop_containerd_from_pulling_is_left_out_and_told(files, id, told):
    found = read({}, files, ())
    assert found.registries == ()
    assert [problem.id for problem in found.problems] == [id]
    assert told in found.problems[0].message and BASE in found.problems[0].message


def test_a_file_this_user_may_not_read_is_carried_and_told():
    path = f"{BASE}/ca.crt"
    found = read({}, {path: File(path, "unreadable")}, ())
    assert found.certificates["r.example"].ca == (path,)
    assert [problem.id for problem in found.problems] == ["registry-file-unreadable"]


def test_one_good_certificate_in_a_file_is_enough():
    path = f"{BASE}/ca.crt"
    assert read({}, {path: File(path, "file", NOT_PEM + "# mine\n" + PEM)}, ()).certificates["r.example"].ca == (path,)


def test_symlinks_as_kubernetes_makes_them_are_files():
    path = f"{BASE}/ca.crt"
    link = File(path, "symlink", PEM, mode="0644", target="/srv/..2024/ca.crt")
    assert read({}, {path: link}, ()).certificates["r.example"].ca == (path,)


@pytest.mark.parametrize(
    "settings, odd",
    [
        ({"insecure-registries": ["../../x", 'a"b', 5, "a..b", "x:99999", "-x", "a b"]}, 7),
        ({"registry-mirrors": ["ftp://x", "https://x/?q", "https://u:p@x", "x:5000", "https://x/a\"b"]}, 5),
        ({"registry-mirrors": "https://x", "insecure-registries": {"a": 1}}, 2),
        ({"registry-mirrors": None, "insecure-registries": []}, 0),
    ],
)  # fmt: skip
def test_what_docker_would_not_accept_is_told_and_left_out(settings, odd):
    assert problems(settings) == ["registry-not-understood"] * odd
    assert read(settings, {}, ()).registries == ()


@pytest.mark.parametrize(
    "image, registry",
    [
        ("busybox", "docker.io"), ("a/b:1", "docker.io"), ("index.docker.io/a", "docker.io"), ("a.b/c", "a.b"),
        ("a:5000/c@sha256:0", "a:5000"), ("localhost/x", "localhost"), ("Upper/x", "Upper"), ("k8s.gcr.io/pause:3.2", "k8s.gcr.io"),
    ],
)  # fmt: skip
def test_the_registry_of_an_image_is_docker_s_reading(image, registry):
    assert registry_of(image) == registry


# Tables


def test_the_old_tables_ask_in_the_same_order_with_the_same_trust():
    base = "/etc/docker/certs.d"
    settings = {"registry-mirrors": ["https://m.example/hub", "http://n:5000"], "insecure-registries": ["reg:5000"]}
    paths = [f"{base}/m.example/ca.crt", f"{base}/t.example/c.cert", f"{base}/t.example/c.key"]
    paths += [f"{base}/t.example/{name}.crt" for name in "ab"]
    assert tables(settings, *paths) == {
        "mirrors": {
            # containerd asks registry-1.docker.io by itself after these.
            "docker.io": {"endpoint": ["https://m.example/hub/v2", "http://n:5000"]},
            "reg:5000": {"endpoint": ["https://reg:5000", "http://reg:5000"]},
        },
        "configs": {
            "reg:5000": {"tls": {"insecure_skip_verify": True}},
            "m.example": {"tls": {"ca_file": f"{CERTS_D}/m.example/ca.crt"}},
            "t.example": {
                "tls": {
                    "ca_file": f"{CERTS_D}/t.example/ca-bundle.pem",
                    "cert_file": f"{CERTS_D}/t.example/c.cert",
                    "key_file": f"{CERTS_D}/t.example/c.key",
                }
            },
        },
    }


@pytest.mark.parametrize(
    "version, table, expected",
    [
        ("1.4.13~ds1", {}, True), ("1.5.0", {}, False), ("1.6.20", {"config_path": "/x"}, False), ("", {}, False),
        ("1.6.20", {"mirrors": {"a": {}}}, True), ("1.7.24", {"configs": {"a": {"tls": {"ca_file": "x"}}}}, True),
        ("1.7.24", {"configs": {"a": {"auth": {}}}}, False), ("2.1.9", {"mirrors": {"a": {}}}, True),
    ],
)  # fmt: skip
def test_which_containerd_has_tables(version, table, expected):
    assert registries.needs_tables(version, table) is expected


def test_tables_that_are_there_are_added_to_and_never_changed():
    found = read({"insecure-registries": ["reg:5000"]}, {}, ())
    wanted = rows(found.registries[0], {}, CERTS_D)
    there = {"mirrors": {"reg:5000": {"endpoint": ["https://reg:5000", "http://reg:5000"]}}}
    assert merged({}, wanted) == wanted
    assert merged(there, wanted) == [(("configs", "reg:5000", "tls", "insecure_skip_verify"), True)]
    assert merged(there | {"configs": {"reg:5000": {"tls": {"insecure_skip_verify": True}}}}, wanted) == []
    assert merged({"mirrors": {"reg:5000": {"endpoint": ["http://reg:5000"]}}}, wanted) is None
    assert merged({"mirrors": {"*": {"endpoint": ["http://cache"]}}}, wanted) is None
    assert merged({"configs": {"reg:5000": {"tls": {"ca_file": "/x"}}}}, wanted) is None
    assert merged({"configs": {"reg:5000": {"auth": {"username": "u"}}}}, wanted) == wanted


def test_the_mirror_that_containerd_1_4_writes_out_by_default_is_nobodys_choice():
    found = read({"registry-mirrors": ["https://m.example"]}, {}, ())
    wanted = rows(found.registries[0], {}, CERTS_D)
    default = {"mirrors": {"docker.io": {"endpoint": ["https://registry-1.docker.io"]}}}
    assert merged(default, wanted) == [(("mirrors", "docker.io", "endpoint"), ["https://m.example"])]
    assert merged({"mirrors": {"docker.io": {"endpoint": ["https://theirs"]}}}, wanted) is None


# Properties

LABEL = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?", fullmatch=True)
ADDRESS = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(lambda ip: f"[{ip}]"))
NAME = st.one_of(st.lists(LABEL, min_size=1, max_size=4).map(".".join), ADDRESS)
HOST = st.one_of(NAME, st.tuples(NAME, st.integers(0, 65535)).map(lambda pair: f"{pair[0]}:{pair[1]}"))
CERTIFICATE = st.from_regex(r"[^/\"\\\x00-\x1f\x7f]{1,12}", fullmatch=True)


@given(st.lists(HOST, max_size=4), st.lists(st.tuples(st.sampled_from(["http", "https"]), HOST), max_size=4),
       st.dictionaries(HOST, st.sets(CERTIFICATE, min_size=1, max_size=3), max_size=3))  # fmt: skip
def test_what_is_rendered_says_what_docker_s_settings_say(insecure, mirrors, trusted):
    assert all(map(is_host, insecure))
    paths = [f"/etc/docker/certs.d/{host}/{name}.crt" for host, names in trusted.items() for name in names]
    settings = {"insecure-registries": insecure, "registry-mirrors": [f"{scheme}://{host}" for scheme, host in mirrors]}
    found = hosts(settings, *paths)
    urls = list(dict.fromkeys(settings["registry-mirrors"]))
    assert list(found.get("docker.io", {"host": {}})["host"]) == urls

    def is_loopback(host):
        name = re.sub(r":\d+$", "", host) if not host.startswith("[") else host[1 : host.index("]")]
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name == "localhost"
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback

    for host in set(insecure) - {"docker.io"}:
        assert found[host]["server"] == f"http://{host}"
        assert found[host]["host"] == {f"https://{host}": {"capabilities": PULL, "skip_verify": True}}
    for host in set(trusted) - set(insecure) - {"docker.io"}:
        if not is_loopback(host):
            wanted = sorted(f"{CERTS_D}/{host}/{name}.crt" for name in trusted[host])
            assert found[host]["host"][f"https://{host}"]["ca"] == wanted
            assert f"https://{host}" not in urls or found["docker.io"]["host"][f"https://{host}"]["ca"] == wanted


@given(st.lists(HOST, max_size=4), st.lists(st.tuples(st.sampled_from(["http", "https"]), HOST), max_size=4),
       st.dictionaries(HOST, st.sets(CERTIFICATE, min_size=1, max_size=3), max_size=3))  # fmt: skip
def test_the_tables_say_what_the_files_say(insecure, mirrors, trusted):
    """The same settings in both forms: who is asked in which order, without verification or with which CAs."""
    paths = [f"/etc/docker/certs.d/{host}/{name}.crt" for host, names in trusted.items() for name in names]
    settings = {"insecure-registries": insecure, "registry-mirrors": [f"{scheme}://{host}" for scheme, host in mirrors]}
    new, old = hosts(settings, *paths), tables(settings, *paths)
    for name, file in new.items():
        urls = list(file["host"]) + ([file["server"]] if file["server"] not in file["host"] else [])
        asked = old.get("mirrors", {}).get(name, {}).get("endpoint", [f"https://{name}"])
        # containerd adds docker.io's own registry itself.
        assert asked + (["https://registry-1.docker.io"] if name == "docker.io" else []) == urls
        for url, host in file["host"].items():
            tls = old.get("configs", {}).get(url.split("://")[1], {}).get("tls", {})
            if url.startswith("https"):
                assert tls.get("insecure_skip_verify", False) == host.get("skip_verify", False)
                ca = host.get("ca", [])
                directory = f"{CERTS_D}/{url.split('://')[1]}"
                assert tls.get("ca_file") == (ca[0] if len(ca) == 1 else f"{directory}/ca-bundle.pem" if ca else None)


@given(st.text(max_size=40))
def test_nothing_that_is_not_a_host_gets_into_a_path_or_into_toml(text):
    found = read({"insecure-registries": [text], "registry-mirrors": [f"https://{text}"]}, {}, ())
    for registry in found.registries:
        assert "/" not in registry.name and ".." not in registry.name
        data = tomllib.loads(hosts_toml(registry, {}, CERTS_D))
        assert set(data) == {"server", "host"}
        assert list(data["host"]) == [endpoint.url for endpoint in registry.endpoints]


# Logins


def test_a_kubelet_looks_for_logins_in_this_order():
    """pkg/credentialprovider/config.go: DefaultDockerConfigJSONPaths, then DefaultDockercfgPaths."""
    assert LoginSearch().paths == (
        *("/var/lib/kubelet/config.json", "/config.json", "/.docker/config.json"),
        *("/var/lib/kubelet/.dockercfg", "/.dockercfg"),
    )
    assert LoginSearch("/k", "/w", "/root").paths == (
        *("/k/config.json", "/w/config.json", "/root/.docker/config.json", "/.docker/config.json"),
        *("/k/.dockercfg", "/w/.dockercfg", "/root/.dockercfg", "/.dockercfg"),
    )


def test_registries_are_told_from_other_names_in_a_file_of_logins():
    names = (
        "auths",
        "https://index.docker.io/v1/",
        "reg.example:5000",
        "HttpHeaders",
        "plugins",
        "tcp://d:1",
        "credsStore",
    )
    assert logged_in(names) == ("docker.io", "reg.example:5000")
