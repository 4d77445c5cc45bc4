"""deploy/migration-rbac.yml stays small; that it is enough is shown by tests/rolling, which moves a fleet with it."""

from pathlib import Path

import yaml

from unshim_kube import lease

OBJECTS = list(yaml.safe_load_all((Path(__file__).parents[3] / "deploy/migration-rbac.yml").read_text()))
ACCOUNT = {"kind": "ServiceAccount", "name": "unshim-migration", "namespace": "kube-system"}


def rules(kind):
    return [(one["metadata"], rule) for one in OBJECTS if one["kind"] == kind for rule in one["rules"]]


def test_in_all_namespaces_nothing_is_changed_but_nodes_and_pods_evicted():
    changes = {
        (resource, verb)
        for _, rule in rules("ClusterRole")
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if verb not in ("get", "list", "watch")
    }
    assert changes == {("nodes", "patch"), ("pods/eviction", "create")}


def test_no_secret_and_nothing_by_a_wildcard():
    for _, rule in rules("ClusterRole") + rules("Role"):
        for field in ("apiGroups", "resources", "verbs"):
            assert not {"*", "secrets"} & set(rule[field]), rule


def test_of_leases_only_the_lock_may_be_changed():
    verbs = {
        verb: rule.get("resourceNames")
        for meta, rule in rules("Role")
        if rule["resources"] == ["leases"]
        for verb in rule["verbs"]
    }
    assert {meta["namespace"] for meta, rule in rules("Role") if rule["resources"] == ["leases"]} == {"kube-system"}
    # A name cannot be asked for where an object is created: RBAC knows it only afterwards.
    assert verbs == {"create": None} | {key: [lease.PATH.rpartition("/")[2]] for key in ("get", "patch", "delete")}


def test_every_role_is_bound_to_the_one_account():
    bound = {one["roleRef"]["name"] for one in OBJECTS if one["kind"].endswith("RoleBinding")}
    assert bound == {one["metadata"]["name"] for one in OBJECTS if one["kind"] in ("ClusterRole", "Role")}
    for one in OBJECTS:
        if one["kind"].endswith("RoleBinding"):
            assert one["subjects"] == [ACCOUNT]
