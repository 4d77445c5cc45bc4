"""Mode sidecar: a dockerd beside each job, as the runbook has it, on nodes that run containerd."""

import ipaddress
import json
import time

import pytest
from dind_lab import BUSYBOX, NAMESPACE, ONE, PRIVATE, REGISTRY, TWO

# From here to a pod, a packet of the node's network may be too large; nobody says so where ICMP is lost, as in many sites.
LOSE_ICMP = "iptables -w {} OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP"


@pytest.fixture(scope="module")
def applied(lab, runbook):
    return runbook("dind", "A dockerd beside each job")


@pytest.fixture(scope="module")
def builder(lab, applied):
    yield lab.ready_pod("builder", ONE)
    lab.remove("builder")


def test_a_second_run_changes_nothing(lab, applied):
    run = lab.dind()
    assert run.code == 0, run.output
    assert {host: counts["changed"] for host, counts in run.recap().items()} == {ONE: 0, TWO: 0}


def test_docker_run(lab, builder):
    assert lab.done(builder, "docker", "run", "--rm", BUSYBOX, "echo", "inside").strip() == "inside"


def test_docker_build_with_the_network_in_run(lab, builder):
    dockerfile = f"FROM {BUSYBOX}\nRUN timeout 20 wget -q -O /catalog http://{REGISTRY}/v2/_catalog && cat /catalog\n"
    script = f"mkdir -p /tmp/b && cat >/tmp/b/Dockerfile && DOCKER_BUILDKIT=0 docker build -t {PRIVATE}/built:1 /tmp/b"
    assert '"repositories"' in lab.done(builder, "sh", "-c", script, stdin=dockerfile)


def test_push_to_the_registry_with_tls_and_pull_from_it(lab, builder):
    """Its private CA is one that the node's Docker trusts; nobody has given it to dockerd."""
    lab.done(builder, "docker", "push", f"{PRIVATE}/built:1")
    lab.done(builder, "docker", "rmi", f"{PRIVATE}/built:1")
    lab.done(builder, "docker", "run", "--rm", f"{PRIVATE}/built:1", "test", "-s", "/catalog")


def test_two_containers_in_a_network_of_a_user(lab, builder):
    lab.done(builder, "docker", "network", "create", "pair")
    lab.done(
        builder,
        "docker",
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "pair",
        BUSYBOX,
        "httpd",
        "-f",
        "-p",
        "80",
        "-h",
        "/etc",
    )
    said = lab.done(
        builder,
        "docker",
        "run",
        "--rm",
        "--network",
        "pair",
        BUSYBOX,
        "timeout",
        "20",
        "wget",
        "-q",
        "-O-",
        "http://web/passwd",
    )
    assert said.startswith("root:")


def test_a_published_port_from_another_pod(lab, builder):
    lab.done(builder, "docker", "run", "-d", "-p", "8080:80", BUSYBOX, "httpd", "-f", "-p", "80", "-h", "/etc")
    client = lab.plain_pod("client", labels={"unshim.io/dind-client": "true"})
    said = lab.done(client, "wget", "-q", "-O-", f"http://{lab.address_of(builder)}:8080/passwd", seconds=20)
    assert said.startswith("root:")


def test_names_of_the_cluster_and_of_the_site_in_a_container(lab, builder):
    lab.done(builder, "docker", "run", "--rm", BUSYBOX, "nslookup", "kubernetes.default.svc.cluster.local", seconds=60)
    site = ["timeout", "20", "wget", "-q", "-O-", f"http://{REGISTRY}/v2/"]
    assert lab.done(builder, "docker", "run", "--rm", BUSYBOX, *site).strip() == "{}"


def test_its_networks_meet_nobody_elses(lab, builder):
    lab.done(builder, "docker", "network", "create", "one-more")
    networks = json.loads(
        lab.done(builder, "sh", "-c", "docker network inspect $(docker network ls -q --filter driver=bridge)")
    )
    own = [ipaddress.ip_network(one["Subnet"]) for network in networks for one in network["IPAM"]["Config"]]
    # The node's own Docker, stopped, has left its bridge there.
    lines = [
        line
        for line in lab.on(ONE, "ip route").splitlines()
        if not line.startswith("default") and "docker0" not in line
    ]
    others = [
        ipaddress.ip_network(one) for one in ("10.244.0.0/16", "10.96.0.0/12", *(line.split()[0] for line in lines))
    ]
    assert len(own) >= 2
    assert [(one, other) for one in own for other in others if one.overlaps(other)] == []


