"""Mode sidecar: a dockerd beside each job, as the runbook has it, on nodes that run containerd."""

import ipaddress
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from dind_lab import BUSYBOX, NAMESPACE, REGISTRY, WORKER
from docker_uses import PUBLISHED, USES, User

# From here to a pod, a packet of the node's network may be too large; nobody says so where ICMP is lost, as in many sites.
LOSE_ICMP = "iptables -w {} OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP"


def whole_hierarchy(spec):
    """What a container sees of cgroup v2 when it is privileged: all of the machine's."""
    spec["volumes"].append({"name": "cgroup", "hostPath": {"path": "/sys/fs/cgroup"}})
    dind = next(one for one in spec["containers"] if one["name"] == "dind")
    dind["volumeMounts"].append({"name": "cgroup", "mountPath": "/sys/fs/cgroup"})
    return dind


def without_our_settings(spec):
    """As dockerd is by itself: its parent is /docker of whatever it sees, its networks' MTU is 1500."""
    dind = whole_hierarchy(spec)
    edit = "sed 's|^    echo \"--cgroup-parent=.*|    echo --cgroup-parent=/docker|' /etc/dind/start.sh >/tmp/start.sh"
    dind["command"] = ["/bin/sh", "-c", f"{edit}; exec sh /tmp/start.sh run"]
    next(entry for entry in dind["env"] if entry["name"] == "DIND_MTU")["value"] = "1500"


@pytest.fixture(scope="module")
def pods(lab, sidecars):
    """All at once, since most of a start is waiting."""
    lab.job_pod("builder")
    lab.job_pod("seer", change=whole_hierarchy)
    lab.job_pod("unset", change=without_our_settings)
    lab.job_pod("ends", command=["docker", "info"])
    lab.job_pod("fails", command=["sh", "-c", "docker info && exit 7"])
    yield
    lab.remove("builder", "seer", "unset", "ends", "fails")


@pytest.fixture(scope="module")
def builder(lab, pods):
    lab.wait_ready("builder")
    return "builder"


@pytest.fixture(scope="module")
def seer(lab, pods):
    lab.wait_ready("seer")
    return "seer"


@pytest.fixture(scope="module")
def unset(lab, pods):
    lab.wait_ready("unset")
    return "unset"


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_docker_in_a_job(use, lab, builder, visitor):
    use(User(lab, builder, dockerd=builder))


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
        for line in lab.on(WORKER, "ip route").splitlines()
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


def test_a_job_ends_and_so_does_its_dockerd(lab, pods):
    assert lab.phase("ends") == "Succeeded"
    assert lab.phase("fails") == "Failed"


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


def cgroups(lab, pod):
    """Return the pod's id, and the cgroups of a container that its dockerd has started, as the node sees them."""
    number = str(10000 + int(lab.get("pod", pod, "-n", NAMESPACE)["metadata"]["uid"][:6], 16))
    lab.done(pod, "docker", "run", "-d", "--stop-signal", "KILL", BUSYBOX, "sleep", number)
    found = lab.cgroups_of(f"sleep {number}")
    assert found
    return "pod" + lab.get("pod", pod, "-n", NAMESPACE)["metadata"]["uid"], found


def test_its_containers_are_in_the_pods_cgroup(lab, builder):
    pod, found = cgroups(lab, builder)
    assert all(pod in path for path in found), found


def test_where_all_of_the_machine_is_seen_the_setting_keeps_them_in(lab, seer, unset):
    pod, found = cgroups(lab, seer)
    assert all(pod in path for path in found), found
    pod, found = cgroups(lab, unset)
    assert not any(pod in path for path in found), f"nothing is to be kept in: {found}"


# MTU


@pytest.fixture(scope="module")
def icmp_is_lost(lab):
    lab.on(WORKER, LOSE_ICMP.format("-I"))
    yield
    lab.on(WORKER, LOSE_ICMP.format("-D"))


def large_file(lab):
    """Return the address of something that takes many full packets: the largest layer of the image dind."""
    root = "/var/lib/registry/docker/registry/v2/blobs"
    line = lab.on(lab.registry, f"find {root} -name data -size +8M -printf '%s %p\\n' | sort -n | tail -n 1")
    digest = line.split("/")[-2]
    # By its address: in a user's network dockerd forwards no name without a dot where ndots is set, as Kubernetes does.
    return f"http://{lab.address(lab.registry)}:5000/v2/dind/blobs/sha256:{digest}"


def fetched(lab, pod, network):
    """Return the MTU of a container in a network, and with what code it got a small and a large file."""
    large = large_file(lab)
    small = large.partition("/v2/")[0] + "/v2/"
    # A shell before it, since process 1 of a container ignores the signal of timeout.
    script = f"cat /sys/class/net/eth0/mtu; for url in {small} {large}; do timeout 10 wget -q -O /dev/null $url; echo $?; done"
    words = ["docker", "run", "--rm", "--network", network, BUSYBOX, "sh", "-c", script]
    return tuple(map(int, lab.done(pod, *words).split()))


def transfers(lab, pod):
    """Return {network: what :func:`fetched` has} of docker0 and of a network that a user makes."""
    lab.done(pod, "docker", "network", "create", "user")
    networks = ("bridge", "user")
    with ThreadPoolExecutor() as pool:
        return dict(zip(networks, pool.map(lambda network: fetched(lab, pod, network), networks), strict=True))


def test_a_large_transfer_arrives_with_the_mtu_of_the_pods_network(lab, builder, icmp_is_lost):
    assert transfers(lab, builder) == {"bridge": (1400, 0, 0), "user": (1400, 0, 0)}


def test_a_large_transfer_stalls_without(lab, unset, icmp_is_lost):
    """143: ended by the signal of timeout."""
    assert transfers(lab, unset) == {"bridge": (1500, 0, 143), "user": (1500, 0, 143)}


# Who may what


def test_nothing_of_it_listens_in_the_pod_network(lab, builder, stranger):
    address = lab.address_of(builder)
    for port in ("2375", "2376"):
        refused = lab.execute(stranger, "nc", "-w", "3", address, port, namespace="ci", seconds=10, stdin="")
        assert refused.returncode != 0, port
    assert lab.listening(builder) <= {PUBLISHED}


def test_its_account_may_do_nothing_and_has_no_token(lab, builder):
    said = lab.kubectl("auth", "can-i", "--list", f"--as=system:serviceaccount:{NAMESPACE}:dind", "-n", NAMESPACE)
    anybody = lab.kubectl("auth", "can-i", "--list", "--as=system:serviceaccount:default:nobody", "-n", NAMESPACE)
    assert sorted(said.split()) == sorted(anybody.split()), (
        "more than every account may: ask what it may itself, and for versions"
    )
    missing = lab.execute(builder, "ls", "/var/run/secrets/kubernetes.io/serviceaccount", container="dind")
    assert missing.returncode != 0


def test_the_node_is_labelled_and_what_it_needs_is_kept(lab, sidecars):
    assert lab.get("node", WORKER)["metadata"]["labels"]["unshim.io/dind"] == "true"
    assert "fs.inotify.max_user_instances" in lab.on(WORKER, "cat /etc/sysctl.d/99-unshim-dind.conf")
    assert int(lab.on(WORKER, "sysctl -n fs.inotify.max_user_instances")) >= 512
