"""Where the node has no perl: what `ctr plugins ls` says of CRI, as containerd 1.6 and 2.1 print it."""

import stat

import pytest

from unshim_node import cri_by_ctr
from unshim_node.cri import CriError

HEAD = "TYPE                            ID                       PLATFORMS      STATUS    \n"
OK_1 = "io.containerd.grpc.v1           cri                      linux/amd64    ok        \n"
OK_2 = "io.containerd.cri.v1            images                   -              ok        \n" + OK_1
OTHER = "io.containerd.grpc.v1           containers               -              ok        \n"


@pytest.fixture
def ctr(tmp_path, monkeypatch):
    def prints(plugins):
        path = tmp_path / "ctr"
        path.write_text(
            '#!/bin/sh\ncase "$*" in *version) printf "Client:\\n  Version:  1\\nServer:\\n  Version:  v1.6.20\\n";;\n'
            f"*) cat <<'END'\n{HEAD}{OTHER}{plugins}END\nesac\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return prints


@pytest.mark.parametrize("plugins", [OK_1, OK_2])
def test_ready(ctr, plugins):
    ctr(plugins)
    said = cri_by_ctr.wait_ready("/run/x.sock", 5, CriError)
    assert (said["runtime_version"], said["conditions"]["RuntimeReady"]["status"]) == ("1.6.20", True)


@pytest.mark.parametrize(
    ("plugins", "said"),
    [
        ("", "its CRI plugin is disabled"),
        (OK_1.replace("ok", "error"), "io.containerd.grpc.v1.cri is in state error"),
        (OK_2.replace("-              ok", "-              error"), "io.containerd.cri.v1.images is in state error"),
    ],
)
def test_not_ready(ctr, plugins, said):
    ctr(plugins)
    with pytest.raises(CriError, match=said):
        cri_by_ctr.wait_ready("/run/x.sock", 5, CriError)
