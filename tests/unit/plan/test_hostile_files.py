"""Files that nobody should have written: one clear message where they stop a node, and none where they do no harm."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from unshim import plan
from unshim.plan_model import Settings

_spec = importlib.util.spec_from_file_location("golden_plans", Path(__file__).parent / "test_golden_plans.py")
golden_plans = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden_plans)

FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
# The golden plans tests/data/plans/hostile-*, and what stops the node: the one message must have these words in it.
STOPS = {
    "hostile-quote-not-closed": (f'{FLAGS}:2: the quote " is never closed',),
    "hostile-not-utf8": ("/etc/default/kubelet: the file is not UTF-8 text",),
    "hostile-configuration-not-utf8": ("/var/lib/kubelet/config.yaml is not UTF-8 text",),
    "hostile-configuration-malformed": ("/var/lib/kubelet/config.yaml", "line 3, column 1"),
    "hostile-directory": ("/var/lib/kubelet/instance-config.yaml is a directory",),
    "hostile-link-to-nowhere": ("/var/lib/kubelet/instance-config.yaml is a symlink to nothing",),
    "hostile-immutable": (f"{FLAGS} has the immutable attribute",),
    "hostile-read-only": ("/etc/containerd is on a read-only file system", "/etc/containerd/config.toml"),
    "hostile-crlf": None,
    "hostile-empty-files": None,
    "hostile-byte-order-mark": None,
    "hostile-links": None,
}


def test_every_golden_plan_is_here():
    assert {path.name for path in golden_plans.folders() if path.name.startswith("hostile-")} == set(STOPS)


@pytest.mark.parametrize("name", STOPS)
def test_one_message_or_none(name):
    blockers = golden_plans.make(golden_plans.CASES / name).blockers
    if STOPS[name] is None:
        assert [finding.message for finding in blockers] == []
        return
    (finding,) = blockers
    assert finding.remedy
    for words in STOPS[name]:
        assert words in finding.message


@pytest.mark.parametrize(
    "obstacles, message",
    [
        ({FLAGS: "append-only"}, f"{FLAGS} has the append-only attribute, so it cannot be changed"),
        ({FLAGS: "mounted"}, f"{FLAGS} has something mounted on it, so it cannot be replaced"),
        ({"/var/lib/kubelet": "immutable"}, "the directory /var/lib/kubelet has the immutable attribute, so "),
        ({"/var/lib": "read-only"}, "the directory /var/lib is on a read-only file system, so "),
        ({"/var/lib": "read-only", "/var/lib/kubelet": ""}, "so /var/lib/unshim/journal.json cannot be written"),
        ({"/srv": "read-only", "/": "", "/etc/passwd": "immutable"}, None),
    ],
)
def test_what_cannot_be_written(worker, obstacles, message):
    found = plan.make(replace(worker(), obstacles=obstacles), Settings(), "w1").blockers
    assert [finding.id for finding in found] == (["not-writable"] if message else [])
    assert message is None or message in found[0].message
