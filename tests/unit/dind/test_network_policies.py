"""Who reaches a dockerd, by the words of the policies: networking.k8s.io/v1, as a network add-on has to read them."""

import ipaddress

import pytest

from unshim.dind import manifests

OWN = "unshim-dind"
NAMESPACES = {OWN: {}, "ci": {"unshim.io/dind-clients": "true"}, "shop": {}}
DIND = {"unshim.io/dind": "true"}
CLIENT = {"unshim.io/dind-client": "true"}


def matches(selector, labels):
    assert set(selector) <= {"matchLabels"}
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def peer_is(peer, namespace, labels, policy_namespace):
    if "namespaceSelector" in peer:
        if not matches(peer["namespaceSelector"], NAMESPACES[namespace]):
            return False
    elif namespace != policy_namespace:
        return False
    return matches(peer.get("podSelector", {}), labels)


def admitted(policies, namespace, labels, target=DIND):
    """Return whether a pod may open a connection to one in DIND's namespace with the labels ``target``."""
    chosen = [
        one["spec"]
        for one in policies
        if "Ingress" in one["spec"]["policyTypes"] and matches(one["spec"]["podSelector"], target)
    ]
    assert chosen, "without a policy everything is admitted"
    return any(
        peer_is(peer, namespace, labels, OWN)
        for spec in chosen
        for rule in spec.get("ingress", ())
        for peer in rule["from"]
    )


def may_leave_to(policies, address):
    chosen = [one["spec"] for one in policies if "Egress" in one["spec"]["policyTypes"]]
    assert chosen
    address = ipaddress.ip_address(address)
    return any(
        address in ipaddress.ip_network(block["cidr"])
        and not any(address in ipaddress.ip_network(one) for one in block.get("except", ()))
        for spec in chosen
        for rule in spec.get("egress", ())
        for block in (peer["ipBlock"] for peer in rule["to"])
    )


@pytest.fixture
def policies(settings, cluster):
    def make(**changes):
        objects = manifests.objects(manifests.render(settings("service", **changes), cluster("1.31.0")))
        return [one for one in objects if one["kind"] == "NetworkPolicy"]

    return make


@pytest.mark.parametrize(
    ("namespace", "labels", "allowed"),
    [
        (OWN, CLIENT, True),
        (OWN, {}, False),
        (OWN, DIND, False),
        ("ci", CLIENT, True),
        ("ci", {}, False),
        ("shop", CLIENT, False),
        ("shop", {}, False),
    ],
)
def test_only_labelled_pods_of_named_namespaces_reach_it(namespace, labels, allowed, policies):
    assert admitted(policies(client_namespaces=("ci",)), namespace, labels) is allowed


def test_without_client_namespaces_only_its_own_reaches_it(policies):
    assert admitted(policies(), OWN, CLIENT)
    assert not admitted(policies(), "ci", CLIENT)


def test_a_pod_there_that_is_no_dockerd_is_reached_by_nobody(policies):
    assert not admitted(policies(), OWN, CLIENT, target={"app": "other"})


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("169.254.169.254", False),
        ("fd00:ec2::254", False),
        ("10.96.0.10", True),
        ("93.184.216.34", True),
        ("2001:db8::1", True),
    ],
)
def test_builds_reach_everything_but_the_metadata_service(address, allowed, policies):
    assert may_leave_to(policies(), address) is allowed
