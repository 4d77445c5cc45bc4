"""Which commands a command line runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshim.workloads.shell import commands, script_commands
from unshim.workloads.uses_docker import docker_commands, docker_commands_of_script


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("docker ps", ["docker ps"]),
        ("/usr/local/bin/docker build .", ["docker build"]),
        ("docker -H unix:///x --log-level error run x", ["docker run"]),
        ("docker-compose -f a.yml up", ["docker-compose up"]),
        ("A=1 B=2 docker pull x", ["docker pull"]),
        ("true && docker rm x || docker rmi x; docker system prune", ["docker rm", "docker rmi", "docker system"]),
        ("if docker info; then echo; fi", ["docker info"]),
        ("x=$(docker ps -q)", ["docker ps"]),
        ("x=`docker ps -q`", ["docker ps"]),
        ('echo "$(docker images)"', ["docker images"]),
        ("(docker ps)", ["docker ps"]),
        ("docker ps -q | xargs -n 1 docker rm", ["docker ps", "docker rm"]),
        ("sudo -u root timeout 5 docker ps", ["docker ps"]),
        ("timeout -s KILL 5 docker ps", ["docker ps"]),
        ("nsenter -t 1 -m -- docker ps", ["docker ps"]),
        ("chroot /host docker ps", ["docker ps"]),
        ("chroot /host sh -c 'docker ps'", ["docker ps"]),
        ("eval 'docker ps'", ["docker ps"]),
        ("for i in 1 2; do docker stop $i; done", ["docker stop"]),
        ("docker \\\n  build .", ["docker build"]),
        ("cat <<EOF\ndocker ps\nEOF\ndocker rm x", ["docker rm"]),
        ("echo it's\ndocker ps", ["docker ps"]),
        ("# docker ps", []),
        ("ls # docker ps", []),
        ("echo docker ps", []),
        ('echo "a; docker ps"', []),
        ("echo 'it is\ndocker ps\n'", []),
        ("cd docker && build", []),
        ("docker", []),
        ("docker --version", []),
        ("docker help", []),
        ("docker-entrypoint.sh run", []),
        ("./docker/run.sh", []),
        ("my-docker ps", []),
        ("skopeo copy docker://a docker://b", []),
        ("", []),
        ("'", []),
    ],
)
def test_docker_in_a_script(script, found):
    assert docker_commands_of_script(script) == found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["docker", "ps"], ["docker ps"]),
        (["sh", "-c", "docker ps"], ["docker ps"]),
        (["/bin/bash", "-euo", "pipefail", "-c", "docker ps"], ["docker ps"]),
        (["bash", "-o", "pipefail", "-e", "script.sh", "-c", "docker ps"], []),
        (["bash", "-ec", "docker ps"], ["docker ps"]),
        (["sh", "docker", "ps"], []),
        (["tini", "--", "sh", "-c", "exec docker ps"], ["docker ps"]),
        (["echo", "docker", "ps"], []),
        (["python3", "-c", "docker ps"], []),
        ([], []),
    ],
)
def test_docker_in_an_exec_array(words, found):
    assert docker_commands(words) == found


def test_who_runs_a_command_is_told_too():
    assert [one[0] for one in commands(["sudo", "nsenter", "--target", "1", "sh", "-c", "docker ps"])] == [
        "sudo",
        "nsenter",
        "sh",
        "docker",
    ]


@given(st.text(alphabet="dockersh ps-c;&|()$`'\"\\\n#<EOF1{}", max_size=200))
def test_no_text_is_too_strange(script):
    for words in script_commands(script):
        assert words and all(isinstance(word, str) for word in words)
