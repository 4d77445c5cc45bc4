"""After the move: every setting that Docker had does on containerd what it is there for."""

import json
import os

import cluster_watch
import pytest
from mixed_lab import (
    BOOKWORM,
    BULLSEYE,
    IMAGES,
    MIRROR,
    NAMESPACE,
    OPEN_FILES,
    PRIVATE,
    PROXY,
    ROLES,
    SECRETS,
    TRIXIE,
    WORKERS,
)  # fmt: skip


def controlled(kind, name, containers, **spec):
    """Return a DaemonSet, or Deployment, whose pods have containers {name: (image, pull policy)}."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 3,
                    "containers": [
                        {"name": container, "image": image, "imagePullPolicy": policy}
                        for container, (image, policy) in containers.items()
                    ],
                    **spec,
                },
            },
        },
    }


@pytest.fixture(scope="session")
def new_pods(lab):
    """Pods that come to the workers now, with images that no worker had; returns {(app, node): pod} once all are ready."""
    by_digest = next(c["image"] for c in lab.sample(TRIXIE)["spec"]["containers"] if c["name"] == "by-digest")
    with_secret = {"imagePullSecrets": [{"name": "private-registry"}]}
    registries = ("plain", "range", "private", "mirrored")
    pulled = {name: (image.format("after"), "Always") for name, image in zip(registries, IMAGES, strict=True)}
    here = {"by-digest": (by_digest, "Never"), "local": ("shop.local/banner:1", "Never")}
    marked = {
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "marked"}, "handler": "marked",
    }  # fmt: skip
    on = {node: {"nodeSelector": {"kubernetes.io/hostname": node}} for node in WORKERS}
    objects = [
        marked,
        controlled("DaemonSet", "new", {**pulled, **here}, **with_secret),
        controlled("Deployment", "new-keyless", {"private": pulled["private"]}, **on[BULLSEYE]),
        controlled("Deployment", "new-marked", {"plain": pulled["plain"]}, runtimeClassName="marked", **on[TRIXIE]),
    ]
    path = lab.records / "new_pods.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    lab.kubectl("apply", "-f", str(path))

    def found():
        items = lab.get("pods", "-n", NAMESPACE, "-l", "app in (new,new-keyless,new-marked)")["items"]
        return {(item["metadata"]["labels"]["app"], item["spec"].get("nodeName")): item for item in items}

    def statuses(item):
        return item["status"].get("containerStatuses", [])

    def all_are_ready():
        return len(found()) == len(WORKERS) + 2 and all(
            len(statuses(item)) == len(item["spec"]["containers"]) and all(status["ready"] for status in statuses(item))
            for item in found().values()
        )

    ready = lab.eventually(all_are_ready, 90)
    pods = found()
    assert ready, {
        key: [status.get("state") for status in statuses(item) if not status["ready"]] for key, item in pods.items()
    }
    yield pods
    # dockershim has no runtime of that name.
    lab.kubectl("delete", "--wait=false", "-n", NAMESPACE, "deployment", "new-marked")


def container_id(pod, name):
    status = next(status for status in pod["status"]["containerStatuses"] if status["name"] == name)
    return status["containerID"].removeprefix("containerd://")


def runtime_told_by(described):
    return described["status"]["nodeInfo"]["containerRuntimeVersion"]


@pytest.mark.parametrize("node", WORKERS)
def test_node_runs_its_pods_on_containerd(lab, node):
    # A kubelet that asks while containerd restarts, as in the tests before, tells "containerd://Unknown" for 10 s.
    lab.eventually(lambda: runtime_told_by(lab.get("node", node)) != "containerd://Unknown")
    described = lab.get("node", node)
    assert runtime_told_by(described).startswith("containerd://1.")
    assert not described["spec"].get("unschedulable")
    pods = lab.pods(node)
    assert pods
    for found in pods:
        for status in found["status"]["containerStatuses"]:
            assert status["ready"] and status["containerID"].startswith("containerd://"), found["metadata"]["name"]


def test_never_more_nodes_closed_than_the_batch_has_and_every_budget_kept(lab):
    most, _evictions = cluster_watch.assert_promises_kept(lab, closed_at_most=len(WORKERS))
    assert most == len(WORKERS)


@pytest.mark.parametrize("node", WORKERS)
def test_daemon_sets_pod_is_still_the_same(lab, node):
    """Its containers are new, and of images that came from Docker; only where the policy is Always a registry was asked."""
    sample = lab.sample(node)
    assert lab.remembered("pods")[sample["metadata"]["name"]] == sample["metadata"]["uid"]


@pytest.mark.parametrize("registry,repository", ROLES)
@pytest.mark.parametrize("node", WORKERS)
def test_new_images_come_the_way_they_came_before(lab, new_pods, node, registry, repository):
    proxied = node == BOOKWORM and registry == PRIVATE
    address = lab.address(PROXY if proxied else node)
    asked = [request for request in lab.requests(registry, repository.format("after")) if request.address == address]
    assert {request.what for request in asked if request.status == 200} == {"manifests", "blobs"}
    assert all(request.agent.startswith("containerd/") for request in asked)
    if registry == MIRROR:
        assert {request.query for request in asked} == {"ns=docker.io"}


def test_nothing_was_pulled_that_was_there(lab):
    """Of what IfNotPresent and Never allow: an image by tag, through a mirror, by digest."""
    for registry, repository in (*ROLES, (lab.registry, "by-digest")):
        if repository not in ("plain-{}", "private-{}"):
            asked = lab.requests(registry, repository.format("before"))
            assert asked and all(request.agent.startswith("docker/") for request in asked), repository


def test_node_with_a_login_of_its_own(lab, new_pods):
    assert "imagePullSecrets" not in new_pods["new-keyless", BULLSEYE]["spec"]
    (keyless,) = lab.pods(BULLSEYE, "keyless")
    assert keyless["status"]["containerStatuses"][0]["containerID"].startswith("containerd://")


def test_proxy_was_used_for_the_private_registry_only(lab, new_pods):
    log = lab.log_of(PROXY)
    connects = log.count(f"CONNECT {PRIVATE}:5000")
    assert connects and connects == log.count("Request (file descriptor")
    assert lab.address(BOOKWORM) in log and not any(lab.address(node) in log for node in (BULLSEYE, TRIXIE))


@pytest.mark.parametrize("node", WORKERS)
def test_containers_have_the_limits_they_had(lab, node):
    before, now = lab.remembered("limits")[node], lab.limits(node)
    print(f"{node}: Max open files {now['Max open files']}")
    assert now == before
    assert now["Max open files"] == OPEN_FILES.get(node, before["Max open files"])


@pytest.mark.parametrize("node", WORKERS)
def test_a_talkative_pods_log_is_rotated(lab, node):
    """The kubelet looks every 10 s, and the pod writes about 100 KB a second."""
    sample = lab.sample(node)["metadata"]
    directory = f"/var/log/pods/{NAMESPACE}_{sample['name']}_{sample['uid']}/chatty"
    assert lab.eventually(lambda: len(lab.log_files(node, directory)) == 3, 90)
    sizes = lab.log_files(node, directory)
    print(f"{node}: {sizes}")
    assert max(sizes.values()) < 4 * 1024 * 1024
    assert any(name.endswith(".gz") for name in sizes)


def test_default_runtime_leaves_its_mark(lab, new_pods):
    marks = lab.on(BOOKWORM, "cat /var/log/marking-runc.log")
    assert container_id(new_pods["new", BOOKWORM], "plain") in marks
    assert container_id(lab.sample(BOOKWORM), "plain") in marks


def test_extra_runtime_runs_what_asks_for_it(lab, new_pods):
    marks = lab.on(TRIXIE, "cat /var/log/marking-runc.log")
    assert container_id(new_pods["new-marked", TRIXIE], "plain") in marks
    assert container_id(new_pods["new", TRIXIE], "plain") not in marks


def test_images_are_on_the_data_disk(lab, new_pods):
    root = lab.on(TRIXIE, 'containerd config dump | sed -n "s/^root = [\'\\"]\\(.*\\)[\'\\"]/\\1/p"').strip()
    assert root.startswith("/data/")
    kilobytes = lab.on(TRIXIE, f"du -sk {root} /var/lib/containerd | cut -f1").split()
    print(f"{root}: {kilobytes[0]} KiB; /var/lib/containerd: {kilobytes[1]} KiB")
    assert int(kilobytes[0]) > 200 * 1024 and int(kilobytes[1]) < 20 * 1024
    mounts = lab.on(TRIXIE, "mount -t overlay")
    assert f"{root}/io.containerd.snapshotter.v1.overlayfs" in mounts
    assert "/var/lib/containerd/io.containerd.snapshotter" not in mounts


@pytest.mark.parametrize("node", WORKERS)
def test_no_secret_was_left_anywhere(lab, new_pods, node):
    """In no journal, log or file that others can read; what holds one is the administrator's own, or like it."""
    patterns = " ".join(f"-e {secret}" for secret in SECRETS)
    assert lab.on(node, f"journalctl --no-pager | grep -F {patterns}; true") == ""
    assert lab.on(node, f"grep -rlF {patterns} /var/lib/unshim/journal.json /var/log; true") == ""
    holders = lab.on(node, f"grep -rlF {patterns} /etc /var/lib/unshim /var/lib/kubelet/*.* /root; true").split()
    for path in holders:
        assert lab.on(node, f"stat -c %a {path}").strip() == "600", path