def test_its_storage_driver_and_limits(lab, builder):
    info = json.loads(lab.done(builder, "docker", "info", "--format", "{{json .}}"))
    assert info["Driver"] == "overlay2"
    assert info["CgroupDriver"] == "cgroupfs"
    soft, hard = lab.done(builder, "docker", "run", "--rm", BUSYBOX, "sh", "-c", "ulimit -Sn; ulimit -Hn").split()
    own = lab.done(builder, "sh", "-c", "ulimit -Hn", container="dind").strip()
    assert int(hard) == min(1048576, int(own.replace("unlimited", "1048576")))
    assert int(soft) == min(65536, int(hard))


def test_its_data_is_on_the_volume(lab, builder):
    lines = lab.done(builder, "cat", "/proc/self/mountinfo", container="dind").splitlines()
    (mount,) = (line for line in lines if line.split()[4] == "/var/lib/docker")
    assert "kubernetes.io~empty-dir/dind-data" in mount


def test_a_job_ends_and_so_does_its_dockerd(lab, applied):
    lab.job_pod("ends", ONE, command=["docker", "info"])
    assert lab.phase("ends", 120) == "Succeeded"
    lab.job_pod("fails", ONE, command=["docker", "run", "no-such-image"])
    assert lab.phase("fails", 120) == "Failed"
    lab.remove("ends", "fails")


# Memory and cgroups


def test_a_container_beyond_the_pods_limit_is_killed_and_dockerd_lives(lab, builder):
    before = lab.get("pod", builder, "-n", NAMESPACE)["status"]["containerStatuses"]
    eaten = lab.execute(builder, "docker", "run", "--name", "eater", BUSYBOX, "tail", "/dev/zero", seconds=90)
    assert eaten.returncode == 137, eaten
    state = json.loads(lab.done(builder, "docker", "inspect", "--format", "{{json .}}", "eater"))
    assert state["HostConfig"]["Memory"] == 0, "the limit is the pod's, not the container's own"
    assert lab.done(builder, "docker", "run", "--rm", BUSYBOX, "echo", "alive").strip() == "alive"
    after = lab.get("pod", builder, "-n", NAMESPACE)["status"]["containerStatuses"]
    assert [one["restartCount"] for one in after] == [one["restartCount"] for one in before]


def test_its_containers_are_in_the_pods_cgroup(lab, builder):
    uid = lab.get("pod", builder, "-n", NAMESPACE)["metadata"]["uid"]
    lab.done(builder, "docker", "run", "-d", BUSYBOX, "sleep", "31415")
    found = lab.cgroups_of(ONE, "sleep 31415")
    assert found and all(f"pod{uid}" in path for path in found), found


def whole_hierarchy(spec):
    """What a container sees of cgroup v2 when it is privileged: all of the machine's."""
    spec["volumes"].append({"name": "cgroup", "hostPath": {"path": "/sys/fs/cgroup"}})
    dind = next(one for one in spec["containers"] if one["name"] == "dind")
    dind["volumeMounts"].append({"name": "cgroup", "mountPath": "/sys/fs/cgroup"})
    return dind


def without_the_setting(spec):
    """As dockerd is by itself: its parent is /docker of whatever it sees."""
    edit = "sed 's|^    echo \"--cgroup-parent=.*|    echo --cgroup-parent=/docker|' /etc/dind/start.sh >/tmp/start.sh"
    whole_hierarchy(spec)["command"] = ["/bin/sh", "-c", f"{edit}; exec sh /tmp/start.sh run"]


@pytest.mark.parametrize(("change", "inside"), [(whole_hierarchy, True), (without_the_setting, False)])
def test_where_all_of_the_machine_is_seen_the_setting_keeps_them_in(change, inside, lab, applied):
    name = "seer-" + ("in" if inside else "out")
    lab.ready_pod(name, ONE, change=change)
    try:
        uid = lab.get("pod", name, "-n", NAMESPACE)["metadata"]["uid"]
        lab.done(name, "docker", "run", "-d", BUSYBOX, "sleep", "27182")
        found = lab.cgroups_of(ONE, "sleep 27182")
        assert found and all((f"pod{uid}" in path) is inside for path in found), found
    finally:
        lab.remove(name)


