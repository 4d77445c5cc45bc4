"""dockerd's proxies as a drop-in of containerd.service."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshim import proxies, unit_environment
from unshim.facts import File, Unit

UNIT = "/etc/systemd/system/docker.service"


def read_back(text):
    files = {proxies.PATH: File(proxies.PATH, "file", text)}
    found = unit_environment.environment(Unit("containerd.service", drop_in_paths=(proxies.PATH,)), files)
    return {name: variable.value for name, variable in found.items()}


@pytest.mark.parametrize(
    "environment, settings, wanted",
    [
        ({}, {}, {}),
        ({"HTTP_PROXY": "a", "http_proxy": "b"}, {}, {"HTTP_PROXY": "a"}),
        ({"HTTP_PROXY": "", "http_proxy": "b", "no_proxy": "c"}, {}, {"HTTP_PROXY": "b", "NO_PROXY": "c"}),
        (
            {"HTTP_PROXY": "a", "HTTPS_PROXY": "b"},
            {"proxies": {"http-proxy": "c", "no-proxy": "d"}},
            {"HTTP_PROXY": "c", "HTTPS_PROXY": "b", "NO_PROXY": "d"},
        ),
        (
            {"SSL_CERT_FILE": "/c", "PATH": "/bin"},
            {"proxies": None, "http-proxy": "no effect"},
            {"SSL_CERT_FILE": "/c"},
        ),
    ],
)
def test_what_counts_is_what_go_takes(environment, settings, wanted):
    assert proxies.effective(environment, settings) == wanted


def test_no_proxy_keeps_dockers_entries_in_front_and_each_once():
    assert proxies.no_proxy(" .a , 10.0.0.1,,", ["localhost", "10.0.0.1", ".svc"]) == ".a,10.0.0.1,localhost,.svc"
    assert proxies.no_proxy("", ["localhost"]) == "localhost"
    assert proxies.no_proxy("a,*", ["localhost"]) == "*"


def test_the_text_is_what_systemd_was_seen_to_take():
    """systemd 252 and 257 gave a real containerd these values from this text (/proc/PID/environ)."""
    variables = {
        "HTTP_PROXY": "http://user:p%40\"s's\\w$HOME@proxy.example:3128",
        "NO_PROXY": "a b,localhost,%i,10.0.0.0/8",
    }
    text = proxies.drop_in(variables)
    assert text.removeprefix(proxies.HEADER) == (
        'Environment="HTTP_PROXY=http://user:p%%40\\"s\'s\\\\w$HOME@proxy.example:3128"\n'
        'Environment="NO_PROXY=a b,localhost,%%i,10.0.0.0/8"\n'
    )
    assert read_back(text) == variables


VALUE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)


@given(variables=st.dictionaries(st.sampled_from([*proxies.NAMES, *proxies.CERTIFICATES]), VALUE))
def test_any_value_survives_a_trip_through_the_drop_in(variables):
    assert read_back(proxies.drop_in(variables)) == variables


@pytest.mark.parametrize("value", ["a\nExecStartPre=/bin/evil", "a\x00", "\t"])
def test_a_control_character_is_refused(value):
    with pytest.raises(ValueError, match="HTTP_PROXY holds a control character"):
        proxies.drop_in({"HTTP_PROXY": value})


@pytest.mark.parametrize("url", ["http://u:p@w@proxy:1", "u:p@proxy:1", "HTTPS://u:p/@proxy:1"])
def test_a_password_is_known_and_hidden(url):
    assert proxies.has_password({"HTTPS_PROXY": url})
    assert proxies.hidden(url).endswith("***@proxy:1")
    assert "p" not in proxies.hidden(url).removesuffix("proxy:1").lower().replace("http", "")


def test_networks_of_pods_and_services():
    cni = {
        "plugins": [
            {"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.1.0/24"}], [{"subnet": "fd00:1::/64"}]]}},
            {"type": "calico", "ipam": {"ipv4_pools": ["192.168.0.0/16"], "subnet": "usePodCidr"}},
        ]
    }
    manifests = "/etc/kubernetes/manifests/"
    files = {
        path: File(path, "file", text)
        for path, text in {
            "/run/flannel/subnet.env": "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n",
            manifests + "kube-controller-manager.yaml": "    - --cluster-cidr=10.244.0.0/16,fd00::/48\n",
            manifests + "kube-apiserver.yaml": '    - "--service-cluster-ip-range=10.96.0.0/12,fd01::/112"\n',
        }.items()
    }
    assert proxies.pod_ranges(json.dumps(cni), files, ["kubelet", "--pod-cidr=10.5.0.0/24"]) == [
        "10.244.1.0/24", "fd00:1::/64", "192.168.0.0/16", "10.244.0.0/16", "fd00::/48", "10.5.0.0/24",
    ]  # fmt: skip
    assert proxies.service_ranges(files) == ["10.96.0.0/12", "fd01::/112"]
    assert (
        proxies.pod_ranges("{", {}, []) == proxies.pod_ranges("[" * 99999, {}, []) == proxies.service_ranges({}) == []
    )


@pytest.mark.parametrize(
    "url, host",
    [("https://10.0.0.1:6443", "10.0.0.1"), ("https://[fd00::1]:6443", "fd00::1"), ("https://api/x", "api"), ("", ""), ("https://[", "")],
)  # fmt: skip
def test_the_api_servers_host(url, host):
    assert proxies.host(url) == host


def test_what_only_systemd_knows_is_marked_and_what_is_unset_is_gone():
    text = "[Service]\nEnvironment=A=%H B=100%% C=1 D=1 E=1\nUnsetEnvironment=C D=2 E=1\n"
    found = unit_environment.environment(
        unit_environment.unmasked(Unit("docker.service"), {UNIT: File(UNIT, "file", text)}),
        {UNIT: File(UNIT, "file", text)},
    )
    assert {name: (variable.value, variable.exact) for name, variable in found.items()} == {
        "A": ("%H", False),
        "B": ("100%", True),
        "D": ("1", True),
    }


def test_a_units_environment_is_that_of_all_its_files_in_order():
    files = {
        UNIT: File(UNIT, "file", "[Service]\nEnvironment=A=1 B=1\nEnvironmentFile=-/e\n[Unit]\nEnvironment=C=1\n"),
        f"{UNIT}.d/10.conf": File("", "file", "[Service]\nEnvironment='B=2 %% 2'\n"),
        f"{UNIT}.d/20.conf": File("", "file", "[Service]\nEnvironmentFile=/f\n"),
        "/run/systemd/system/docker.service.d/15.conf": File("", "file", "[Service]\nEnvironment=\nEnvironment=D=1\n"),
        "/e": File("/e", "file", "# A=9\nE='x y'\n"),
        "/f": File("/f", "missing"),
    }
    unit = unit_environment.unmasked(Unit("docker.service", "masked"), files)
    assert unit.fragment_path == UNIT
    found = unit_environment.environment(unit, files)
    assert {name: (variable.value, variable.place) for name, variable in found.items()} == {
        "D": ("1", "/run/systemd/system/docker.service.d/15.conf:3"),
        "E": ("x y", "/e:2"),
    }
    del files["/run/systemd/system/docker.service.d/15.conf"]
    found = unit_environment.environment(unit_environment.unmasked(Unit("docker.service"), files), files)
    assert {name: variable.value for name, variable in found.items()} == {"A": "1", "B": "2 % 2", "E": "x y"}
    assert found["B"].path == f"{UNIT}.d/10.conf"
