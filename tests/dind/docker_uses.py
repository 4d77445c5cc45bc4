"""What people use Docker for, done the same way in each mode, by a pod that has a dockerd of its own or reaches another's."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from dind_lab import BUSYBOX, NAMESPACE, PRIVATE, REGISTRY, DindLab

# Its process 1 ignores the signal that would end it: a dockerd that ends would wait for it.
WEB = ("--stop-signal", "KILL", BUSYBOX, "httpd", "-f", "-p", "80", "-h", "/etc")
PUBLISHED = 8080
VISITOR = "visitor"  # a pod without a dockerd


@dataclass(frozen=True)
class User:
    lab: DindLab
    pod: str
    dockerd: str  # the pod that dockerd runs in
    namespace: str = NAMESPACE
    container: str = "job"

    def execute(self, *words, **options):
        return self.lab.execute(self.pod, *words, container=self.container, namespace=self.namespace, **options)

    def done(self, *words, **options):
        return self.lab.done(self.pod, *words, container=self.container, namespace=self.namespace, **options)

    def docker(self, *words, **options):
        return self.done("docker", *words, **options)


def run(user):
    assert user.docker("run", "--rm", BUSYBOX, "echo", "inside").strip() == "inside"


def build_with_the_network_and_push_and_pull_with_tls(user):
    """The registry's private CA is one that the node's Docker trusted; nobody has given it to dockerd."""
    dockerfile = f"FROM {BUSYBOX}\nRUN timeout 20 wget -q -O /catalog http://{REGISTRY}/v2/_catalog && cat /catalog\n"
    image = f"{PRIVATE}/built-by-{user.pod}:1"
    script = f"mkdir -p /tmp/b && cat >/tmp/b/Dockerfile && DOCKER_BUILDKIT=0 docker build -t {image} /tmp/b"
    assert '"repositories"' in user.done("sh", "-c", script, stdin=dockerfile)
    user.docker("push", image)
    user.docker("rmi", image)
    user.docker("run", "--rm", image, "test", "-s", "/catalog")


def two_containers_in_a_network(user):
    user.docker("network", "create", "pair")
    user.docker("run", "-d", "--name", "web", "--network", "pair", *WEB)
    fetch = ("timeout", "20", "wget", "-q", "-O-", "http://web/passwd")
    assert user.docker("run", "--rm", "--network", "pair", BUSYBOX, *fetch).startswith("root:")


def a_published_port_from_another_pod(user):
    user.docker("run", "-d", "-p", f"{PUBLISHED}:80", *WEB)
    url = f"http://{user.lab.address_of(user.dockerd)}:{PUBLISHED}/passwd"
    assert user.lab.done(VISITOR, "wget", "-q", "-O-", url, seconds=20).startswith("root:")


USES = (
    run,
    build_with_the_network_and_push_and_pull_with_tls,
    two_containers_in_a_network,
    a_published_port_from_another_pod,
)
#: Of a mode that is not the default one: `make test` shows the two that depend most on where the dockerd is.
USES_OF_ANOTHER_MODE = tuple(
    pytest.param(use, marks=pytest.mark.full if use in (run, two_containers_in_a_network) else ()) for use in USES
)
