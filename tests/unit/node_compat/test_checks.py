"""Every check that a node can show: ok where it is, caught where it is not, by itself and by no other."""

import re
from pathlib import Path

import pytest
from observed_nodes import (  # fmt: skip
    CONTAINERD,
    DEFAULT,
    DOCKER,
    LIMITS,
    METRICS,
    MOUNTS,
    NOTHING,
    RESOLVER,
    STATUS,
    on_containerd,
    on_docker,
    sysctls,
)

from unshim.node_compat import evaluation, judge_containers
from unshim.node_compat.model import OUTCOMES, Observed, Run
from unshim.node_compat.registry import BY_ID, CHECKS, GROUPS

DIFFERENT = {"C14", "C15", "C20", "C55"}  # of a node that was moved well
UNSEEN_ON_DOCKER = {"C01", "C03", "C04", "C05", "C06", "C08", "C09", "C10", "C31", "C32", "C33", "C34", "C35", "C56"}


def kept(observed, **changed):
    results = evaluation.judge(observed)
    return Run("worker-1", observed.runtime, "1", "v1.20.2", "i", "t", False, results, observed, **changed)


def outcomes(results):
    return {result.id: result.outcome for result in results}


def without(mask, number):
    return f"{int(mask, 16) & ~(1 << number):016x}"


def status(bnd=DEFAULT, seccomp=0):
    return {"plain.status": STATUS.format(eff=bnd, bnd=bnd, nnp=0, seccomp=seccomp)}


def restricted(eff=NOTHING, bnd=NOTHING, nnp=1, seccomp=2):
    return {"user.status": STATUS.format(eff=eff, bnd=bnd, nnp=nnp, seccomp=seccomp)}


