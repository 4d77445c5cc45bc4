"""After the move: every node on containerd, every promise kept while it went there."""

import base64
import itertools

import cluster_watch
import kiosk
import node_snapshot
import pytest
from lab import recap


def pods(lab, *arguments):
    return lab.get("pods", "-A", *arguments)["items"]


def test_every_node_is_ready_on_containerd(lab):
    for node in lab.get("nodes")["items"]:
        conditions = {c["type"]: c["status"] for c in node["status"]["conditions"]}
        assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")
        assert conditions["Ready"] == "True"
        assert not node["spec"].get("unschedulable")
        annotations = node["metadata"]["annotations"]
        assert annotations["kubeadm.alpha.kubernetes.io/cri-socket"] == "unix:///run/containerd/containerd.sock"
        assert not any(name.startswith("unshim.io/") for name in annotations)


def test_every_container_of_the_control_plane_is_containerds(lab):
    found = set()
    for pod in pods(lab, "--field-selector", f"spec.nodeName={lab.control_plane}"):
        for status in pod["status"].get("containerStatuses", []):
            assert status["containerID"].startswith("containerd://"), pod["metadata"]["name"]
            found.add(status["name"])
    assert {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} <= found


def test_etcd_still_has_what_it_had(lab):
    before, now = lab.remembered("objects"), lab.object_versions()
    assert before
    assert {key: now.get(key) for key in before} == before


def implied(plan):
    """Return the keys of a snapshot that a plan announces in other words: masked units' links, parents of new files."""
    keys = {"file " + change["path"] for change in plan["files"] + plan["copies"]}
    for change in plan["files"] + plan["copies"]:
        parts = change["path"].split("/")
        keys |= {"file " + "/".join(parts[:end]) for end in range(2, len(parts))}
    for unit in plan["units"]:
        keys |= {"unit " + unit["unit"], "file /etc/systemd/system/" + unit["unit"]}
        if unit["action"] == "enable":
            keys.add("file /etc/systemd/system/multi-user.target.wants/" + unit["unit"])
    keys |= {"package " + package["name"] for package in plan["packages"]}
    return keys


@pytest.mark.parametrize("node", ["unshim-cp1", "unshim-w1", "unshim-w2"])
def test_what_was_announced_is_what_changed(lab, node):
    plan = lab.remembered("plans")[node]
    after = node_snapshot.take(lab, node)
    changed = node_snapshot.changes(lab.remembered("before")[node], after)
    own = {key for key in changed if key == "file /var/lib/unshim" or key.startswith("file /var/lib/unshim/")}
    kubelet = changed.pop("kubelet")
    assert kubelet[0].split() == plan["kubelet_command_line_before"]
    assert kubelet[1].split() == plan["kubelet_command_line_after"]
    assert set(changed) - own - implied(plan) == set(), "changed without having been announced"
    for change in plan["files"]:
        assert "file " + change["path"] in changed, f"{change['path']} was announced and did not change"
        content = lab.on(node, f"base64 -w0 {change['path']}")
        assert base64.b64decode(content).decode() == change["after"]
    for unit in plan["units"]:
        if unit["action"] == "mask":
            assert after["unit " + unit["unit"]].split()[0] in ("inactive", "failed")
            assert "masked" in after["unit " + unit["unit"]]


def window(lab, nodes):
    """Return when the first of these nodes began its drain and the last was open for pods again."""
    times = {node: {entry["event"]: entry["time"] for entry in lab.journal(node)["timeline"]} for node in nodes}
    return min(t["drain_started"] for t in times.values()), max(t["uncordoned"] for t in times.values())


def test_no_request_failed_while_the_workers_moved(lab):
    begin, end = window(lab, lab.workers)
    asked = [answer for answer in lab.prober("service") if begin <= answer[0] <= end]
    failed = [answer for answer in asked if answer[1] != "200"]
    rate = len(asked) / (end - begin)
    print(f"Service: {len(asked)} requests in {end - begin:.1f} s ({rate:.1f}/s), {len(failed)} failed")
    assert rate >= 10
    assert failed == []


