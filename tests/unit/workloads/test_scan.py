"""What the planted set does not show: settings of the scan, odd shapes of objects, secrets in evidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshim.workloads.model import Document, ScanSettings, shown_path
from unshim.workloads.registry import RULES
from unshim.workloads.scan import scan


def pod(containers=(), volumes=(), **spec):
    spec.update(containers=list(containers), volumes=list(volumes))
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": spec}


def container(**keys):
    return {"name": "c", "image": "example.org/x:1", **keys}


def host(path, name="v"):
    return {"name": name, "hostPath": {"path": path}}


def found(*objects, **settings):
    findings, _ = scan([Document(one) for one in objects], ScanSettings(**settings))
    return [(one.id, one.field, one.value) for one in findings]


def rules(*objects, **settings):
    return {rule for rule, _, _ in found(*objects, **settings)}


def test_docker_data_is_where_the_nodes_have_it():
    moved = pod(volumes=[host("/data/docker/containers")])
    assert rules(moved) == set()
    assert rules(moved, docker_roots=("/data/docker",)) == {"docker-data-mount"}
    assert rules(moved, symlinks={"/var/lib/docker": "/data/docker"}) == {"docker-data-mount"}


def test_evidence_is_the_exact_place():
    one = pod([container(volumeMounts=[{"name": "v", "mountPath": "/x", "subPath": "docker.sock"}])], [host("/run")])
    assert found(one) == [("docker-socket-mount", "spec.containers[0].volumeMounts[0].subPath", "/run/docker.sock")]


def test_a_volume_that_is_mounted_whole_and_in_part_is_its_whole():
    mounts = [{"name": "v", "mountPath": "/x", "subPath": "udev"}, {"name": "v", "mountPath": "/y"}]
    assert found(pod([container(volumeMounts=mounts)], [host("/run")])) == [
        ("docker-socket-parent", "spec.volumes[0].hostPath.path", "/run")
    ]


def test_the_innermost_mount_decides_whose_socket_it_is():
    """The node's /run, and an emptyDir over the place where its socket would be."""
    env = [{"name": "DOCKER_HOST", "value": "unix:///run/d/docker.sock"}]
    mounts = [{"name": "v", "mountPath": "/run"}, {"name": "own", "mountPath": "/run/d"}]
    one = pod([container(env=env, volumeMounts=mounts)], [host("/run"), {"name": "own", "emptyDir": {}}])
    assert rules(one) == {"docker-socket-parent"}


def test_a_daemon_beside_it_does_not_excuse_the_nodes_socket():
    one = pod(
        [container(image="docker:dind"), container(volumeMounts=[{"name": "v", "mountPath": "/s"}])],
        [host("/run/docker.sock")],
    )
    assert rules(one) == {"docker-in-docker", "docker-socket-mount"}


def test_the_apparmor_field_of_newer_clusters():
    profile = {"appArmorProfile": {"type": "Localhost", "localhostProfile": "docker-default"}}
    assert found(pod([container(securityContext=profile)])) == [
        (
            "apparmor-docker-default",
            "spec.containers[0].securityContext.appArmorProfile.localhostProfile",
            "docker-default",
        )
    ]


def test_a_password_in_evidence_is_hidden():
    words = ["sh", "-c", "docker login --password=hunter2secret registry.example.org"]
    [(rule, _, value)] = found(pod([container(command=words)]))
    assert rule == "docker-command" and "hunter2" not in value and "***" in value


def test_a_secret_is_never_looked_into():
    data = {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {"name": "s"},
        "stringData": {"a.sh": "#!/bin/sh\ndocker ps"},
    }
    assert found(data) == []


def test_the_worst_comes_first():
    one = pod(
        [container(command=["docker", "ps"], livenessProbe={"exec": {"command": ["true"]}})], [host("/run/docker.sock")]
    )
    assert [rule for rule, _, _ in found(one)] == ["docker-socket-mount", "docker-command", "exec-probe-timeout"]


def test_a_moved_object_keeps_its_fingerprint():
    older = {**pod(volumes=[host("/run/docker.sock")]), "apiVersion": "v1beta1"}
    first, second = (
        scan([Document(one, file)])[0][0] for one, file in ((older, "a"), (pod(volumes=[host("/run/docker.sock")]), ""))
    )
    assert first.fingerprint == second.fingerprint
    assert (
        len({scan([Document(pod(volumes=[host(path)]))])[0][0].fingerprint for path in ("/run/docker.sock", "/run")})
        == 2
    )


def test_paths_are_shown_as_they_are_written():
    assert shown_path(("data", "a.conf")) == 'data["a.conf"]'
    assert shown_path(("metadata", "annotations", "x.io/y")) == 'metadata.annotations["x.io/y"]'


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_says_everything(rule):
    assert rule.severity in ("block", "warn", "info")
    assert rule.why.endswith(".") and rule.instead.endswith((".", "}")) and rule.source
    assert not rule.title.endswith(".") and rule.title.split()[0] in (
        "mounts", "takes", "has", "names", "runs", "enters", "configures", "lets", "parses", "asks", "is",
    )  # fmt: skip


def test_ids_are_each_used_once():
    assert len({rule.id for rule in RULES}) == len(RULES)


# What an API server would refuse, and what a file may hold all the same.
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["/run", "docker", "docker ps", "docker:dind"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "spec",
                    "template",
                    "containers",
                    "initContainers",
                    "volumes",
                    "hostPath",
                    "path",
                    "name",
                    "image",
                    "env",
                    "value",
                    "valueFrom",
                    "fieldRef",
                    "command",
                    "args",
                    "volumeMounts",
                    "mountPath",
                    "subPath",
                    "livenessProbe",
                    "exec",
                    "lifecycle",
                    "preStop",
                    "securityContext",
                    "supplementalGroups",
                    "metadata",
                    "annotations",
                    "script",
                    "steps",
                    "data",
                    "hostPID",
                    "kind",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(
    VALUES,
    st.sampled_from(["Pod", "Deployment", "ConfigMap", "PersistentVolume", "RuntimeClass", "PrometheusRule", "X"]),
)
def test_no_object_is_too_strange(value, kind):
    scan(
        [
            Document(
                {"apiVersion": "v1", "kind": kind, "metadata": value, "spec": value, "data": value, "handler": value}
            )
        ]
    )