#: (the check that must catch it, what is seen instead, what its evidence must name)
BROKEN = [
    ("C01", {"node.cri": "failed: no answer at /run/containerd/containerd.sock"}, "no answer"),
    ("C01", {"node.cri": "v1 containerd 1.6.20 NetworkReady=false RuntimeReady=true"}, "NetworkReady=false"),
    ("C01", {"node.cri-plugin": "error"}, "error"),
    ("C02", {"plain.cgroup": "1:name=systemd:/system.slice/kubepods-burstable-pod1.slice:cri-containerd:1"}, "drivers"),
    ("C03", {"node.images": "registry/busybox:1"}, "k8s.gcr.io/pause:3.2"),
    ("C04", {"node.complaints": 'level=warning msg="Ignoring unknown key in TOML"'}, "unknown key"),
    ("C04", {"node.config-problem": "containerd config dump is not TOML: x"}, "TOML"),
    ("C06", {"node.entries": CONTAINERD["node.entries"].replace("660", "666")}, "666"),
    ("C06", {"node.entries": "777 root:root directory /run/containerd\n660 root:root socket /run/containerd/containerd.sock"}, "777"),
    ("C06", {"node.entries": "711 root:root directory /run/containerd"}, "nothing"),
    ("C07", {"node.sysctls": "net.ipv4.ip_forward 0"}, "ip_forward is 0"),
    ("C07", {"node.modules": "overlay"}, "br_netfilter"),
    ("C08", {"node.docker": "absent", "node.docker-chains": "DOCKER\nDOCKER-USER"}, "DOCKER-USER"),
    ("C08", {"node.docker": "absent", "node.docker-links": "docker0"}, "docker0"),
    ("C09", {"node.entries": CONTAINERD["node.entries"] + "\n755 root:root directory /run/docker.sock"}, "directory"),
    ("C10", {"node.docker": "running"}, "beside"),
    ("C11", {"plain.limits": LIMITS.format(1024, 524288)}, "open files 1048576 1048576 -> 1024 524288"),
    ("C11", {"plain.limits": LIMITS.format(1048576, 1048576).replace("Max processes             unlimited ", "Max processes             100       ")}, "processes"),
    ("C12", status(without(DEFAULT, 13)), "NET_RAW"),
    ("C12", status(f"{int(DEFAULT, 16) | 1 << 21:016x}"), "SYS_ADMIN"),
    ("C13", restricted(seccomp=0), "RuntimeDefault"),
    ("C14", {"plain.apparmor": "unconfined"}, "docker-default"),
    ("C17", {"plain.mounts": MOUNTS.replace(" master:1", "")}, "HostToContainer"),
    ("C17", {"plain.mounts": MOUNTS.replace("/data rw,relatime", "/data rw,relatime shared:4")}, "takes part"),
    ("C19", {"plain.volumes": "from-init made of unshim-token-1\nread-only refused"}, "subPath"),
    ("C19", {"plain.volumes": "from-init made of unshim-token-1\nsub-path yes\nread-only written"}, "read-only"),
    ("C20", {"pod.log": '{"longest": 16384, "stdout": true, "stderr": true}'}, "16384"),
    ("C20", {"pod.log": '{"longest": 20000, "stdout": true, "stderr": false}'}, "stderr"),
    ("C20", {"pod.log-lines": DOCKER["pod.log-lines"]}, "format"),
    ("C20", {"pod.log-link": ""}, "/var/log/containers"),
    ("C21", {"pod.slow": "ready after a probe that took longer than it may"}, "not enforced"),
    ("C22", {"pod.exec": "exit code 0, stdout 'out\\nerr', stderr ''"}, "exit code 0"),
    ("C23", {"plain.resolver": RESOLVER.replace("10.96.0.10", "8.8.8.8")}, "8.8.8.8"),
    ("C23", {"plain.resolver": RESOLVER.replace("ndots:3", "ndots:5")}, "ndots:3"),
    ("C23", {"pod.resolved": "failed: nslookup could not resolve kubernetes"}, "could not"),
    ("C24", {"host.host-port": "no answer at 10.213.0.11 port 20123"}, "portmap"),
    ("C24", {"plain.interfaces": "eth0 1450 0x1003\nlo 65536 0x8"}, "loopback"),
    ("C25", {"plain.interfaces": "eth0 1500 0x1003\nlo 65536 0x9"}, "1450 -> 1500"),
    ("C26", {"node.proxies-containerd": "NO_PROXY"}, "HTTPS_PROXY"),
    ("C27", {"pull.images": "pulled a:1\nfailed b:1: ErrImagePull: x509"}, "x509"),
    ("C30", {"pull.digest": "failed a@sha256:1: ErrImagePull: not found"}, "not found"),
    ("C32", {"node.pinned": ""}, "not pinned"),
    ("C33", {"node.kill-mode": "control-group"}, "control-group"),
    ("C34", {"node.reboot-problems": "containerd.service is disabled"}, "disabled"),
    ("C35", {"node.runtimes": "runc"}, "kata"),
    ("C38", {"pod.metrics": "container_cpu_usage_seconds_total"}, "container_memory_working_set_bytes"),
    ("C39", {"node.shown-runtime": "docker://20.10.24"}, "docker://20.10.24"),
    ("C41", {"pod.address-gate": "failed 172.17.0.2 is outside the node's podCIDR"}, "172.17.0.2"),
    ("C42", {"plain.mounts": MOUNTS.replace("/proc/kcore", "/proc/kcor")}, "/proc/kcore"),
    ("C42", {"plain.mounts": MOUNTS.replace("/proc/scsi", "/proc/scs")}, "/proc/scsi"),
    ("C42", {"plain.mounts": MOUNTS.replace("/proc/sys ro", "/proc/sys rw")}, "/proc/sys"),
    ("C43", {"user.identity": "0 0 0"}, "65534"),
    ("C43", restricted(nnp=0), "allowPrivilegeEscalation"),
    ("C43", restricted(bnd=DEFAULT), "capabilities"),
    ("C44", {"plain.mounts": MOUNTS.replace("shm rw,size=65536k", "shm rw,size=1048576k")}, "64 MiB -> 1024 MiB"),
    ("C45", {"plain.variables": "HOSTNAME\nPATH"}, "HOME"),
    ("C45", {"plain.value": "made of $(UNSHIM_COMPAT_TOKEN)"}, "$(UNSHIM"),
    ("C46", {"plain.hostname": "worker-1"}, "worker-1"),
    ("C46", {"plain.hosts": "127.0.0.1 localhost\n10.244.1.7\tunshim-compat-1\n"}, "compat.unshim.invalid"),
    ("C47", {"plain.first-process": "/pause"}, "/pause"),
    ("C48", {"plain.sysctls": sysctls(1024, 0).replace("20000", "32768")}, "32768 30000"),
    ("C49", {"pod.greedy": "1 Error"}, "1 Error"),
    ("C50", {"plain.volumes": "from-init \nsub-path yes\nread-only refused"}, "''"),
    ("C51", {"pod.ends": "7 Error"}, "said before the end"),
    ("C52", {"pod.deleted": "31.2 plain=0 slow=137 user=0"}, "slow: exit code 137"),
    ("C52", {"pod.deleted": ""}, "not gone"),
    ("C53", {"pod.console": "in\nTERM=xterm"}, "none"),
    ("C53", {"pod.console": "in\nout\nTERM="}, "xterm"),
    ("C54", {"host.hostname": "unshim-compat-host-1"}, "unshim-compat-host-1"),
    ("C54", {"host.interfaces": "eth0 1450 0x1003\nlo 65536 0x9"}, "network of its own"),
    ("C56", {"node.cni-plugins": "/wrong/loopback", "node.cni-directories": "/wrong /etc/cni/net.d"}, "/wrong"),
    ("C56", {"node.cni-network": ""}, "no usable"),
]  # fmt: skip

