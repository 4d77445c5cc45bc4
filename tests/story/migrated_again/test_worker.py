"""The worker that had gone back is on containerd again."""


def test_every_node_is_on_containerd(lab):
    for node in lab.get("nodes")["items"]:
        assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")
        assert not node["spec"].get("unschedulable")
