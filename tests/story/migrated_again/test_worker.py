"""The worker that had gone back is on containerd again; also the record the last phase compares with."""


def test_every_node_is_on_containerd(lab):
    for node in lab.get("nodes")["items"]:
        assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")
        assert not node["spec"].get("unschedulable")


def test_record_what_runs(lab):
    tasks = lab.containerd_tasks("unshim-w1")
    assert tasks
    lab.remember("tasks", tasks)