#: What is documented to differ, or cannot be told: (check, seen before instead, seen now instead, outcome, words)
OTHER = [
    ("C04", {}, {"node.complaints": "DEPRECATION io.containerd.deprecation/cri-v1alpha2"}, "differs", "deprecated"),
    ("C05", {}, {"node.metrics-address": "0.0.0.0:1338"}, "differs", "0.0.0.0"),
    ("C05", {}, {"node.metrics-address": ""}, "not-shown", "no address"),
    ("C08", {}, {"node.docker-chains": "DOCKER-USER"}, "differs", "commit.yml"),
    ("C08", {}, {"node.forward-policy": "-P FORWARD DROP"}, "differs", "DROP"),
    ("C13", {}, status(seccomp=2), "differs", "0 -> 2"),
    ("C13", status(seccomp=2), status(seccomp=0), "broken", "2 -> 0"),
    ("C14", {"plain.apparmor": "unconfined"}, {"plain.apparmor": "\0"}, "not-shown", "no container"),
    ("C15", {"plain.sysctls": sysctls(1024, 0)}, {}, "ok", "1024"),
    # A kubelet that was slow when all had ended.
    ("C52", {}, {"pod.deleted": "31.2"}, "not-shown", "did not tell"),
    ("C52", {}, {"pod.deleted": "4.2"}, "ok", "4 s"),
    ("C52", {}, {"pod.deleted": "49.8 plain=0 slow=0 user=0"}, "ok", "50 s"),
    ("C21", {"pod.slow": "ready after a probe"}, {}, "differs", "not enforced before"),
    ("C21", {"pod.slow": "ready after a probe"}, {"pod.slow": "ready after a probe"}, "ok", "as before"),
    ("C24", {}, {"host.host-port": "none"}, "not-shown", "nc"),
    ("C31", {}, {"node.moby-tasks": "2"}, "differs", "2 containers"),
    ("C38", {"pod.metrics": METRICS + "\ncontainer_fs_usage_bytes"}, {}, "differs", "container_fs_usage_bytes"),
    ("C38", {"pod.metrics": METRICS + "\ncontainer_spec_cpu_period"}, {}, "broken", "container_spec_cpu_period"),
    ("C42", {"plain.mounts": MOUNTS + "628 621 0:60 / /proc/asound ro - tmpfs tmpfs ro\n"}, {}, "differs", "asound"),
    ("C47", {"plain.first-process": "/sbin/docker-init -- /bin/sh -c x"}, {}, "differs", "docker-init"),
    ("C55", {"plain.sysctls": sysctls(0, 0)}, {"plain.sysctls": sysctls(0, 1)}, "broken", "off"),
    ("C41", {}, {"pod.start": "not running after 120 s; events: FailedCreatePodSandBox: failed to find plugin"}, "broken", "find plugin"),
]  # fmt: skip


def test_a_node_on_docker_has_nothing_broken():
    found = outcomes(kept(on_docker()).results)
    assert {name for name, outcome in found.items() if outcome == "broken"} == set()
    elsewhere = {check.id for check in CHECKS if check.judge is None}
    compared = {"C11", "C15", "C26", "C55"}
    assert {n for n, o in found.items() if o == "not-shown"} == elsewhere | compared | UNSEEN_ON_DOCKER


def test_what_the_kernel_does_not_have_need_not_be_hidden():
    without_kcore = {"plain.mounts": MOUNTS.replace("/proc/kcore", "/proc/kcor")}
    assert outcomes(kept(on_docker(**without_kcore)).results)["C42"] == "broken"
    assert outcomes(kept(on_docker(**without_kcore, **{"plain.to-hide": "/proc/scsi"})).results)["C42"] == "ok"


def test_a_node_that_was_moved_well_differs_only_as_documented():
    results = evaluation.judge(on_containerd(), kept(on_docker()))
    elsewhere = {check.id for check in CHECKS if check.judge is None}
    expected = (
        {check.id: "ok" for check in CHECKS}
        | dict.fromkeys(DIFFERENT, "differs")
        | dict.fromkeys(elsewhere, "not-shown")
    )
    assert outcomes(results) == expected, [r for r in results if r.outcome != expected[r.id]]
    assert all(result.evidence for result in results)


