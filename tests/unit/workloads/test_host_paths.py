"""What a path on a node really names, and what of Docker's is there."""

import pytest

from unshim.workloads.host_paths import holds_socket, is_socket, is_socket_elsewhere, real


@pytest.mark.parametrize(
    ("path", "links", "where"),
    [
        ("/var/run/docker.sock", {}, "/run/docker.sock"),
        ("//var//run/./docker.sock/", {}, "/run/docker.sock"),
        ("/var/lib/../run/docker.sock", {}, "/run/docker.sock"),
        ("/proc/1/root/var/run/docker.sock", {}, "/run/docker.sock"),
        ("/proc/1/root", {}, "/"),
        ("/proc/10/root/run", {}, "/proc/10/root/run"),
        ("/var/runner", {}, "/var/runner"),
        ("/var/lib/docker/x", {"/var/lib/docker": "/data/docker"}, "/data/docker/x"),
        ("/a", {"/a": "/b", "/b": "/var/run"}, "/run"),
        ("/a/x", {"/a": "/a"}, "/a/x"),
        ("/", {}, "/"),
        ("", {}, "/"),
    ],
)
def test_real(path, links, where):
    assert real(path, links) == where


def test_links_in_a_circle_end():
    assert real("/a", {"/a": "/b", "/b": "/a"}) in ("/a", "/b")


def test_sockets_and_what_they_are_in():
    assert is_socket("/run/docker.sock") and is_socket("/run/cri-dockerd.sock") and is_socket("/run/dockershim.sock")
    assert [
        path for path in ("/", "/run", "/run/docker", "/var", "/run/docker.sock", "/runner") if holds_socket(path)
    ] == [
        "/",
        "/run",
        "/run/docker",
    ]
    assert is_socket_elsewhere("/run/user/1000/docker.sock")
    assert not is_socket_elsewhere("/run/docker.sock") and not is_socket_elsewhere("/srv/docker.sock.d")
