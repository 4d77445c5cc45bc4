"""What is asked of a cluster, and what its answers mean. The answers are those of 1.20 on the lab and of later versions' sources."""

import base64

import pytest

from unshim.dind.model import Registries
from unshim_kube import dind_cluster
from unshim_kube.errors import KubeError, Refused

OUTSIDE = (
    'Service "unshim-service-range" is invalid: spec.clusterIPs: Invalid value: []string{"192.0.2.1"}: failed to allocated ip:192.0.2.1 '
    "with error:provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/12"
)
POD = {"metadata": {"name": "a"}, "spec": {}, "status": {"podIP": "10.244.1.7"}}
NODE = {
    "metadata": {"name": "n1"},
    "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:1::/64"]},
    "status": {"addresses": [{"type": "InternalIP", "address": "10.213.0.11"}, {"type": "Hostname", "address": "n1"}]},
}


class Answers:
    """An API server that has only what a test gives it."""

    server = "https://api.example"

    def __init__(self, objects, outside=OUTSIDE, looks_in_a_dry_run=True):
        self.looks_in_a_dry_run = looks_in_a_dry_run
        self.objects = {
            "/version": {"gitVersion": "v1.20.2"},
            "/api/v1/nodes": [NODE],
            "/api/v1/pods": [POD],
            **objects,
        }
        self.outside = outside
        self.written = []

    def get(self, path, **_):
        if path not in self.objects:
            raise Refused(f"{path} not found", 404)
        return self.objects[path]

    def list_objects(self, path, **_):
        return self.get(path)

    def post(self, path, body, **query):
        if body["kind"] == "Service":
            if query and not self.looks_in_a_dry_run:
                return body
            if self.outside:
                raise Refused(self.outside, 422, self.outside)
            raise Refused("forbidden", 403, "may not create services")
        self.written.append(("post", path, body))
        return body

    def patch(self, path, body, **_):
        self.written.append(("patch", path, body))
        return body


@pytest.fixture
def look():
    def of(objects=None, outside=OUTSIDE, routes=(), reserved=(), looks_in_a_dry_run=True):
        api = Answers(objects or {}, outside, looks_in_a_dry_run)
        return dind_cluster.look(api, Registries(), routes, reserved, "unshim-dind")

    return of


def test_ranges_of_pods_services_and_nodes(look):
    cluster = look(routes=("10.213.0.0/16",), reserved=("10.8.0.0/16",))
    assert cluster.version == "1.20.2"
    assert cluster.networks.pods == ("10.244.1.0/24", "fd00:1::/64")
    assert cluster.networks.services == ("10.96.0.0/12",)
    assert cluster.networks.nodes == ("10.213.0.0/16", "10.213.0.11/32")
    assert cluster.networks.given == ("10.8.0.0/16",)


def test_what_kubeadm_was_given_is_more_than_the_nodes_have_yet(look):
    text = "networking:\n  podSubnet: 10.244.0.0/16\n  serviceSubnet: 10.96.0.0/12\n"
    objects = {"/api/v1/namespaces/kube-system/configmaps/kubeadm-config": {"data": {"ClusterConfiguration": text}}}
    assert "10.244.0.0/16" in look(objects).networks.pods
    assert look(objects, outside="").networks.services == ("10.96.0.0/12",)


def test_a_server_that_looks_at_no_address_in_a_dry_run_is_asked_in_earnest(look):
    """As 1.20 does; what is refused is not stored."""
    assert look(looks_in_a_dry_run=False).networks.services == ("10.96.0.0/12",)


def test_services_of_a_cluster_that_has_them_as_objects(look):
    objects = {
        "/apis/networking.k8s.io/v1/servicecidrs": {"items": [{"spec": {"cidrs": ["10.7.0.0/16", "fd00:2::/112"]}}]}
    }
    assert look(objects).networks.services == ("10.7.0.0/16", "fd00:2::/112")


def test_pods_with_addresses_of_the_sites_own_network(look):
    """As the VPC add-ons of clouds give them; pods with their node's address do not count."""
    pods = [
        POD,
        {"spec": {}, "status": {"podIP": "172.31.9.4"}},
        {"spec": {"hostNetwork": True}, "status": {"podIP": "172.30.0.4"}},
        {"spec": {}, "status": {}},
    ]
    assert look({"/api/v1/pods": pods}).networks.pods[2:] == ("172.31.9.0/24",)


def test_an_unknown_range_of_services_is_refused_unless_somebody_has_given_one(look):
    with pytest.raises(KubeError, match="unshim_dind_reserved_ranges"):
        look(outside="")
    assert look(outside="", reserved=("10.96.0.0/12",)).networks.services == ()


@pytest.mark.parametrize(
    ("names", "uses"), [(None, False), ([], False), (["unshim-dind"], False), (["restricted", "unshim-dind"], True)]
)
def test_pod_security_policies_count_where_there_are_some(names, uses, look):
    path = "/apis/policy/v1beta1/podsecuritypolicies"
    objects = {} if names is None else {path: {"items": [{"metadata": {"name": name}} for name in names]}}
    assert look(objects).has_pod_security_policy is uses


SECRET = {
    "kind": "Secret",
    "metadata": {"name": "s", "namespace": "ns"},
    "data": {"a": base64.b64encode(b"1").decode(), "b": base64.b64encode(b"2").decode()},
}
PATH = "/api/v1/namespaces/ns/secrets/s"


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("there", "changed", "written"),
    [
        (None, True, ("post", "/api/v1/namespaces/ns/secrets", SECRET)),
        (SECRET, False, None),
        ({"data": {**SECRET["data"], "old": "eA=="}}, True, ("patch", PATH, {"data": {"old": None, **SECRET["data"]}})),
        ({}, True, ("patch", PATH, {"data": SECRET["data"]})),
    ],
)
def test_a_secret_is_written_where_it_differs(check_mode, there, changed, written):
    api = Answers({} if there is None else {PATH: there})
    assert dind_cluster.put_secret(api, SECRET, check_mode) is changed
    assert api.written == ([written] if written and not check_mode else [])


def test_certificates_of_the_cluster_are_read_by_secret_and_key():
    api = Answers({"/api/v1/namespaces/ns/secrets/dind-ca": {"data": SECRET["data"]}})
    assert dind_cluster.certificates(api, "ns") == {"dind-ca": {"a": "1", "b": "2"}}
