"""The script that unshim is measured against: in which order it works, and what it takes for Ready."""

import os
import subprocess
from pathlib import Path

MOVE = Path(__file__).parents[3] / "benchmarks/by_hand/move.sh"

# Answers with the next line of the file that its question is named after; the last line stays.
KUBECTL = """#!/bin/bash
cd "$(dirname "$0")"
echo "kubectl $1 $2" >>calls
case "$1 $2" in
    "get node") file=node ;;
    "get pods") file=pods ;;
    *) exit 0 ;;
esac
answer=$(head -n 1 $file)
if [ "$(wc -l <$file)" -gt 1 ]; then sed -i 1d $file; fi
[ "$answer" != away ] || exit 1
printf '%b\\n' "$answer"
"""
NODE_SHELL = """#!/bin/bash
cd "$(dirname "$0")"
echo "on $1: ${*: -1}" >>calls
cat >script
"""
OWN = "DaemonSet {}://1,2026-11-26T06:00:00Z {}://2,2026-11-26T06:00:00Z\\n"
FREE = "ReplicaSet docker://9,2026-11-26T05:00:00Z\\n"


def move(directory, node, pods, *arguments):
    for name, text in (("kubectl", KUBECTL), ("shell", NODE_SHELL)):
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    (directory / "node").write_text("\n".join(node) + "\n")
    (directory / "pods").write_text("\n".join(pods) + "\n")
    subprocess.run(
        ["bash", MOVE, *arguments],
        check=True, timeout=60, cwd="/",
        env={**os.environ, "KUBECTL": f"{directory}/kubectl", "NODE_SHELL": f"{directory}/shell"},
    )  # fmt: skip
    return (directory / "calls").read_text().splitlines()


def test_it_waits_for_the_new_kubelet_and_for_the_nodes_own_pods(tmp_path):
    node = ["docker://20.10 True", "away", "containerd://1.6 False", "containerd://1.6 True"]
    pods = [
        "away",  # an API server that does not answer is no proof
        OWN.format("docker", "docker") + FREE,
        OWN.format("containerd", "docker") + FREE,
        "Node\\n" + OWN.format("containerd", "containerd"),  # a static pod without containers yet
        "Node containerd://1,\\n",  # waiting
        OWN.format("containerd", "containerd") + FREE,
    ]
    calls = move(tmp_path, node, pods, "w1")
    assert calls == [
        "kubectl drain w1",
        "on w1: switch",
        *["kubectl get node"] * 4,
        "kubectl annotate node",
        *["kubectl get pods"] * 6,
        "kubectl uncordon w1",
    ]
    assert (tmp_path / "script").read_text() == MOVE.with_name("node.sh").read_text()


def test_the_way_back_waits_for_docker(tmp_path):
    calls = move(tmp_path, ["containerd://1.6 True", "docker://20.10 True"], [""], "--back", "w1")
    assert "on w1: back" in calls and calls.count("kubectl get node") == 2 and calls[-1] == "kubectl uncordon w1"