def test_never_more_than_one_node_closed_and_every_budget_kept(lab):
    most, evictions = cluster_watch.assert_promises_kept(lab, closed_at_most=1)
    assert (most, evictions > 0) == (1, True)


def test_api_outage_is_measured(lab):
    begin, end = window(lab, [lab.control_plane])
    answers = [answer for answer in lab.prober("api") if begin <= answer[0] <= end]
    down = [answer[0] for answer in answers if answer[1] != "200"]
    assert answers and answers[-1][1] == "200"
    outage = max(down) - min(down) if down else 0.0
    print(f"API server: {outage:.1f} s outage while the control plane moved ({end - begin:.1f} s in all)")
    assert outage < end - begin


def test_nothing_was_pulled_again(lab):
    """A pod that was evicted to a node may need an image that node never had; no node may ask for one it had."""
    had = lab.remembered("repositories")
    assert all(had.values())
    again = [
        (address, name) for address, name in lab.registry_pulls()[lab.remembered("pulls") :] if name in had[address]
    ]
    assert again == []


def test_image_without_a_registry_runs(lab):
    found = [pod for pod in pods(lab) if pod["metadata"]["name"].startswith("local-only")]
    assert found
    for pod in found:
        status = pod["status"]["containerStatuses"][0]
        assert status["ready"] and status["containerID"].startswith("containerd://")


def test_every_workload_is_back(lab):
    for kind in ("deployments", "statefulsets"):
        for item in lab.get(kind, "-n", "shop")["items"]:
            assert item["status"].get("readyReplicas") == item["spec"]["replicas"], item["metadata"]["name"]
    for item in lab.get("daemonsets", "-A")["items"]:
        assert item["status"]["numberReady"] == item["status"]["desiredNumberScheduled"], item["metadata"]["name"]
    job = lab.get("job", "-n", "shop", "report")
    assert job["status"]["succeeded"] == 1 and not job["status"].get("active")


def test_local_volume_kept_its_data(lab):
    node = lab.get("pod", "-n", "shop", "store-0")["spec"]["nodeName"]
    assert lab.on(node, "cat /srv/store/*").startswith(lab.remembered("store_volume"))


def test_docker_data_is_untouched(lab):
    for node in lab.nodes:
        kept = lab.on(node, "cd /var/lib/docker && ls -d image/overlay2/layerdb/sha256/* volumes/* | sort").split()
        assert set(lab.remembered("docker_data")[node]) - set(kept) == set()


def test_pods_reach_each_other_across_nodes_and_services(lab):
    web = [pod for pod in pods(lab) if pod["metadata"]["name"].startswith("web-")]
    for node, pod in itertools.product(lab.nodes, web):
        address = f"http://{pod['status']['podIP']}:{pod['spec']['containers'][0]['ports'][0]['containerPort']}/"
        assert lab.on(node, f"curl -fsS -m 5 {address}").strip() == pod["metadata"]["name"]


def test_host_port_answers(lab):
    edge = next(pod for pod in pods(lab) if pod["metadata"]["name"].startswith("edge"))
    port = edge["spec"]["containers"][0]["ports"][0]["hostPort"]
    assert lab.on(lab.control_plane, f"curl -fsS -m 5 http://{edge['status']['hostIP']}:{port}/").strip()


def test_port_80_still_answers_without_root(lab):
    kiosk.check(lab, "containerd")


def test_a_second_run_changes_nothing(lab, runbook):
    (said,) = runbook("rolling-migration", "Run it again")
    assert {node: recap(said.output)[node]["changed"] for node in lab.nodes} == dict.fromkeys(lab.nodes, 0)


def test_verify_proves_it_again(lab, runbook):
    (said,) = runbook("rolling-migration", "Prove it")
    assert {node: recap(said.output)[node]["changed"] for node in lab.nodes} == dict.fromkeys(lab.nodes, 0)


def test_an_etcd_snapshot_was_kept(lab):
    size = lab.on(lab.control_plane, "stat -c %s /var/lib/unshim/etcd/etcd-*.db").split()
    assert size and all(int(one) > 1000000 for one in size)
