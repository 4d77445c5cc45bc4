"""What keeps containers as they were on Docker, where it cannot be carried or somebody else has settled it."""

import json

import pytest

from unshim import plan, rlimits
from unshim.plan_model import Settings

CONFIG = "/etc/containerd/config.toml"
DAEMON = "/etc/docker/daemon.json"
CRI = 'plugins."io.containerd.grpc.v1.cri"'
SPEC = json.dumps({"ociVersion": "1.0.2-dev", "process": {"cwd": "/"}})
LOW = {"nofile": [1024, 2048]}
HIGH = {"nofile": [1048576, 1048576]}
LIMITS = {"limits": {"pod": LOW, "containerd": HIGH}, "containerd": {"oci_spec": SPEC}}


def docker(**settings):
    return {"docker": {"default_runtime": "runc"}, "files": {DAEMON: {"content": json.dumps(settings)}}}


def config(text):
    return {"files": {CONFIG: {"content": "version = 2\n" + text}}}


def both(one, other):
    return {key: {**one.get(key, {}), **other.get(key, {})} for key in {**one, **other}}


CASES = {
    "default runtime that is gone": (
        both(docker(**{"default-runtime": "x", "runtimes": {"x": {"path": "/opt/x"}}}), {"programs": {"/opt/x": ""}}),
        "default-runtime-unusable", "block", ["/opt/x", "pods would not start"],
    ),
    "another runtime that is gone": (
        both(docker(runtimes={"x": {"path": "/opt/x"}}), {"programs": {"/opt/x": ""}}),
        "runtime-not-carried", "warn", ["runtime x", "/opt/x"],
    ),
    "a runtime of the same name": (
        both(docker(runtimes={"x": {"path": "/opt/x"}}), config(
            f'[{CRI}.containerd.runtimes.x]\nruntime_type = "io.containerd.runc.v2"\n'
            f'[{CRI}.containerd.runtimes.x.options]\nBinaryName = "/opt/y"\n')),
        "runtime-exists", "warn", ["/opt/x", "/opt/y"],
    ),
    "another default of containerd's": (
        both(docker(), config(
            f'[{CRI}.containerd]\ndefault_runtime_name = "x"\n'
            f'[{CRI}.containerd.runtimes.x]\nruntime_type = "io.containerd.runc.v2"\n')),
        "default-runtime-kept", "warn", ["makes x the default"],
    ),
    "the default runtime of old": (
        config(f'[{CRI}.containerd.default_runtime]\nruntime_type = "io.containerd.runc.v1"\n'),
        "deprecated-default-runtime", "block", ["default_runtime"],
    ),
    "ulimits that are none": (docker(**{"default-ulimits": {"nofiles": 1}}), "ulimit-not-understood", "warn", ["nofiles: 1"]),
    "no ctr": (
        {"limits": LIMITS["limits"]}, "limits-not-carried", "warn", ["nofile 1024:2048", "nofile 1048576:1048576", "ctr oci spec"],
    ),
    "a base_runtime_spec of its own": (
        both(LIMITS, config(
            f'[{CRI}.containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\nbase_runtime_spec = "/etc/own.json"\n')),
        "base-runtime-spec-kept", "warn", ["runc", "/etc/own.json"],
    ),
    "XFS without types": (
        {"mounts": {"/var/lib/containerd": {"filesystem": "xfs", "ftype": "0"}}, "containerd": {"snapshotters": {"overlayfs": "skip"}}}, "snapshotter-unusable", "block", ["ftype=0"],
    ),
    "an overlay": (
        {"mounts": {"/var/lib/containerd": {"filesystem": "overlay"}}, "containerd": {"snapshotters": {"overlayfs": "error"}}}, "snapshotter-unusable", "block", ["/var/lib/containerd"],
    ),
    "containerd not yet there": (
        both(LIMITS, {"containerd": {"installed": False, "version": "", "oci_spec": ""}}), "limits-planned-later", "info", [],
    ),
    "an import that is missing": (
        config('imports = ["/etc/containerd/x.toml"]\n') | {
            "files": {CONFIG: {"content": 'imports = ["/x.toml"]\nversion = 2\n'}, "/x.toml": {"kind": "missing"}}},
        "containerd-import-missing", "block", ["/x.toml"],
    ),
    "an import that disables CRI": (
        {"files": {
            CONFIG: {"content": 'imports = ["/x.toml"]\nversion = 2\n'},
            "/x.toml": {"kind": "file", "content": 'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'}}},
        "containerd-import-disables-cri", "block", ["/x.toml"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_finding(worker, name):
    changes, id, severity, words = CASES[name]
    assert id not in {finding.id for finding in plan.make(worker(), Settings(), "w1").findings}
    made = plan.make(worker(changes), Settings(), "w1")
    found = [finding for finding in made.findings if finding.id == id]
    assert [finding.severity for finding in found] == [severity], [finding.message for finding in made.findings]
    for word in words:
        assert word in found[0].message
    assert "planner-fault" not in {finding.id for finding in made.findings}


def changed(made, path):
    return next((change.after for change in made.files if change.path == path and change.stage == "prepare"), None)


def test_limits_that_containerd_gives_anyway_need_no_file(worker):
    same = {**LIMITS, "limits": {"pod": HIGH, "containerd": HIGH}}
    made = plan.make(worker(same), Settings(), "w1")
    assert changed(made, rlimits.SPEC) is None
    assert "base_runtime_spec" not in changed(made, CONFIG)


def test_without_a_pod_to_measure_the_setting_counts(worker):
    ulimits = {"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 5, "Hard": 6}}}
    made = plan.make(worker(both(docker(**ulimits), {**LIMITS, "limits": {"containerd": HIGH}})), Settings(), "w1")
    assert rlimits.limits_of_spec(changed(made, rlimits.SPEC)) == {"nofile": (5, 6)}
    assert rlimits.SPEC in changed(made, CONFIG)


def test_limits_measured_earlier_stay_when_docker_is_stopped(worker):
    written = rlimits.base_spec(SPEC, {"nofile": (1024, 2048)})
    facts = worker(
        {**LIMITS, "limits": {"containerd": HIGH}, "files": {rlimits.SPEC: {"kind": "file", "content": written}}}
    )
    made = plan.make(facts, Settings(), "w1")
    assert changed(made, rlimits.SPEC) is None
    assert rlimits.SPEC in changed(made, CONFIG)


def test_a_low_limit_of_open_files_never_becomes_the_daemons(worker):
    old = {"version": "1.4.13"}
    facts = worker(
        {**LIMITS, "containerd": old, "packages": {"containerd": {"version": "1.4.13-1", "candidate": "1.4.13-1"}}}
    )
    made = plan.make(facts, Settings(), "w1")
    assert changed(made, rlimits.DROP_IN) is None
    (finding,) = [finding for finding in made.findings if finding.id == "limits-not-carried"]
    assert "1.5" in finding.remedy


@pytest.mark.parametrize("value, line", [(True, True), (False, False), ("yes", False), (None, False)])
def test_selinux(worker, value, line):
    made = plan.make(worker(docker(**{"selinux-enabled": value})), Settings(), "w1")
    assert ("enable_selinux = true" in changed(made, CONFIG)) is line


@pytest.mark.parametrize("value, line", [(7, True), (0, False), (True, False), ("7", False)])
def test_downloads_at_a_time(worker, value, line):
    made = plan.make(worker(docker(**{"max-concurrent-downloads": value})), Settings(), "w1")
    assert ("max_concurrent_downloads" in changed(made, CONFIG)) is line


@pytest.mark.parametrize(
    "pod, drop_in, told",
    [
        ([65536, 65536], "LimitNOFILE=65536\n", False),
        ([20000, 40000], None, True),  # systemd 219 knows one number only, and passes over the line
    ],
)
def test_limits_of_an_old_containerd_on_rhel_7(worker, pod, drop_in, told):
    changes = {
        "os": {"id": "centos", "id_like": ["rhel", "fedora"], "version_id": "7", "package_manager": "yum"},
        "packages": {"containerd": {"version": "1.4.13-3.1.el7"}},
        "containerd": {"version": "1.4.13"},
        "limits": {"pod": {"nofile": pod}, "containerd": {"nofile": [1048576, 1048576]}},
    }
    made = plan.make(worker(changes), Settings(), "w1")
    text = next((change.after for change in made.files if change.path == rlimits.DROP_IN), None)
    assert (text is None) is (drop_in is None)
    assert drop_in is None or text.endswith(drop_in)
    assert ("limits-not-carried" in {finding.id for finding in made.findings}) is told
