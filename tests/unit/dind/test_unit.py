"""The unit of a host without Kubernetes, and its container's files."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from unshim.dind import unit
from unshim.dind.model import DindError, Networks, Registries

GOLDEN = Path(__file__).parents[2] / "data/dind/unshim-dind.service"
LIMITED = {"limits": {"memory": "2Gi"}}


def test_the_unit_is_the_golden_file(settings, update_golden):
    text = unit.unit(settings(resources=LIMITED))
    if update_golden:
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd is not on this machine; the lab starts the unit"
)
def test_systemd_understands_it(settings, tmp_path):
    (tmp_path / unit.UNIT).write_text(unit.unit(settings(resources=LIMITED)))
    (tmp_path / "containerd.service").write_text("[Service]\nExecStart=/bin/true\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.UNIT)],
        text=True,
        capture_output=True,
        check=False,
    )
    assert unit.UNIT not in done.stderr, done.stderr


def test_its_files_hold_what_pods_get(settings):
    made = unit.files(
        settings(), Registries(("https://m.example",), ca={"r.example:5000": "PEM\n"}, proxies={"HTTP_PROXY": "http://u:p@x"}),
        Networks(nodes=("172.17.0.0/16",)), "legacy",
    )  # fmt: skip
    daemon = json.loads(made.files["/etc/unshim-dind/daemon.json"])
    assert daemon["bip"] == "172.18.0.1/24" and daemon["registry-mirrors"] == ["https://m.example"]
    assert made.files["/etc/unshim-dind/certs.d/r.example:5000/ca.crt"] == "PEM\n"
    environment = made.files["/etc/unshim-dind/environment"].splitlines()
    assert {"DIND_IPTABLES=legacy", "DIND_MTU=0", "HTTP_PROXY=http://u:p@x"} <= set(environment)
    assert made.secret == ("/etc/unshim-dind/environment",)


def test_a_proxy_that_would_break_the_file_is_refused(settings):
    with pytest.raises(DindError, match="HTTP_PROXY"):
        unit.files(settings(), Registries(proxies={"HTTP_PROXY": "http://x\nPATH=/evil"}), Networks(), "nft")


@pytest.mark.parametrize(
    ("text", "limit"), [("2Gi", 2 << 30), ("512Mi", 512 << 20), ("1G", 10**9), ("1024", 1024), ("64Ki", 65536), ("", 0)]
)
def test_the_memory_limit_in_bytes(text, limit, settings):
    assert unit.memory_limit(settings(resources={"limits": {"memory": text}} if text else {})) == limit
