"""The command line that systemd makes of a kubelet's files, and its files after a switch of runtime."""

import json
from pathlib import Path

import pytest

from unshim.facts import File, Unit
from unshim.kubelet_command_line import difference, flag_value, flags, resolve
from unshim.kubelet_flags import FlagError
from unshim.kubelet_switch import switch_runtime

UNIT = "/lib/systemd/system/kubelet.service"
DROP_IN = "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"
FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
EXTRA = "/etc/default/kubelet"
ENDPOINT = "unix:///run/containerd/containerd.sock"
KUBEADM = """\
[Service]
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""


def node(files):
    files = {UNIT: "[Service]\nExecStart=/usr/bin/kubelet --from=package\n", **files}
    drop_ins = tuple(sorted(path for path in files if path.endswith(".conf")))
    unit = Unit("kubelet.service", "loaded", "active", fragment_path=UNIT, drop_in_paths=drop_ins)
    return unit, {path: File(path, "file", text) for path, text in files.items()}


def argv(files):
    return list(resolve(*node(files)).argv)


@pytest.mark.parametrize(
    "files, expected",
    [
        ({}, ["--from=package"]),
        ({DROP_IN: KUBEADM}, ["--config=/var/lib/kubelet/config.yaml"]),
        (
            {DROP_IN: KUBEADM, FLAGS: "KUBELET_KUBEADM_ARGS=\"--a --b='c d'\"\n", EXTRA: "KUBELET_EXTRA_ARGS=--e\n"},
            ["--config=/var/lib/kubelet/config.yaml", "--a", "--b=c d", "--e"],
        ),
        # A file wins over Environment=, the later file over the earlier.
        (
            {DROP_IN: KUBEADM, FLAGS: "KUBELET_CONFIG_ARGS=--one\n", EXTRA: "KUBELET_CONFIG_ARGS=--two\n"},
            ["--two"],
        ),
        # ${X} stays one word, $X is split, $$ is a dollar sign, an unknown variable is nothing.
        (
            {UNIT: '[Service]\nEnvironment="X=a b" Y=c\nExecStart=/usr/bin/kubelet ${X} $X --y=${Y} $NONE --d=$$\n'},
            ["a b", "a", "b", "--y=c", "--d=$"],
        ),
        (
            {UNIT: "[Service]\nExecStart=-/usr/bin/kubelet 'a b' \\\n   --c \\\n; note\n --d=%%\n"},
            ["a b", "--c", "--d=%"],
        ),
        ({DROP_IN: "[Service]\nEnvironment=A=1\nEnvironment=\nExecStart=\nExecStart=/usr/bin/kubelet $A\n"}, []),
    ],
)
def test_what_systemd_would_start(files, expected):
    assert argv(files) == ["/usr/bin/kubelet", *expected]


# Recorded from systemd 252 (Debian 12): each unit was started, with a program that prints its arguments.
RECORDED = json.loads((Path(__file__).resolve().parents[2] / "data" / "systemd" / "command_lines.json").read_text())


@pytest.mark.parametrize("case", RECORDED, ids=range(len(RECORDED)))
def test_the_command_line_is_the_one_systemd_started(case):
    unit = Unit("t.service", fragment_path="/run/systemd/system/t.service")
    files = {unit.fragment_path: case["unit"], "/run/t.env": case["environment_file"]}
    assert list(resolve(unit, {p: File(p, "file", text) for p, text in files.items()}).argv) == case["argv"]


def test_several_commands_are_refused():
    with pytest.raises(FlagError, match="several commands"):
        argv({UNIT: "[Service]\nExecStart=/usr/bin/kubelet --a ; /bin/true\n"})


def test_every_word_knows_its_file_and_line():
    line = resolve(*node({DROP_IN: KUBEADM, FLAGS: "\n# kubeadm\nKUBELET_KUBEADM_ARGS=--a\n"}))
    places = {argument.text: line.place(argument) for argument in line.arguments}
    assert places == {
        "/usr/bin/kubelet": f"{DROP_IN}:6",
        "--config=/var/lib/kubelet/config.yaml": f"{DROP_IN}:2",
        "--a": f"{FLAGS}:3",
    }


def test_a_unit_without_a_command_is_refused():
    with pytest.raises(FlagError, match="no ExecStart="):
        argv({DROP_IN: "[Service]\nExecStart=\n"})


def test_flags_of_a_command_line():
    words = ["kubelet", "--a=1", "--b", "2", "--c", "--docker-only", "3", "--d_e=4", "--a", "5"]
    assert [(f.name, f.value) for f in flags(words)] == [
        ("a", "1"), ("b", "2"), ("c", None), ("docker-only", None), ("d-e", "4"), ("a", "5"),
    ]  # fmt: skip
    assert flag_value(words, "a") == "5"
    assert flag_value(words, "nothing") is None


@pytest.mark.parametrize(
    "resolved, running, says",
    [
        (["k", "--a"], ["k", "--a"], ""),
        (["k", "--a=1"], ["k", "--a=2"], "only in the files: --a=1; only in the running process: --a=2"),
        (["k", "--a"], ["/bin/sh", "--a"], "the unit starts k, but /bin/sh runs"),
        (["k", "--a", "--b"], ["k", "--b", "--a"], "the same flags in another order or number"),
    ],
)
def test_difference_to_the_running_kubelet(resolved, running, says):
    assert difference(resolved, running) == says


REMOTE = f"--container-runtime=remote --container-runtime-endpoint={ENDPOINT}"
# (files before, kubelet version, files that change and what they become)
SWITCHES = {
    "kubeadm": (
        {DROP_IN: KUBEADM, FLAGS: 'KUBELET_KUBEADM_ARGS="--network-plugin=cni --pod-infra-container-image=p:1"\n'},
        "1.20.2",
        {FLAGS: f'KUBELET_KUBEADM_ARGS="{REMOTE} --pod-infra-container-image=p:1"\n'},
    ),
    "separate values, single quotes, CRLF, no newline at the end": (
        {DROP_IN: KUBEADM, FLAGS: "# by kubeadm\r\nKUBELET_KUBEADM_ARGS='--v 2  --network-plugin cni --x'"},
        "1.19.3",
        {FLAGS: f"# by kubeadm\r\nKUBELET_KUBEADM_ARGS='--v 2  {REMOTE} --x'"},
    ),
    "in two files": (
        {DROP_IN: KUBEADM, FLAGS: 'KUBELET_KUBEADM_ARGS="--network-plugin=cni"\n',
         EXTRA: 'A=1\nKUBELET_EXTRA_ARGS="--cni-bin-dir=/x --docker-endpoint=unix:///y --z"\n'},
        "1.23.17",
        {FLAGS: f'KUBELET_KUBEADM_ARGS="{REMOTE}"\n', EXTRA: 'A=1\nKUBELET_EXTRA_ARGS="--z"\n'},
    ),
    "flags by hand, one on a line": (
        {UNIT: "[Service]\nExecStart=/usr/bin/kubelet \\\n  --container-runtime=docker \\\n  --network-plugin=cni \\\n  --docker-root=/d \\\n  --v=2\nRestart=always\n"},
        "1.18.0",
        {UNIT: f"[Service]\nExecStart=/usr/bin/kubelet \\\n  --container-runtime=remote \\\n  --container-runtime-endpoint={ENDPOINT} \\\n  --v=2\nRestart=always\n"},
    ),
    "underscores, and a flag given twice": (
        {UNIT: "[Service]\nExecStart=/usr/bin/kubelet --network_plugin=kubenet --v=2 --network-plugin=cni --container_runtime=docker\n"},
        "1.20.2",
        {UNIT: f"[Service]\nExecStart=/usr/bin/kubelet --v=2 --container_runtime=remote --container-runtime-endpoint={ENDPOINT}\n"},
    ),
    "in Environment=": (
        {UNIT: '[Service]\nEnvironment="A=--v=2" "ARGS=--network-plugin=cni --b"\nExecStart=/usr/bin/kubelet $ARGS $A\n'},
        "1.20.2",
        {UNIT: f'[Service]\nEnvironment="A=--v=2" "ARGS={REMOTE} --b"\nExecStart=/usr/bin/kubelet $ARGS $A\n'},
    ),
    "cri-dockerd on 1.23": (
        {DROP_IN: KUBEADM, FLAGS: 'KUBELET_KUBEADM_ARGS="--container-runtime=remote --container-runtime-endpoint=unix:///run/cri-dockerd.sock"\n'},
        "1.23.1",
        {FLAGS: f'KUBELET_KUBEADM_ARGS="{REMOTE}"\n'},
    ),
    "cri-dockerd on 1.25, with a flag of 1.23": (
        {DROP_IN: KUBEADM, FLAGS: 'KUBELET_KUBEADM_ARGS="--container-runtime=remote --container-runtime-endpoint unix:///run/cri-dockerd.sock --v=1"\n'},
        "1.25.0",
        {FLAGS: f'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint {ENDPOINT} --v=1"\n'},
    ),
    "nothing to hold on to: kubeadm's variable": (
        {DROP_IN: KUBEADM, FLAGS: 'KUBELET_KUBEADM_ARGS="--v=1"\n'},
        "1.28.0",
        {FLAGS: f'KUBELET_KUBEADM_ARGS="--v=1 --container-runtime-endpoint={ENDPOINT}"\n'},
    ),
    "an empty variable": (
        {DROP_IN: KUBEADM, EXTRA: "KUBELET_EXTRA_ARGS=\n", FLAGS: 'KUBELET_KUBEADM_ARGS=""\n'},
        "1.28.0",
        {FLAGS: f'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint={ENDPOINT}"\n'},
    ),
    "no file at all": (
        {DROP_IN: KUBEADM},
        "1.28.0",
        {FLAGS: f'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint={ENDPOINT}"\n'},
    ),
    "no variables": (
        {UNIT: "[Service]\nExecStart=/usr/bin/kubelet --v=1  \nRestart=no\n"},
        "1.28.0",
        {UNIT: f"[Service]\nExecStart=/usr/bin/kubelet --v=1 --container-runtime-endpoint={ENDPOINT}  \nRestart=no\n"},
    ),
    "already there": (
        {DROP_IN: KUBEADM, FLAGS: f'KUBELET_KUBEADM_ARGS="{REMOTE}"\n'},
        "1.20.2",
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SWITCHES)
def test_switch(name):
    before, version, expected = SWITCHES[name]
    unit, files = node(before)
    switch = switch_runtime(unit, files, version, ENDPOINT)
    assert switch.texts == expected
    after = {**files, **{path: File(path, "file", text) for path, text in switch.texts.items()}}
    assert resolve(unit, after).argv == switch.after.argv
    assert flag_value(switch.after.argv, "container-runtime-endpoint") == ENDPOINT
    assert switch_runtime(unit, after, version, ENDPOINT).texts == {}


def test_what_was_taken_out_is_told_with_its_place():
    unit, files = node({DROP_IN: KUBEADM, EXTRA: "\nKUBELET_EXTRA_ARGS=--network-plugin cni --docker-tls\n"})
    removed = switch_runtime(unit, files, "1.20.2", ENDPOINT).removed
    assert [(place, flag) for place, flag, _ in removed] == [
        (f"{EXTRA}:2", "--network-plugin cni"),
        (f"{EXTRA}:2", "--docker-tls"),
    ]
    assert all(reason for _, _, reason in removed)


@pytest.mark.parametrize(
    "files, message",
    [
        # One variable is used twice with two meanings: there is no edit that does only what is wanted.
        (
            {UNIT: "[Service]\nEnvironment=P=cni\nExecStart=/usr/bin/kubelet --network-plugin $P --cni $P\n"},
            "used in more than one way",
        ),
        ({DROP_IN: KUBEADM, FLAGS: 'KUBELET_KUBEADM_ARGS="--network-plugin=cni\n'}, "never closed"),
    ],
)
def test_what_cannot_be_changed_safely_is_refused(files, message):
    with pytest.raises(FlagError, match=message):
        switch_runtime(*node(files), "1.20.2", ENDPOINT)


def test_an_endpoint_that_needs_quoting_is_refused():
    with pytest.raises(FlagError, match="cannot stand in a kubelet flag"):
        switch_runtime(*node({}), "1.20.2", "unix:///run/a b.sock")