@pytest.mark.parametrize("check,seen,words", BROKEN, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_broken_is_caught_by_its_check_and_no_other(check, seen, words):
    earlier = kept(on_docker())
    usual = outcomes(evaluation.judge(on_containerd(), earlier))
    results = {result.id: result for result in evaluation.judge(on_containerd(seen), earlier)}
    changed = {name for name, outcome in outcomes(results.values()).items() if outcome != usual[name]}
    # A wrong container's list of limits and the like is one thing; the same text may serve two checks.
    assert results[check].outcome == "broken" and words in results[check].evidence, results[check]
    assert changed == {check}
    assert results[check].is_regression


@pytest.mark.parametrize(
    "check,was,seen,outcome,words", OTHER, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_differs_or_cannot_be_told(check, was, seen, outcome, words):
    results = {result.id: result for result in evaluation.judge(on_containerd(seen), kept(on_docker(**was)))}
    assert (results[check].outcome, words in results[check].evidence) == (outcome, True), results[check]


def test_every_check_that_a_node_can_show_has_a_case_in_which_it_is_not_ok():
    tried = {check for check, *_ in BROKEN} | {check for check, *_ in OTHER}
    assert tried == {check.id for check in CHECKS if check.judge}


def test_what_was_broken_before_is_told_and_is_no_regression():
    earlier = kept(on_docker(**{"pod.greedy": "1 Error"}))
    results = {result.id: result for result in evaluation.judge(on_containerd({"pod.greedy": "1 Error"}), earlier)}
    assert (results["C49"].outcome, results["C49"].before, results["C49"].is_regression) == ("broken", "broken", False)


def test_what_was_not_seen_is_not_shown_with_the_reason():
    reasons = dict.fromkeys(("pod", "plain", "user", "host", "pull"), "no image")
    values = {name: text for name, text in CONTAINERD.items() if name.startswith("node.")}
    results = evaluation.judge(Observed("containerd", values, reasons), kept(on_docker()))
    told = {result.id: result.evidence for result in results if result.outcome == "not-shown"}
    assert {name for name in told if told[name] == "no image"} == {
        check.id for check in CHECKS if check.judge and not check.quick
    }
    assert {result.id for result in results if result.outcome == "broken"} == set()


def test_a_value_that_the_earlier_run_lacks_is_judged_alone():
    earlier = kept(Observed("docker", {}, {}))
    found = {result.id: result for result in evaluation.judge(on_containerd(), earlier)}
    assert found["C12"].outcome == "ok" and found["C12"].before == "not-shown"
    assert found["C11"].outcome == "not-shown" and "no earlier run" in found["C11"].evidence


def test_what_cannot_be_read_is_not_shown_and_no_traceback():
    found = {
        result.id: result for result in evaluation.judge(on_containerd({"plain.status": "CapBnd:\tzz\nSeccomp:\t0"}))
    }
    assert found["C12"].outcome == "not-shown" and "cannot be read" in found["C12"].evidence


def test_a_quick_run_has_the_quick_checks_and_needs_no_pod():
    values = {name: text for name, text in CONTAINERD.items() if name.startswith("node.")}
    results = evaluation.judge(Observed("containerd", values), quick=True)
    assert [result.id for result in results] == [check.id for check in CHECKS if check.quick]
    assert set(outcomes(results).values()) <= {"ok", "not-shown"}


def test_ids_are_unique_and_c01_to_c40_are_all_there():
    assert len(BY_ID) == len(CHECKS) and set(GROUPS) == {
        "Node", "Containers", "Volumes", "Network", "Running and ending", "Images", "Shown elsewhere",
    }  # fmt: skip
    assert {f"C{number:02}" for number in range(1, 41)} <= set(BY_ID)
    for check in CHECKS:
        assert bool(check.judge) != bool(check.elsewhere), check.id
        assert check.source and check.guards and re.fullmatch(r"C\d\d", check.id)


def test_capability_names_are_the_kernels():
    """Where this machine has the kernel's header, each number is checked against it."""
    header = Path("/usr/include/linux/capability.h")
    if not header.exists():
        pytest.skip("no kernel headers here")
    numbers = {int(n): name for name, n in re.findall(r"#define CAP_(\w+)\s+(\d+)$", header.read_text(), re.MULTILINE)}
    known = dict(enumerate(judge_containers.CAPABILITIES))
    assert {number: known.get(number) for number in numbers} == numbers


def test_outcomes_are_those_that_reports_have_words_for():
    assert set(outcomes(evaluation.judge(on_containerd(), kept(on_docker()))).values()) <= set(OUTCOMES)
