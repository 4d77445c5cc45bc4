"""What a parser of the fuzz is: a reader, samples of what it reads, how they are edited, how it may refuse."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fleet
import mutations

from unshim import observe

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "data"


@dataclass(frozen=True)
class Parser:
    """``read`` raises nothing but ``refuses``, whatever its text; ``samples`` are texts that it takes.

    Attributes:
        change: makes edits (a list of three numbers each) to a sample.
        cost: how many times as long as most it takes; it gets so many times fewer inputs in a quick run.
        is_deep: it goes on to plans and reports, and gets a tenth of the inputs in a full run.
    """

    read: Callable[[str], object]
    samples: tuple[str, ...]
    change: Callable[..., str] = mutations.text
    refuses: tuple[type[Exception], ...] = ()
    cost: int = 1
    is_deep: bool = False


def texts(pattern):
    found = tuple(path.read_bytes().decode("utf-8", "surrogateescape") for path in sorted(DATA.glob(pattern)))
    assert found, pattern
    return found


@cache
def facts(name):
    return observe.parse((DATA / f"probes/{name}.probe").read_bytes().decode("utf-8", "surrogateescape"))


def file_of(name, path):
    content = facts(name).files[path].content
    assert content, path
    return content


def raw(text):
    return text.encode("utf-8", "surrogatepass")


# The controller: facts and plans

# Samples that several read


SYSTEMD = """\
[Unit]
Description=kubelet
[Service]
Environment="HTTPS_PROXY=http://me:word@proxy:3128" 'NO_PROXY=localhost, 10.0.0.0/8'
EnvironmentFile=-/e
UnsetEnvironment=FOO A=b
ExecStartPre=/bin/true
ExecStart=/usr/bin/kubelet --config=/var/lib/kubelet/config.yaml \\
  # a comment
  --network-plugin=cni "--node-labels=a=b,c=d" $KUBELET_EXTRA_ARGS ${KUBELET_KUBEADM_ARGS} 50%%
"""
ENVIRONMENT = "# a comment\nKUBELET_EXTRA_ARGS=\"--v=2 --node-ip=10.0.0.1\"\nexport A='b c' # d\nB=c\\\nd\n"
DAEMON_JSON = json.dumps({
    "data-root": "/srv/docker", "registry-mirrors": ["https://mirror.example"], "insecure-registries": ["10.0.0.0/8", "r.example:5000"], "log-driver": "json-file",
    "log-opts": {"max-size": "10m", "max-file": "3"}, "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 64000, "Soft": 64000}}, "exec-opts": ["native.cgroupdriver=systemd"],
    "runtimes": {"nvidia": {"path": "/usr/bin/nvidia-container-runtime", "runtimeArgs": ["-x"]}}, "default-runtime": "nvidia", "bip": "172.26.0.1/16", "proxies": {"http-proxy": "http://u:p@x:1"},
    "default-address-pools": [{"base": "172.30.0.0/16", "size": 24}], "max-concurrent-downloads": 3, "storage-driver": "overlay2", "live-restore": True, "selinux-enabled": False, "mtu": 1400,
    "hosts": ["unix:///var/run/docker.sock"], "userns-remap": "default", "default-shm-size": "128m",
}, indent=1)  # fmt: skip
JOURNALS = tuple(json.dumps(fleet.journal(state), indent=1) for state in ("prepared", "verified"))
