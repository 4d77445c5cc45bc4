"""What blocks a node and what is worth a warning: a recorded worker, one thing changed, the finding it must bring."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unshim import plan, plan_draft, plan_text, records
from unshim.facts import Facts
from unshim.plan_model import Settings

FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
CONFIG = "/etc/containerd/config.toml"
SOCKET = "/run/containerd/containerd.sock"
DAEMON = "/etc/docker/daemon.json"
HEAD = [
    "/usr/bin/kubelet",
    "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf",
    "--kubeconfig=/etc/kubernetes/kubelet.conf",
    "--config=/var/lib/kubelet/config.yaml",
]


def flags(*words):
    """Return the changes of a worker whose kubelet has these flags, in its file and in its process."""
    return {
        "files": {FLAGS: {"content": f'KUBELET_KUBEADM_ARGS="{" ".join(words)}"\n'}},
        "kubelet": {"command_line": [*HEAD, *words]},
    }


FOREIGN = {"id": "f" * 64, "name": "/registry-cache", "image": "x", "running": True}
STOPPED = {"id": "e" * 64, "name": "old", "image": "x", "running": False}
DOCKERD = {"command_line": ["/usr/sbin/dockerd", "-H", "fd://", "--containerd=/run/containerd/containerd.sock"]}
DOCKER_D = "/etc/systemd/system/docker.service.d"
CONTAINERD_D = "/etc/systemd/system/containerd.service.d"
NO_DOCKER = {"installed": False, "answers": False, "containers": [], "images": [], "cgroup_driver": ""}

# name: (changes, settings, finding, severity, words its message must have)
CASES = {
    "not root": ({"uid": 1000}, {}, "not-root", "block", ["1000"]),
    "no systemd": ({"os": {"init": "openrc"}}, {}, "no-systemd", "block", ["openrc"]),
    "rocky": ({"os": {"id": "rocky", "pretty_name": "Rocky Linux 9.4"}}, {}, "unsupported-os", "block", ["Rocky Linux 9.4"]),
    "alpine": ({"os": {"id": "alpine", "id_like": []}}, {}, "unsupported-os", "block", ["OpenRC"]),
    "docker gone": ({"docker": NO_DOCKER}, {}, "no-docker", "block", ["not installed"]),
    "docker down": ({"docker": {**NO_DOCKER, "installed": True}}, {}, "docker-not-running", "block", []),
    "kubelet gone": (
        {"kubelet": {"installed": False, "pid": 0, "command_line": []}, "units": {"kubelet.service": {"load_state": "not-found"}}},
        {}, "no-kubelet", "block", [],
    ),
    "kubelet down": ({"kubelet": {"pid": 0, "command_line": []}}, {}, "kubelet-not-running", "block", []),
    "kubelet in a shell": ({"units": {"kubelet.service": {"load_state": "not-found"}}}, {}, "kubelet-not-a-unit", "block", ["not-found"]),
    "cgroup drivers differ": ({"docker": {"cgroup_driver": "systemd"}}, {}, "cgroup-driver-mismatch", "block", ["cgroupfs", "systemd"]),
    "containerd 2 under kubelet 1.20": (
        {"packages": {"containerd": {"version": "2.1.9-1"}}, "containerd": {"version": "2.1.9"}},
        {}, "kubelet-containerd-incompatible", "block", ["1.20.2", "2.1.9", "v1alpha2"],
    ),
    "containerd 1.2, as Docker 19.03 brought it": (
        {"packages": {"containerd": {"version": "", "candidate": ""}, "containerd.io": {"version": "1.2.13-2", "candidate": "1.6.33-1"}},
         "containerd": {"version": "1.2.13"}},
        {}, "containerd-too-old", "block", ["1.2.13", "version 2"],
    ),
    "containerd 1.3": (
        {"packages": {"containerd": {"version": "1.3.3-0ubuntu2"}}, "containerd": {"version": "1.3.3"}},
        {}, "containerd-untried", "warn", ["1.3.3"],
    ),
    "Docker with a containerd of its own": (
        {"packages": {"containerd": {"version": "", "candidate": ""}}, "units": {"containerd.service": None}},
        {}, "containerd-not-a-unit", "block", ["/usr/bin/containerd", "containerd.service"],
    ),
    "Docker from a snap": (
        {"units": {"docker.service": None, "docker.socket": None}, "docker": {"command_line": ["/snap/docker/2893/bin/dockerd"]}},
        {}, "docker-not-a-unit", "block", ["/snap/docker/2893/bin/dockerd", "not-found"],
    ),
    "downloads at a time": (
        {"files": {DAEMON: {"content": '{"max-concurrent-downloads": 10}'},
                   CONFIG: {"content": 'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\nmax_concurrent_downloads = 3\n'}}},
        {}, "max-concurrent-downloads-kept", "info", [CONFIG, "= 3", "is 10"],
    ),
    "foreign container": ({"docker": {"containers": [FOREIGN, STOPPED]}}, {}, "foreign-container", "block", ["registry-cache"]),
    "stopped foreign container": ({"docker": {"containers": [STOPPED]}}, {}, "foreign-container-stopped", "info", ["1 stopped"]),
    "open quote": ({"files": {FLAGS: {"content": '#\nKUBELET_KUBEADM_ARGS="--a\n'}}}, {}, "kubelet-flags-unparsable", "block", [f"{FLAGS}:2"]),
    "edited, not restarted": (
        {"files": {FLAGS: {"content": 'KUBELET_KUBEADM_ARGS="--network-plugin=cni --v=9"\n'}}},
        {}, "files-and-process-disagree", "block", ["only in the files: --v=9", FLAGS],
    ),
    "daemon.json broken": ({"files": {DAEMON: {"content": '{\n  "a" 1\n}'}}}, {}, "daemon-json-malformed", "block", [f"{DAEMON}:2:7"]),
    "flags not UTF-8": ({"files": {FLAGS: {"content": None, "is_utf8": False}}}, {}, "kubelet-flags-unparsable", "block", [FLAGS, "UTF-8"]),
    "config.toml not UTF-8": ({"files": {CONFIG: {"content": None, "is_utf8": False}}}, {}, "not-utf8", "block", [CONFIG]),
    "config.toml broken": ({"files": {CONFIG: {"content": "version = 2\n[x\n"}}}, {}, "containerd-config-unusable", "block", [f"{CONFIG}:2"]),
    "config.toml is a directory": ({"files": {CONFIG: {"content": None, "kind": "directory"}}}, {}, "file-not-readable", "block", [CONFIG]),
    "another socket": (
        {"files": {CONFIG: {"content": 'version = 2\n[grpc]\naddress = "/run/x.sock"\n'}}}, {}, "containerd-address", "block", ["/run/x.sock"],
    ),
    "mirrors on 1.6": (
        {"files": {CONFIG: {"content": 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry.mirrors."a"]\nendpoint = []\n'}}},
        {}, "legacy-registry-config", "warn", ["registry.mirrors"],
    ),
    "no room": ({"mounts": {"/var/lib/containerd": {"available": 1 << 20}}}, {}, "not-enough-space", "block", ["1.0 MiB are free", "/dev/"]),
    "no CNI file": ({"files": {"/etc/cni/net.d/10-lab.conflist": None}}, {}, "no-cni-config", "block", ["/etc/cni/net.d"]),
    "CNI file broken": ({"files": {"/etc/cni/net.d/00.conf": {"kind": "file", "content": "{"}}}, {}, "cni-config-unusable", "warn", ["/etc/cni/net.d/00.conf"]),
    "no loopback": ({"cni_plugins": {"/opt/cni/bin": ["bridge", "host-local", "portmap"]}}, {}, "cni-plugin-missing", "block", ["loopback"]),
    "no portmap": ({"cni_plugins": {"/opt/cni/bin": ["bridge", "host-local", "loopback"]}}, {}, "cni-plugin-missing", "block", ["portmap"]),
    "kubenet": (flags("--network-plugin=kubenet"), {}, "no-network-plugin", "block", ["kubenet"]),
    "docker0": (flags("--v=1"), {}, "no-network-plugin", "block", ["no --network-plugin"]),
    "crio": (
        flags("--container-runtime=remote", "--container-runtime-endpoint=unix:///run/crio/crio.sock"),
        {}, "source-unknown", "block", ["crio.sock"],
    ),
    "read-only units": (
        {"obstacles": {"/etc/systemd/system": "read-only"}}, {}, "not-writable", "block", ["/etc/systemd/system/docker.service"],
    ),
    "journal broken": ({"files": {plan_draft.JOURNAL: {"kind": "file", "content": "{"}}}, {}, "journal-damaged", "block", [plan_draft.JOURNAL]),
    "journal of a later unshim": (
        {"files": {plan_draft.JOURNAL: {"kind": "file", "content": '{"state": "teleported"}'}}}, {}, "journal-damaged", "block", ["teleported"],
    ),
    "symlink": ({"files": {FLAGS: {"kind": "symlink", "target": "/srv/flags"}}}, {}, "symlink", "warn", ["/srv/flags"]),
    "CIDR registry": ({"files": {DAEMON: {"content": '{"insecure-registries": ["10.0.0.0/8"]}'}}}, {}, "registry-network", "warn", ["10.0.0.0/8"]),
    "no such package": ({}, {"containerd_package": "containerd.io"}, "containerd-package-conflict", "block", ["containerd.io"]),
    "socket's place taken by a directory": (
        {"files": {SOCKET: {"kind": "directory"}}}, {}, "containerd-socket-taken", "block", [SOCKET, "a directory"],
    ),
    "socket's place taken by a file": (
        {"files": {SOCKET: {"kind": "file", "content": None}}}, {}, "containerd-socket-taken", "block", ["no socket"],
    ),
    "socket's place taken, by its old name": (
        {"files": {SOCKET: {"kind": "directory"}}}, {"cri_endpoint": "unix:///var/run/containerd/containerd.sock"},
        "containerd-socket-taken", "block", ["/var/run/containerd/containerd.sock is a directory"],
    ),
    "masked containerd": ({"units": {"containerd.service": {"load_state": "masked"}}}, {}, "containerd-masked", "block", []),
    "containerd that takes containers along": (
        {"units": {"containerd.service": {"kill_mode": "control-group"}}}, {}, "containerd-kill-mode", "block", ["KillMode=control-group"],
    ),
    "endpoint with a blank": ({}, {"cri_endpoint": "unix:///run/a b"}, "kubelet-flags-unparsable", "block", ["cri_endpoint"]),
    "sysctl taken back": (
        {"files": {"/etc/sysctl.d/zz.conf": {"kind": "file", "content": "net.ipv4.ip_forward=0"}}}, {}, "sysctl-overridden", "warn", ["/etc/sysctl.d/zz.conf"],
    ),
    "containerd has a proxy of its own": (
        {"docker": DOCKERD | {"environment": {"HTTP_PROXY": "http://u:secret@p"}},
         "files": {f"{CONTAINERD_D}/http.conf": {"kind": "file", "content": "[Service]\nEnvironment=HTTP_PROXY=http://u:secret@q\n"}}},
        {}, "containerd-proxy-exists", "warn", [f"{CONTAINERD_D}/http.conf:2", "HTTP_PROXY"],
    ),
    "proxy edited, not restarted": (
        {"docker": DOCKERD | {"environment": {}},
         "files": {f"{DOCKER_D}/http.conf": {"kind": "file", "content": "[Service]\nEnvironment=HTTPS_PROXY=http://u:secret@q\n"}}},
        {}, "docker-proxy-differs", "block", [f"{DOCKER_D}/http.conf:2", "HTTPS_PROXY"],
    ),
    "proxy with a tab": (
        {"docker": DOCKERD | {"environment": {"HTTP_PROXY": "http://u:secret@p\t"}}}, {}, "docker-proxy-odd", "block", ["HTTP_PROXY", "control character"],
    ),
    "flag edited, not restarted": (
        {"docker": DOCKERD, "files": {"/etc/default/docker": {"kind": "file", "content": "DOCKER_OPTS=--insecure-registry=r:5000\n"}}},
        {}, "docker-flags-differ", "block", ["/lib/systemd/system/docker.service", 'insecure-registries = ["r:5000"]', "does not have it"],
    ),
    "flag taken out, not restarted": (
        {"docker": {"command_line": [*DOCKERD["command_line"], "--registry-mirror", "https://u:secret@m.example"]}},
        {}, "docker-flags-differ", "warn", ["registry-mirrors", "what runs is carried over"],
    ),
    "flag that is in daemon.json too": (
        {"docker": {"command_line": [*DOCKERD["command_line"], "--init"]}, "files": {DAEMON: {"content": '{"init": true}'}}},
        {}, "docker-setting-twice", "block", [f"{DAEMON}:1", "init"],
    ),
    "key given twice": ({"files": {DAEMON: {"content": '{"mtu": 1,\n"mtu": 2}'}}}, {}, "daemon-json-key-twice", "warn", [f"{DAEMON}:2", "mtu", "line 1"]),
    "key in capitals": ({"files": {DAEMON: {"content": '{"Registry-Mirrors": []}'}}}, {}, "daemon-json-key", "block", [f"{DAEMON}:1", "registry-mirrors"]),
    "daemon.json not UTF-8": ({"files": {DAEMON: {"content": None, "is_utf8": False}}}, {}, "not-utf8", "block", [DAEMON]),
    "daemon.json is a directory": ({"files": {DAEMON: {"content": None, "kind": "directory"}}}, {}, "file-not-readable", "block", [DAEMON, "directory"]),
    "daemon.json is a dangling link": ({"files": {DAEMON: {"content": None, "kind": "symlink"}}}, {}, "file-not-readable", "block", [DAEMON, "symlink"]),
    "daemon.json is a list": ({"files": {DAEMON: {"content": "[]"}}}, {}, "daemon-json-malformed", "block", [f"{DAEMON}:1:1", "not a JSON object"]),
    "daemon.json elsewhere broken": (
        {"docker": {"command_line": [*DOCKERD["command_line"], "--config-file=/srv/d.json"]}, "files": {"/srv/d.json": {"kind": "file", "content": "{"}}},
        {}, "daemon-json-malformed", "block", ["/srv/d.json:1:2"],
    ),
    "registries edited, not reloaded": (
        {"docker": {"registry_mirrors": ["https://old.example/"]}, "files": {DAEMON: {"content": '{"registry-mirrors": ["https://new.example"]}'}}},
        {}, "docker-settings-differ", "block", [f"{DAEMON}:1", "https://old.example", "https://new.example"],
    ),
    "registries taken out, not reloaded": (
        {"docker": {"insecure_registries": ["127.0.0.0/8", "r:5000"]}, "files": {DAEMON: {"content": "{}"}}},
        {}, "docker-settings-differ", "block", [DAEMON, '["r:5000"]', "say []"],
    ),
    "quota": ({"files": {DAEMON: {"content": '{"storage-opts": ["overlay2.size=10G"]}'}}}, {}, "docker-storage-quota", "warn", ["10G"]),
    "userns-remap": ({"files": {DAEMON: {"content": '{"userns-remap": "default"}'}}}, {}, "docker-userns-remap", "block", [f"{DAEMON}:1", "volumes"]),
    "init": ({"files": {DAEMON: {"content": '{"init": true}'}}}, {}, "docker-init", "warn", [f"{DAEMON}:1", "zombies"]),
    "no docker command": (
        {"docker": {**NO_DOCKER, "installed": True, "has_client": False}}, {}, "docker-client-missing", "block", ["command docker"],
    ),
    "major upgrade on offer": ({"packages": {"containerd": {"candidate": "2.2.1-0ubuntu1"}}}, {}, "containerd-not-held", "warn", ["2.2.1"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_finding(worker, settings_of, name):
    changes, given_settings, id, severity, words = CASES[name]
    clean = plan.make(worker(), Settings(), "w1")
    assert id not in {finding.id for finding in clean.findings}
    made = plan.make(worker(changes), settings_of(**given_settings), "w1")
    found = [finding for finding in made.findings if finding.id == id]
    assert found, [finding.id for finding in made.findings]
    assert {finding.severity for finding in found} == {severity}
    message = " | ".join(finding.message for finding in found)
    for word in words:
        assert word in message
    assert "\n" not in message
    if severity == "block":
        assert all(finding.remedy for finding in found)
        assert not made.done
    assert "secret" not in plan_text.render(made).replace("may hold a secret", "")


@pytest.mark.parametrize("spare, blocks", [(0, False), (-1, True)])
def test_room_for_content_and_unpacked_layers(worker, spare, blocks):
    size = sum(move.size for move in plan.make(worker(), Settings(), "w1").images)
    available = 2 * size + (256 << 20) + spare
    made = plan.make(worker({"mounts": {"/var/lib/containerd": {"available": available}}}), Settings(), "w1")
    assert ("not-enough-space" in {finding.id for finding in made.blockers}) is blocks


@pytest.mark.parametrize(
    "state, changed_by_us, blocks",
    [("docker", False, True), ("prepared", False, True), ("drained", False, True), ("drained", True, False), ("switched", True, False)],
)  # fmt: skip
def test_files_edited_by_the_switch_itself_do_not_block(worker, state, changed_by_us, blocks):
    content = 'KUBELET_KUBEADM_ARGS="--network-plugin=cni --v=9"\n'
    remembered = {FLAGS: {"role": "kubelet"}} if changed_by_us else {CONFIG: {"role": "containerd_config"}}
    journal = {"kind": "file", "content": json.dumps({"state": state, "files": remembered})}
    made = plan.make(worker({"files": {FLAGS: {"content": content}, plan_draft.JOURNAL: journal}}), Settings(), "w1")
    assert ("files-and-process-disagree" in {finding.id for finding in made.blockers}) is blocks


def test_registries_as_docker_words_them_do_not_differ(worker):
    """Recorded from Docker 26.1: what `docker info` made of this daemon.json."""
    settings = {
        "registry-mirrors": ["https://Mirror.example:5000/", "http://10.0.0.1"],
        "insecure-registries": ["Reg:5000", "http://x.example", "10.1.2.3/8", "192.0.2.7:5000"],
    }
    has = {
        "registry_mirrors": ["https://Mirror.example:5000/", "http://10.0.0.1/"],
        "insecure_registries": ["10.0.0.0/8", "127.0.0.0/8", "192.0.2.7:5000", "Reg:5000", "x.example"],
    }
    made = plan.make(worker({"docker": has, "files": {DAEMON: {"content": json.dumps(settings)}}}), Settings(), "w1")
    assert "docker-settings-differ" not in {finding.id for finding in made.findings}


@pytest.mark.parametrize(
    "said, has",
    [
        ("docker.io", []),  # moby registry/config.go sets Docker Hub last, as secure
        ("index.docker.io", ["index.docker.io"]),
        ("reg.example:5000/", ["reg.example:5000/"]),
        ("HTTP://Reg.example", ["Reg.example"]),
    ],
)
def test_what_docker_makes_of_an_insecure_registry_does_not_differ(worker, said, has):
    changes = {
        "docker": {"registry_mirrors": [], "insecure_registries": ["127.0.0.0/8", "::1/128", *has]},
        "files": {DAEMON: {"content": json.dumps({"insecure-registries": [said]})}},
    }
    made = plan.make(worker(changes), Settings(), "w1")
    assert "docker-settings-differ" not in {finding.id for finding in made.findings}


@pytest.mark.parametrize("label, blocks", [("%H", False), ("%m", True)])
@pytest.mark.parametrize("state", ["docker", "drained"])
def test_a_specifier_in_dockers_unit_is_no_dead_end_in_the_middle_of_a_switch(worker, label, blocks, state):
    unit = {"content": f"[Service]\nExecStart=/usr/sbin/dockerd -H fd:// --label host={label} --log-opt max-size=9m\n"}
    changes = {
        "docker": {"answers": False, "containers": [], "images": []},
        "units": {"docker.service": {"active_state": "inactive"}},
        "files": {
            DAEMON: {"content": "{}"},
            "/lib/systemd/system/docker.service": unit,
            plan_draft.JOURNAL: {"kind": "file", "content": json.dumps({"state": state})},
        },
    }
    made = plan.make(worker(changes), Settings(), "w1")
    assert ("docker-flags-unparsable" in {finding.id for finding in made.blockers}) is (blocks and state == "docker")


def test_a_foreign_container_may_be_stopped_by_name(worker, settings_of):
    facts = worker({"docker": {"containers": [FOREIGN]}})
    made = plan.make(facts, settings_of(stop_foreign_containers=["registry-cache"]), "w1")
    assert made.blockers == ()
    assert made.stop_containers == ("registry-cache",)


def test_a_node_that_always_ran_on_containerd_is_done_and_left_alone(worker):
    made = plan.make(
        worker(flags("--container-runtime=remote", "--container-runtime-endpoint=/var/run/containerd/containerd.sock")),
        Settings(),
        "w1",
    )
    assert made.done
    assert made.source == "containerd"
    assert not (made.files or made.units or made.images or made.annotations or made.blockers)


def test_the_kubelets_own_values_win_over_the_settings(worker, settings_of):
    made = plan.make(worker(), settings_of(cgroup_driver="systemd", sandbox_image="other/pause:9"), "w1")
    assert made.cgroup_driver == "cgroupfs"
    assert made.sandbox_image == "unshim-registry:5000/pause:3.2"


def test_a_node_that_is_provisioned_keeps_the_sandbox_image_of_its_file(facts_of):
    text = 'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "mine/pause:3.9"\n'
    changes = {
        "containerd": {"installed": True, "version": "1.7.24", "default_sandbox_image": "registry.k8s.io/pause:3.8"},
        "files": {"/etc/containerd/config.toml": {"kind": "file", "content": text}},
    }
    made = plan.make(facts_of("fresh-debian", changes), Settings(goal="provision"), "n1")
    assert made.sandbox_image == "mine/pause:3.9"


def test_the_node_name_is_the_users_else_the_flags_else_the_kubelets(worker, settings_of):
    named = flags("--network-plugin=cni", "--hostname-override=n-7")
    assert plan.make(worker(), Settings(), "w1").node_name == "unshim-w1"
    assert plan.make(worker(named), Settings(), "w1").node_name == "n-7"
    assert plan.make(worker(named), settings_of(node_name="mine"), "w1").node_name == "mine"


def test_a_secret_file_is_never_shown(worker):
    words = ("--network-plugin=cni", "--bootstrap-token=abcdef.0123456789abcdef")
    made = plan.make(worker(flags(*words)), Settings(), "w1")
    change = next(change for change in made.files if change.path == FLAGS)
    assert change.secret
    assert "abcdef.0123456789abcdef" not in plan_text.unified_diff(change)
    assert "abcdef.0123456789abcdef" not in json.dumps(plan_text.ansible_diff(change))
    assert "abcdef.0123456789abcdef" not in plan_text.render(made)


WEIRD = st.sampled_from(
    [
        "",
        "x",
        "{",
        "[]",
        '"',
        "a: [",
        "version = 2",
        "\x00",
        "é" * 3,
        "--a",
        "0",
        "v1.99.0",
        "1.20",
        "/",
        "[Service]\nExecStart=",
    ]
)


def paths(data, prefix=()):
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        if isinstance(value, dict | list) and value:
            yield from paths(value, (*prefix, key))
        yield (*prefix, key)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_facts_whatever_make_it_fail(worker, data):
    facts = records.to_data(worker())
    every = sorted(paths(facts), key=repr)
    for _ in range(data.draw(st.integers(1, 4))):
        target, value = data.draw(st.sampled_from(every)), data.draw(WEIRD)
        place = facts
        try:
            for key in target[:-1]:
                place = place[key]
            old = place[target[-1]]
        except (KeyError, IndexError, TypeError):
            continue
        if isinstance(old, str) or (old is None and target[-1] == "content"):
            place[target[-1]] = value
        elif isinstance(old, bool):
            place[target[-1]] = not old
        elif isinstance(old, int | float):
            place[target[-1]] = data.draw(st.sampled_from([0, -1, 1 << 62]))
        elif isinstance(old, list):
            place[target[-1]] = []
    made = plan.make(records.from_data(Facts, facts), Settings(), "w1")
    assert "planner-fault" not in {finding.id for finding in made.findings}, made.findings
    assert plan_text.render(made)
    assert plan_text.summary(made)


def test_no_facts_at_all():
    for goal in ("migrate", "provision", "dance"):
        made = plan.make(Facts(), Settings(goal=goal), "w1")
        assert made.blockers
        assert "planner-fault" not in {finding.id for finding in made.findings}
