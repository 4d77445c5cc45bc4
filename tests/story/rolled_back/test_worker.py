"""One worker went back to Docker: every file as it was, its pods back, Docker's data never touched."""

import node_snapshot

NODE = "unshim-w1"


def test_node_is_ready_on_docker(lab):
    node = lab.get("node", NODE)
    conditions = {c["type"]: c["status"] for c in node["status"]["conditions"]}
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("docker://")
    assert conditions["Ready"] == "True"
    assert not node["spec"].get("unschedulable")
    assert node["metadata"]["annotations"]["kubeadm.alpha.kubernetes.io/cri-socket"] == "/var/run/dockershim.sock"


def test_every_file_unit_and_package_is_as_it_was(lab):
    changed = node_snapshot.changes(lab.remembered("before")[NODE], node_snapshot.take(lab, NODE))
    assert {key: values for key, values in changed.items() if not key.startswith("file /var/lib/unshim")} == {}


def test_docker_still_has_its_images(lab):
    images = lab.on(NODE, "docker images -a --no-trunc -q").split()
    assert set(lab.remembered("docker_images")[NODE]) - set(images) == set()


def test_its_pods_are_back_on_docker(lab):
    lab.wait_for_pods(NODE)  # what only this node can run was scheduled the moment it was opened
    running = [
        pod
        for pod in lab.get("pods", "-A", "--field-selector", f"spec.nodeName={NODE}")["items"]
        if pod["status"]["phase"] == "Running"
    ]
    owners = {pod["metadata"]["ownerReferences"][0]["kind"] for pod in running}
    assert "DaemonSet" in owners
    for pod in running:
        for status in pod["status"]["containerStatuses"]:
            assert status["containerID"].startswith("docker://")
            assert status["ready"]


def test_no_pod_is_left_on_containerd(lab):
    assert lab.on(NODE, "ctr -n k8s.io tasks ls -q").split() == []


def test_the_other_nodes_stayed_on_containerd(lab):
    for name in ("unshim-cp1", "unshim-w2"):
        assert lab.get("node", name)["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")
