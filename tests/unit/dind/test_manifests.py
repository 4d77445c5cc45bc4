"""What is applied to a cluster: golden files, their shape, and what must be true of them whatever else changes."""

import datetime
import json
from pathlib import Path

import api_shapes
import pytest

from unshim.dind import certificates, manifests
from unshim.dind.model import MODES, DindError

DATA = Path(__file__).parents[2] / "data/dind/manifests"
VERSIONS = ("1.20.2", "1.24.17", "1.31.0")
CASES = [(mode, version) for mode in MODES for version in VERSIONS]


def pod_of(objects):
    """Return the specification of the pod with the dockerd, and its container."""
    for one in objects:
        template = one.get("template") or one.get("spec", {}).get("template")
        if template:
            spec = template["spec"]
            (dind,) = (c for c in [*spec.get("initContainers", ()), *spec["containers"]] if c["name"] == "dind")
            return template, spec, dind
    raise AssertionError("no pod")


@pytest.fixture
def rendered(settings, cluster):
    return lambda mode, version="1.20.2", **changes: manifests.objects(
        manifests.render(settings(mode, **changes), cluster(version), "c0ffee")
    )


@pytest.mark.parametrize(("mode", "version"), CASES)
def test_the_manifests_are_those_of_the_golden_file(mode, version, settings, cluster, update_golden):
    text = manifests.render(settings(mode), cluster(version), "c0ffee")
    # The script is a file of its own, with tests of its own.
    indented = "".join(f"    {line}\n" if line else "\n" for line in manifests.START.strip().split("\n"))
    assert indented in text
    text = text.replace(indented, "    (start.sh)\n")
    golden = DATA / f"{mode}-{version}.yml"
    if update_golden:
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize(("mode", "version"), CASES)
def test_the_api_has_every_field_in_this_shape(mode, version, rendered):
    objects = rendered(mode, version)
    assert [mistake for one in objects for mistake in api_shapes.mistakes(one)] == []
    assert sum(one["kind"] in api_shapes.GONE for one in objects) == (1 if version != "1.31.0" else 0)


def test_the_check_of_shapes_sees_a_wrong_field_and_a_wrong_type(rendered):
    objects = rendered("service")
    _, spec, dind = pod_of(objects)
    dind["securityContext"]["priviledged"] = True
    spec["terminationGracePeriodSeconds"] = "40"
    found = [mistake for one in objects for mistake in api_shapes.mistakes(one)]
    assert any("priviledged" in mistake for mistake in found)
    assert any("terminationGracePeriodSeconds" in mistake for mistake in found)


@pytest.mark.parametrize(("mode", "version"), CASES)
def test_every_dockerd_is_fenced_in(mode, version, rendered, image):
    objects = rendered(mode, version)
    _, spec, dind = pod_of(objects)
    assert dind["image"] == image
    assert spec["automountServiceAccountToken"] is False
    assert dind["resources"]["limits"]["memory"]
    mounted = {mount["mountPath"]: mount["name"] for mount in dind["volumeMounts"]}
    assert mounted["/var/lib/docker"] == "dind-data"
    assert spec["nodeSelector"] == {"unshim.io/dind": "true"}
    # No port but the one with TLS, and nothing of the node but in mode daemonset.
    ports = [port["containerPort"] for port in dind.get("ports", ())]
    assert ports == ([2376] if mode == "service" else [])
    assert "2375" not in json.dumps(objects).replace("(moby daemon", "")
    paths = [volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume]
    assert paths == (["/run/unshim-dind", "/var/lib/unshim-dind"] if mode == "daemonset" else [])
    assert not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))


@pytest.mark.parametrize("mode", MODES)
def test_the_account_may_do_nothing(mode, rendered):
    """But use the one policy, where clusters have such."""
    for version in VERSIONS:
        objects = rendered(mode, version)
        rules = [rule for one in objects if one["kind"] in ("Role", "ClusterRole") for rule in one["rules"]]
        assert all(rule["verbs"] == ["use"] and rule["resourceNames"] == ["unshim-dind"] for rule in rules)
        assert bool(rules) == (version != "1.31.0")
        accounts = [one for one in objects if one["kind"] == "ServiceAccount"]
        assert {one["metadata"]["name"] for one in accounts} == {"dind", "default"}
        assert all(one["automountServiceAccountToken"] is False for one in accounts)