@pytest.mark.parametrize("log", ["migrate.log", "migrate-again.log"])
def test_playbooks_tell_no_secret(lab, log):
    path = lab.records / log
    if log == "migrate-again.log" and not path.exists():
        pytest.fail("the scenario's step idempotence left no output")
    assert os.path.getsize(path) > 1000
    assert [secret for secret in SECRETS if secret in path.read_text()] == []


def test_reports_tell_no_secret(lab):
    written = sorted((lab.records / "reports").iterdir())
    assert {path.suffix for path in written} == {".html", ".md", ".json"}
    assert [path.name for path in written for secret in SECRETS if secret in path.read_text()] == []


def test_bundles_tell_no_secret(lab):
    bundles = lab.records / "bundles"
    run = lab.playbook("../tests/carry_over/collect", "-vvv", "-e", f"bundles={bundles}")
    assert run.code == 0, run.output
    assert [secret for secret in SECRETS if secret in run.output] == []
    told = {
        path.relative_to(bundles): path.read_text(errors="replace") for path in bundles.rglob("*") if path.is_file()
    }
    for node in WORKERS:
        # The plan and the facts of it, which hold the login and the proxy of the node.
        assert any(node in str(path) and text for path, text in told.items()), node
    assert [path for path, text in told.items() for secret in SECRETS if secret in text] == []