# MTU


@pytest.fixture(scope="module")
def icmp_is_lost(lab):
    for node in (TWO,):
        lab.on(node, LOSE_ICMP.format("-I"))
    yield
    for node in (TWO,):
        lab.on(node, LOSE_ICMP.format("-D"))


def large_file(lab):
    """Return the address of something that takes many full packets: the largest layer of the image dind."""
    root = "/var/lib/registry/docker/registry/v2/blobs"
    line = lab.on(lab.registry, f"find {root} -name data -size +8M -printf '%s %p\\n' | sort -n | tail -n 1")
    digest = line.split("/")[-2]
    # By its address: in a user's network dockerd forwards no name without a dot where ndots is set, as Kubernetes does.
    return f"http://{lab.address(lab.registry)}:5000/v2/dind/blobs/sha256:{digest}"


def given_mtu(value):
    def change(spec):
        dind = next(one for one in spec["containers"] if one["name"] == "dind")
        next(entry for entry in dind["env"] if entry["name"] == "DIND_MTU")["value"] = value

    return change


@pytest.mark.parametrize(("mtu", "seen", "arrives"), [("0", 1400, True), ("1500", 1500, False)])
def test_a_large_transfer_arrives_with_the_pods_mtu_and_stalls_without(mtu, seen, arrives, lab, applied, icmp_is_lost):
    name = f"mtu-{mtu}"
    lab.ready_pod(name, TWO, change=given_mtu(mtu))
    try:
        lab.done(name, "docker", "pull", BUSYBOX)  # by dockerd itself, which has the pod's own interface
        lab.done(name, "docker", "network", "create", "user")
        for network in ("bridge", "user"):
            words = ["docker", "run", "--rm", "--network", network, BUSYBOX]
            assert int(lab.done(name, *words, "cat", "/sys/class/net/eth0/mtu")) == seen
            began = time.monotonic()
            # A shell before it, since process 1 of a container ignores the signal of timeout.
            script = f"timeout 20 wget -q -O /dev/null {large_file(lab)}; exit $?"
            got = lab.execute(name, *words, "sh", "-c", script, seconds=60)
            print(f"MTU {seen}, network {network}: {got.returncode} after {time.monotonic() - began:.1f} s")
            assert (got.returncode == 0) is arrives, got
    finally:
        lab.remove(name)


# Who may what


def test_nothing_of_it_listens_in_the_pod_network(lab, builder):
    address = lab.address_of(builder)
    lab.kubectl("get", "namespace", "ci")
    stranger = lab.plain_pod("stranger", "ci")
    for port in ("2375", "2376"):
        refused = lab.execute(stranger, "nc", "-w", "3", address, port, namespace="ci", seconds=10, stdin="")
        assert refused.returncode != 0, port
    listening = lab.done(builder, "cat", "/proc/net/tcp", container="dind").splitlines()[1:]
    # 0A: listening. 8080 is what a test has published.
    ports = {int(line.split()[1].split(":")[1], 16) for line in listening if line.split()[3] == "0A"}
    assert ports <= {8080}


def test_its_account_may_do_nothing_and_has_no_token(lab, builder):
    said = lab.kubectl("auth", "can-i", "--list", f"--as=system:serviceaccount:{NAMESPACE}:dind", "-n", NAMESPACE)
    anybody = lab.kubectl("auth", "can-i", "--list", "--as=system:serviceaccount:default:nobody", "-n", NAMESPACE)
    assert sorted(said.split()) == sorted(anybody.split()), (
        "more than every account may: ask what it may itself, and for versions"
    )
    missing = lab.execute(builder, "ls", "/var/run/secrets/kubernetes.io/serviceaccount", container="dind")
    assert missing.returncode != 0


def test_the_node_is_labelled_and_what_it_needs_is_kept(lab, applied):
    for node in (ONE, TWO):
        assert lab.get("node", node)["metadata"]["labels"]["unshim.io/dind"] == "true"
        assert "fs.inotify.max_user_instances" in lab.on(node, "cat /etc/sysctl.d/99-unshim-dind.conf")
        assert int(lab.on(node, "sysctl -n fs.inotify.max_user_instances")) >= 512