def test_a_native_sidecar_from_1_29_on_and_before_that_the_first_container(rendered):
    _, old, old_dind = pod_of(rendered("sidecar", "1.28.9"))
    _, new, new_dind = pod_of(rendered("sidecar", "1.29.0"))
    assert new["initContainers"] == [new_dind] and new_dind["restartPolicy"] == "Always"
    assert [one["name"] for one in new["containers"]] == ["job"]
    assert [one["name"] for one in old["containers"]] == ["dind", "job"] and "initContainers" not in old
    assert old_dind["lifecycle"]["postStart"]["exec"]["command"][-1] == "wait"
    assert {"name": "DIND_ENDS_WITH_JOB", "value": "1"} in old_dind["env"]


def test_a_service_starts_anew_for_a_new_certificate_or_configuration(settings, cluster):
    def annotations(certificate, **changes):
        objects = manifests.objects(manifests.render(settings("service", **changes), cluster(), certificate))
        return pod_of(objects)[0]["metadata"]["annotations"]

    first = annotations("one")
    assert annotations("one") == first
    assert annotations("two") != first
    assert annotations("one", storage_driver="btrfs") != first


def test_what_a_setting_holds_stays_one_value(settings, cluster):
    """Nothing that somebody writes into a setting can add to an object."""
    odd = "slow\"\nkind: Evil\n# '"
    objects = manifests.objects(manifests.render(settings("service", storage_class=odd), cluster()))
    (claim,) = next(one for one in objects if one["kind"] == "StatefulSet")["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == odd
    assert not any(one["kind"] == "Evil" for one in objects)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mode": "pod"}, "sidecar, daemonset, service"),
        ({"image": ""}, "by digest"),
        ({"image": "docker:29-dind"}, "not named by digest"),
        ({"image": "docker@sha256:abc"}, "not named by digest"),
        ({"mtu": 100}, "576"),
        ({"iptables": "ebpf"}, "auto, nft, legacy"),
        ({"namespace": "Build Jobs"}, "namespace"),
        ({"storage_size": "a lot"}, "unshim_dind_storage_size"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_what_it_may_be(changes, said, settings, cluster):
    with pytest.raises(DindError, match=said):
        manifests.render(settings(**changes), cluster())


@pytest.mark.parametrize("version", ["", "unknown", "2.0", "1.17.3"])
def test_a_cluster_that_is_too_old_or_unknown_is_refused(version, settings, cluster):
    with pytest.raises(DindError):
        manifests.render(settings(), cluster(version))


def test_a_cluster_without_policies_gets_none(settings, cluster):
    text = manifests.render(settings(), cluster("1.22.0", has_pod_security_policy=False))
    assert "PodSecurityPolicy" not in text and "RoleBinding" not in text


def test_secrets_are_no_part_of_the_manifests(settings, cluster):
    issued = certificates.renew({}, certificates.names("unshim-dind"), datetime.datetime.now(datetime.UTC))
    chosen = settings("service", client_namespaces=("ci",))
    text = manifests.render(chosen, cluster(), issued.server_sha256)
    assert "proxy.example" not in text and "kind: Secret" not in text and "PRIVATE KEY" not in text
    secrets = manifests.secrets(chosen, cluster(), issued)
    assert [mistake for one in secrets for mistake in api_shapes.mistakes(one)] == []
    where = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in secrets}
    own = {("unshim-dind", name) for name in ("dind-proxy", "dind-ca", "dind-server-tls", "dind-client-tls")}
    assert where == own | {("ci", "dind-client-tls")}


def test_namespaces_of_sidecars_get_what_their_pods_mount(settings, cluster):
    chosen = settings(client_namespaces=("ci",))
    objects = manifests.objects(manifests.render(chosen, cluster()))
    maps = [one["metadata"]["namespace"] for one in objects if one["kind"] == "ConfigMap"]
    assert maps == ["unshim-dind", "ci"]
    secrets = manifests.secrets(chosen, cluster())
    assert [one["metadata"]["namespace"] for one in secrets] == ["unshim-dind", "ci"]
