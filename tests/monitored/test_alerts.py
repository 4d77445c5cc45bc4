"""Things go wrong on the machine, and Prometheus says so. In this order: the quiet machine first."""

import pytest
from prometheus_process import wait_for

from unshim.monitoring import metrics

IMAGE = "unshim.invalid/busybox:1"
SOCKET = "/run/dind/docker.sock"
HOST_DIRECTORIES = ("usr", "bin", "sbin", "lib", "lib64", "etc")


def test_every_target_is_up_and_nothing_of_the_machine_fires(machine):
    machine.collect()
    wait_for(lambda: set(machine.prometheus.targets().values()) == {"up"}, 120, "every target is up")
    assert {job for job, _ in machine.prometheus.targets()} == {"containerd", "node", "kubelet"}
    assert machine.has('unshim_kubelet_runtime_info{runtime="containerd"}')
    # Docker was asked for by a socket, and is not there yet.
    assert machine.firing() <= {"DindDown"}


@pytest.mark.parametrize(
    "metric", [one for one in metrics.METRICS if one.served_by == "kubelet"], ids=lambda one: one.name
)
def test_the_kubelet_serves_what_the_table_says(machine, metric):
    series = metric.name + ("_bucket" if metric.kind == "histogram" else "")
    if "errors" in series:  # not there before the first
        machine.pod("no-such-image", {"image": "127.0.0.1:9/shop/web:1"})
    wait_for(lambda: machine.has(f'{series}{{job="kubelet"}}'), 120, series)


def test_collector_serves_what_the_table_says(machine):
    wanted = {one.name for one in metrics.METRICS if one.served_by == "unshim"}
    only_with = {name for name in wanted if name.startswith(("unshim_dind_", "unshim_migration_"))} - {"unshim_dind_up"}
    assert {name for name in wanted - only_with if not machine.has(name)} == set()


def test_images_from_a_dead_registry(machine):
    names = [f"dead-{number}" for number in range(3)]
    for name in names:
        machine.pod(name, {"image": f"127.0.0.1:9/shop/{name}:1"})
    try:
        machine.expect("ImagePullsFail")
    finally:
        machine.no_pod("no-such-image", *names)


def test_containers_that_cannot_start(machine):
    names = [f"broken-{number}" for number in range(4)]
    for name in names:
        machine.pod(name, {"image": IMAGE, "command": ["/no/such/program"]})
    try:
        machine.expect("CRIOperationsFail")
    finally:
        machine.no_pod(*names)


def test_docker_that_was_started_again(machine):
    machine.on("systemctl start docker.service")
    try:
        machine.expect("DockerStillRunning", collect=True)
    finally:
        machine.on("systemctl stop docker.service docker.socket")
    machine.expect_over("DockerStillRunning", collect=True)


def check_inner_container(machine):
    """With cgroup v1 a container of the Docker in the pod lies in the pod's cgroup, and the collector says so."""
    docker = f"docker -H unix://{SOCKET}"
    machine.on(f"""
        tar -xOf /root/image.tar layer.tar | {docker} import - inner:1 >/dev/null
        {docker} run -d --rm --name inner --network none inner:1 /bin/busybox sleep 1000 >/dev/null
    """)
    machine.collect()
    (found,) = machine.wait(lambda: machine.has("unshim_dind_escaped_processes"), 30, "it is looked at")
    assert found["value"][1] == "0"
    machine.on(f"{docker} rm -f inner >/dev/null")


def test_docker_in_a_pod_that_stops_to_answer(machine):
    """A real dockerd in a privileged pod, with the programs of the machine."""
    mounts = [{"name": name, "mountPath": f"/{name}", "readOnly": True} for name in HOST_DIRECTORIES]
    volumes = [{"name": name, "hostPath": {"path": f"/{name}"}} for name in HOST_DIRECTORIES]
    mounts += [{"name": "run", "mountPath": "/run/dind"}, {"name": "data", "mountPath": "/var/lib/docker"}]
    volumes += [
        {"name": "run", "hostPath": {"path": "/run/dind", "type": "DirectoryOrCreate"}},
        {"name": "data", "emptyDir": {}},
    ]
    command = [
        "/usr/sbin/dockerd",
        "--iptables=false",
        "--bridge=none",
        "-H",
        f"unix://{SOCKET}",
    ]
    container = {
        "image": IMAGE, "command": command, "securityContext": {"privileged": True}, "volumeMounts": mounts,
        "env": [{"name": "PATH", "value": "/usr/sbin:/usr/bin:/sbin:/bin"}],
    }  # fmt: skip
    machine.pod("dind", container, volumes=volumes)
    try:
        machine.wait(lambda: machine.has("unshim_dind_up == 1"), 240, "the Docker in the pod is seen", collect=True)
        machine.expect_over("DindDown", collect=True)
        (info,) = machine.has("unshim_dind_info")
        assert info["metric"]["driver"] == "overlay2" and info["metric"]["container"]
        check_inner_container(machine)
        machine.on("kill -STOP $(pgrep -f 'dockerd.*--bridge=none')")
        machine.expect("DindDown", collect=True)
        machine.on("kill -CONT $(pgrep -f 'dockerd.*--bridge=none')")
        machine.expect_over("DindDown", collect=True)
    finally:
        machine.no_pod("dind")
    # Gone for good, it is missed at the socket that was named.
    machine.expect("DindDown", collect=True)


def test_containerd_that_is_stopped(machine):
    machine.on("systemctl stop containerd")
    machine.expect("ContainerdDown")
    machine.on("systemctl start containerd")
    machine.expect_over("ContainerdDown")
