"""Inputs that ended in a traceback, or in "internal error", once: what hypothesis found, each in its shortest form."""

import base64
import gzip
import json
import re

import observed_nodes
import of_programs
import pytest
from parsers import DAEMON_JSON
from test_parsers import PARSERS, read

from unshim import probe_command

WORKER = next(sample for sample in PARSERS["probe"].samples if "@@docker-containers\n{" in sample)
NO_GZIP = base64.b64encode(gzip.compress(b"x" * 99)[:10] + b"\xff" * 20).decode()
RUN = PARSERS["run of compat.yml"].samples[0]
LOG = json.dumps(observed_nodes.DOCKER["pod.log"])
MANY_DIGITS = "1" * 5000
TWO_FACED = (
    "allow:\n  a: b\nallow:\n  - {rule: docker-socket-parent, object: Pod/a/b, reason: x, expires: 2027-03-31}\n"
)


def inspected(**changed):
    return json.dumps([{**json.loads(of_programs.INSPECTED)[0], **changed}])


def journal(**changed):
    return json.dumps({**json.loads(of_programs.node_journal()), **changed})


FOUND = [
    ("probe", WORKER.replace("time 17", "time nan 17").replace("time nan 17", "time nan\nx 17", 1)),
    ("probe", re.sub(r'"name":"[^"]*"', '"name":{"a":1}', WORKER)),
    ("probe", WORKER.replace("@@docker-containers\n", "@@docker-containers\n" + "[" * 100_000 + "\n")),
    ("probe, packed", f"{probe_command.PACKED}\n{NO_GZIP}\n{probe_command.PACKED_END}\n"),
    ("kubelet configuration", "null\n"),
    ("daemon.json", DAEMON_JSON.replace("1400", MANY_DIGITS)),
    ("containerd's config.toml", f"version = {MANY_DIGITS}\n"),
    ("containerd's config.toml", "version = 2\nx = " + "[" * 3000),
    ("hosts.toml in Docker-in-Docker", "host = 5\n"),
    ("hosts.toml in Docker-in-Docker", "x = " + "[" * 3000),
    ("journal", json.dumps({"timeline": [{"event": "drained", "time": 10**400}]})),
    ("journal", json.dumps({"timeline": [{"event": "drained", "time": 10**20}, {"event": "uncordoned", "time": float("nan")}]})),
    ("journal", json.dumps({"timeline": [], "steps": [{"stage": "prepare", "started": 10**400}]})),
    ("OCI spec", "[" * 100_000),
    ("findings.json", "[" * 100_000),
    ("findings.json", json.dumps({"form": 1, "findings": [], "allowed": 1.5})),
    ("run of compat.yml", RUN.replace(LOG, '"5"')),
    ("node.sh of compat.yml", "@@unshim-probe 1\n@@cni-directories\nx\n@@unshim-probe-end\n"),
    ("allow-list", "allow: " + "[" * 3000),
    ("allow-list", 'allow: [{rule: {a: b}, object: x, reason: y, expires: 2027-03-31}]'),
    ("allow-list", TWO_FACED),
    ("manifest types", "[" * 100_000),
    ("host_probe.sh", "== sysctl\nfs.inotify.max_user_instances ²\n"),
    ("host_probe.sh", f"== sysctl\nfs.inotify.max_user_instances {MANY_DIGITS}\n"),
    ("docker inspect", "[{"),
    ("docker inspect", inspected(Name={"a": 1})),
    ("docker inspect", inspected(State={"Running": True, "Pid": "x"})),
    ("docker inspect", inspected(State=1)),
    ("the kernel's sockets", "Num\n0: 00000002 00000000 zz 0001 01 12345 /run/docker.sock"),
    ("the kernel's sockets", "Num\n0: 00000002 00000000 00010000 0001 01 12345 /run/\0"),
    ("the kernel's tables", "eth0 " + "31" * 2500 + " 0100000A 0003 0 0 0 " + "31" * 2500 + " 0 0 0\n"),
    ("iptables-save", "*filter\n:\n-A \n:DOCKER - [0:0]\n-A\t\n"),
    ("CNI cache", of_programs.PODS.cache_file(cniArgs=[["a", "b", "c"]])),
    ("dnf", "Installing:\n replacing x\n"),
    ("etcd's answers", json.dumps({"members": ["x"], "errors": 1, "header": "x"})),
    ("etcd's answers", json.dumps({"members": [{"ID": "²", "clientURLs": 5}]})),
    ("etcd's configuration", "listen-client-urls: https://[[127.0.0.1:2379\n"),
    ("etcd's configuration", "listen-client-urls: https://127.0.0.1:x\n"),
    ("CRI messages", "\x0a\x02\x0a\x05"),
    ("gRPC over HTTP/2", "\0\0\x02\x07\0\0\0\0\0ab"),
    ("journal.json on the node", journal(units={"docker.service": {}})),
    ("journal.json on the node", journal(files={"/x": {"existed": True}})),
    ("journal.json on the node", journal(notes={"docker_stopped_foreign": [1]})),
    ("journal.json on the node", "[" * 100_000),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), FOUND, ids=[f"{number}-{name}" for number, (name, _) in enumerate(FOUND)])
def test_it_is_read_or_refused(name, text):
    read(PARSERS[name], text)


def test_they_are_no_samples():
    """A replacement that found nothing to replace would test nothing."""
    for name, text in FOUND:
        assert text not in PARSERS[name].samples, name
