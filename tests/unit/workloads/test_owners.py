"""Objects that a controller made are told once, as their controller."""

from unshim.workloads.model import Document
from unshim.workloads.owners import without_offspring


def made(kind, name, owner=None, uid="", node="", mirror=False, node_name="", owner_uid="other"):
    meta = {"name": name, "namespace": "n"}
    if uid:
        meta["uid"] = uid
    if owner:
        kind_of, name_of = owner
        meta["ownerReferences"] = [{"kind": kind_of, "name": name_of, "uid": owner_uid, "controller": True}]
    if mirror:
        meta["annotations"] = {"kubernetes.io/config.mirror": "x"}
    return Document({"kind": kind, "apiVersion": "v1", "metadata": meta, "spec": {"nodeName": node_name}}, node=node)


def names(documents):
    return [document.key for document in without_offspring(documents)]


def test_what_a_scanned_object_made_is_left_out():
    deployment = made("Deployment", "web", uid="1")
    replica_set = made("ReplicaSet", "web-1", ("Deployment", "web"), uid="2", owner_uid="1")
    pod = made("Pod", "web-1-x", ("ReplicaSet", "web-1"), uid="3", owner_uid="2")
    assert names([deployment, replica_set, pod]) == ["Deployment/n/web"]


def test_in_files_there_are_names_instead_of_uids():
    assert names([made("Pod", "x", ("Job", "j")), made("Job", "j")]) == ["Job/n/j"]


def test_of_a_controller_nobody_may_read_one_pod_stays():
    pods = [made("Pod", f"r-{number}", ("Runner", "r"), uid=str(number)) for number in range(3)]
    assert names([*pods, made("Pod", "s", ("Runner", "s"))]) == ["Pod/n/r-0", "Pod/n/s"]


def test_an_owner_that_is_no_controller_hides_nothing():
    pod = made("Pod", "x", ("Deployment", "web"))
    pod.object["metadata"]["ownerReferences"][0]["controller"] = False
    assert names([made("Deployment", "web"), pod]) == ["Deployment/n/web", "Pod/n/x"]


def test_a_static_pod_is_told_from_its_manifest_where_there_is_one():
    image = made("Pod", "log-w1", ("Node", "w1"), uid="1", mirror=True, node_name="w1")
    other = made("Pod", "log-w2", ("Node", "w2"), uid="2", mirror=True, node_name="w2")
    manifest = made("Pod", "log", node="w1")
    assert names([manifest, image, other]) == ["Pod/n/log", "Pod/n/log-w2"]


def test_static_pods_of_one_name_on_two_nodes_are_two():
    assert names([made("Pod", "log", node="w1"), made("Pod", "log", node="w2")]) == ["Pod/n/log", "Pod/n/log"]


def test_an_object_that_is_served_twice_is_told_once():
    assert names([made("CronJob", "c", uid="1"), made("CronJob", "c", uid="1")]) == ["CronJob/n/c"]
