"""What dockerd runs with: daemon.json, its flags, and both together."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshim import docker_settings
from unshim.docker_settings import DaemonJsonError, from_flags, merge, read_daemon_json

PATH = "/etc/docker/daemon.json"


@pytest.mark.parametrize(
    "text, line, column",
    [
        ('{"a": x}', 1, 7),
        ('{\n "a" 1}', 2, 6),
        ("[]", 1, 1),
        ('"a"', 1, 1),
        ("{", 1, 2),
        ('{"a": 1} {}', 1, 10),
        ('{"a": 1,\n # why\n "b": 2}', 2, 2),
        ("[" * 100000, 0, 0),
        ('{"a": NaN}', 0, 0),
    ],
    ids=["word", "no colon", "list", "string", "open", "two", "comment", "deep", "NaN"],
)
def test_a_malformed_file_is_told_with_its_place(text, line, column):
    with pytest.raises(DaemonJsonError) as caught:
        read_daemon_json(text)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize("text", ["", " \n", "\ufeff", "{}", "\ufeff{ }\r\n"])
def test_an_empty_file_sets_nothing(text):
    assert read_daemon_json(text).values == {}


def test_each_key_is_told_with_its_line():
    file = read_daemon_json('{\n "mtu": 1,\r\n\n "dns": ["a", "b"], "hosts"\n: []}')
    assert file.lines == {"mtu": 2, "dns": 4, "hosts": 4}


def test_a_key_given_twice_counts_as_go_takes_it():
    file = read_daemon_json('{"dns": ["a"],\n"dns": ["b"],\n"log-opts": {"a": "1", "b": "1"},\n"log-opts": {"b": "2"}}')
    assert file.values == {"dns": ["b"], "log-opts": {"a": "1", "b": "2"}}
    assert file.twice == (("dns", 1, 2), ("log-opts", 3, 4))


def test_half_a_surrogate_pair_can_be_printed():
    assert read_daemon_json(r'{"labels": ["\ud800x", {"\udfff": "\ud83d\ude00"}]}').values == {
        "labels": ["\ufffdx", {"\ufffd": "\U0001f600"}]
    }


def dockerd(*words):
    return from_flags(["/usr/bin/dockerd", *words])


@pytest.mark.parametrize(
    "words, settings",
    [
        ("--insecure-registry=a:5000 --insecure-registry 10.0.0.0/8", {"insecure-registries": ["a:5000", "10.0.0.0/8"]}),
        ("--registry-mirror https://m", {"registry-mirrors": ["https://m"]}),
        ("--default-ulimit nofile=1024:4096", {"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 4096}}}),
        ("--default-ulimit=core=-1", {"default-ulimits": {"core": {"Name": "core", "Soft": -1, "Hard": -1}}}),
        ("--log-driver journald --log-opt a=b=c --log-opt tag={{.Name}}", {"log-driver": "journald", "log-opts": {"a": "b=c", "tag": "{{.Name}}"}}),
        ("--exec-opt native.cgroupdriver=systemd", {"exec-opts": ["native.cgroupdriver=systemd"]}),
        ("--data-root /d", {"data-root": "/d"}),
        ("-g /d", {"data-root": "/d"}),
        ("--graph=/d", {"data-root": "/d"}),
        ("--add-runtime n=/usr/bin/n --add-runtime=crun=/c --default-runtime n", {"runtimes": {"n": {"path": "/usr/bin/n"}, "crun": {"path": "/c"}}, "default-runtime": "n"}),
        ("-s overlay2 --storage-opt a=b", {"storage-driver": "overlay2", "storage-opts": ["a=b"]}),
        ("-soverlay2", {"storage-driver": "overlay2"}),
        ("-s=overlay2", {"storage-driver": "overlay2"}),
        ("--selinux-enabled --userns-remap default", {"selinux-enabled": True, "userns-remap": "default"}),
        ("--selinux-enabled=false", {"selinux-enabled": False}),
        ("--iptables=0 --init=T", {"iptables": False, "init": True}),
        ("-D -l debug", {"debug": True, "log-level": "debug"}),
        ("-Dl debug", {"debug": True, "log-level": "debug"}),
        ("-H fd:// -H tcp://0.0.0.0:2375", {"hosts": ["fd://", "tcp://0.0.0.0:2375"]}),
        ("--http-proxy http://p --no-proxy a,b", {"proxies": {"http-proxy": "http://p", "no-proxy": "a,b"}}),
        ("--default-address-pool base=172.30.0.0/16,size=24", {"default-address-pools": [{"base": "172.30.0.0/16", "size": 24}]}),
        ("--default-network-opt bridge=com.docker.network.driver.mtu=1400", {"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}}}),
        ("--feature containerd-snapshotter=true", {"features": {"containerd-snapshotter": True}}),
        ("--mtu 1400 --max-concurrent-downloads=9", {"mtu": 1400, "max-concurrent-downloads": 9}),
        ("--seccomp-profile=/s.json --bip 10.9.0.1/24", {"seccomp-profile": "/s.json", "bip": "10.9.0.1/24"}),
        ("--add-registry r --block-registry all", {"add-registry": ["r"], "block-registry": ["all"]}),
        ("--config-file /d.json --validate", {}),
        ("--some-later-flag x --another", {"some-later-flag": "x", "another": True}),
    ],
)  # fmt: skip
def test_flags_are_settings_of_daemon_json(words, settings):
    assert dockerd(*words.split()) == settings


def test_the_file_a_flag_names_is_the_one():
    assert docker_settings.config_file(["dockerd"]) == PATH
    assert docker_settings.config_file(["dockerd", "--config-file=/a", "--config-file", "/b"]) == "/b"


NAME = st.text(string.ascii_letters + string.digits, min_size=1)
TEXT = st.text(string.ascii_letters + string.digits + "/:.,_={}", min_size=1)
LIMIT = st.integers(-1, 1 << 40)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "insecure-registries": st.lists(TEXT, min_size=1),
        "registry-mirrors": st.lists(TEXT, min_size=1),
        "log-opts": st.dictionaries(NAME, TEXT, min_size=1),
        "runtimes": st.dictionaries(NAME, st.fixed_dictionaries({"path": TEXT}), min_size=1),
        "default-ulimits": st.dictionaries(NAME, st.tuples(LIMIT, LIMIT), min_size=1).map(
            lambda limits: {name: {"Name": name, "Soft": s, "Hard": h} for name, (s, h) in limits.items()}
        ),
        "mtu": st.integers(0, 9000),
        "init": st.booleans(),
        "data-root": TEXT,
        "default-runtime": NAME,
        "proxies": st.dictionaries(st.sampled_from(["http-proxy", "https-proxy", "no-proxy"]), TEXT, min_size=1),
    },
)
FLAG = {"insecure-registries": "insecure-registry", "registry-mirrors": "registry-mirror", "log-opts": "log-opt"}


def as_flags(settings):
    for key, value in settings.items():
        if key == "runtimes":
            yield from (("add-runtime", f"{name}={runtime['path']}") for name, runtime in value.items())
        elif key == "default-ulimits":
            yield from (("default-ulimit", f"{name}={limit['Soft']}:{limit['Hard']}") for name, limit in value.items())
        elif key == "proxies":
            yield from value.items()
        elif isinstance(value, dict):
            yield from ((FLAG[key], f"{name}={text}") for name, text in value.items())
        elif isinstance(value, list):
            yield from ((FLAG[key], text) for text in value)
        else:
            yield key, str(value).lower() if isinstance(value, bool) else str(value)


@given(settings=SETTINGS, data=st.data())
def test_settings_survive_a_trip_through_flags(settings, data):
    words = ["dockerd"]
    for name, value in as_flags(settings):
        apart = name != "init" and data.draw(st.booleans())  # a boolean's value is never a word of its own
        words += [f"--{name}", value] if apart else [f"--{name}={value}"]
    assert from_flags(words) == settings


@given(settings=SETTINGS, data=st.data())
def test_it_is_the_same_wherever_a_setting_is_given(settings, data):
    in_file = {key: value for key, value in settings.items() if data.draw(st.booleans())}
    rest = {key: value for key, value in settings.items() if key not in in_file}
    flags = from_flags(["dockerd", *(f"--{name}={value}" for name, value in as_flags(rest))])
    merged = merge(read_daemon_json(json.dumps(in_file)), PATH, flags)
    assert merged.values == settings
    assert merged.both == ()
    assert {key for key, origin in merged.origins.items() if origin == docker_settings.COMMAND_LINE} == set(rest)


def test_a_setting_in_both_places_is_told_and_runtimes_are_joined():
    file = read_daemon_json('{"mtu": 1,\n"runtimes": {"a": {"path": "/a"}},\n"graph": "/g"}')
    merged = merge(file, PATH, dockerd("--mtu=2", "--add-runtime", "b=/b", "--data-root=/h"))
    assert merged.both == ("mtu", "data-root")
    assert merged.values == {"mtu": 1, "runtimes": {"a": {"path": "/a"}, "b": {"path": "/b"}}, "data-root": "/g"}
    assert merged.origins["runtimes"] == f"{PATH}:2 and dockerd's command line"
