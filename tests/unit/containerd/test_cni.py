"""Which CNI file counts, and the plugins it needs."""

import json

from unshim import cni
from unshim.facts import File


def read(**contents):
    files = {f"/etc/cni/net.d/{name}": File(f"/etc/cni/net.d/{name}", "file", text) for name, text in contents.items()}
    return cni.read(files, "/etc/cni/net.d")


LIST = json.dumps(
    {
        "cniVersion": "0.3.1",
        "name": "n",
        "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}}, {"type": "portmap"}],
    }
)
ONE = json.dumps({"name": "n", "type": "flannel"})


def test_the_first_by_name_counts():
    found = read(**{"20.conf": ONE, "10.conflist": LIST, "05.txt": ONE})
    assert (found.path, found.plugins, found.has_version) == (
        "/etc/cni/net.d/10.conflist", ("calico", "calico-ipam", "portmap"), True,
    )  # fmt: skip


def test_a_single_plugin_without_a_version():
    found = read(**{"20.conf": ONE})
    assert (found.plugins, found.has_version) == (("flannel",), False)


def test_what_cannot_be_used_is_passed_over_and_told():
    found = read(**{"00.conf": "{", "01.conflist": '{"plugins": []}', "02.json": "[]", "10.conf": ONE})
    assert found.path == "/etc/cni/net.d/10.conf"
    assert [path.rsplit("/", 1)[1] for path, _ in found.unusable] == ["00.conf", "01.conflist", "02.json"]


def test_none():
    assert read().path == ""
