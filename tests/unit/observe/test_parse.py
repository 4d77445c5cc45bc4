"""What stands between a node and a clean probe output: terminals, broken connections, old shells, odd files."""

import base64
import re

import pytest

from unshim import observe
from unshim.observe import ProbeError

HEADER = "@@unshim-probe 1\n"
END = "@@unshim-probe-end\n"


def parse(body):
    return observe.parse(HEADER + body + END)


def encoded(content):
    return "content base64\n" + base64.encodebytes(content).decode()


def test_an_empty_probe_is_a_node_without_anything():
    facts = parse("")
    assert not facts.docker.installed
    assert not facts.containerd.installed
    assert not facts.kubelet.installed
    assert facts.units == {}
    assert facts.files == {}


def test_login_messages_and_prompts_before_the_header_are_left_out():
    text = "Authorized use only!\n\n[sudo] password for admin: \n" + HEADER + "@@system\nuid 0\n" + END + "logout\n"
    assert observe.parse(text).uid == 0


def test_carriage_returns_of_a_terminal_are_left_out():
    facts = observe.parse(
        (HEADER + "@@system\nhostname n1\n@@file /a\nkind file\n" + encoded(b"x" * 100) + END).replace("\n", "\r\n")
    )
    assert facts.hostname == "n1"
    assert facts.files["/a"].content == "x" * 100


def test_carriage_returns_inside_a_file_stay():
    assert parse("@@file /a\nkind file\n" + encoded(b"a\r\nb\r\n")).files["/a"].content == "a\r\nb\r\n"


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the probe did not run: it printed nothing"),
        ("sh: 1: Permission denied\nbye\n", "the probe did not run: sh: 1: Permission denied"),
        ("@@unshim-probe 2\n" + END, "version 2, only version 1"),
        (HEADER, "cut off in section unshim-probe"),
        (HEADER + "@@system\nuid 0\n", "cut off in section system"),
        (HEADER + "@@system\nuid 0\n@@file /etc/docker/dae", "cut off in section file"),
        (HEADER + "@@file /a\nkind file\ncontent base64\nZm9v!\n" + END, "damaged in section file /a"),
        (HEADER + "@@file /a\nkind file\ncontent base64\nZm9vY\n" + END, "damaged in section file /a"),
        (HEADER + "@@docker\n@@docker-info\n{}\n" + END, "damaged on its way (KeyError('version'))"),
        (HEADER + "@@system\nuid root\n" + END, "damaged on its way (ValueError("),
    ],
)
def test_unusable_output_is_refused_in_one_sentence(text, message):
    with pytest.raises(ProbeError, match=re.escape(message)) as caught:
        observe.parse(text)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_utf8_has_a_checksum_and_no_content():
    file = parse("@@file /a\nstat 640 root adm 3\nkind file\n" + encoded(b"\xff\xfe\n")).files["/a"]
    assert (file.kind, file.content, file.is_utf8) == ("file", None, False)
    assert file.sha256 == "6ff31c28bd3e1fb78657aaf43bf59f5a1a61169ff26a0b42022ae3c08269877c"
    assert (file.mode, file.owner, file.group) == ("0640", "root", "adm")


def test_a_file_in_hexadecimal_is_read_too():
    assert parse("@@file /a\nkind file\ncontent hex\n 61 62\n 0a\n").files["/a"].content == "ab\n"


def test_encoded_content_that_spells_a_key_is_content():
    file = parse("@@file /a\nstat 644 root root 3\nkind file\ncontent base64\nkind\n").files["/a"]
    assert (file.kind, file.is_utf8, len(base64.b64decode("kind"))) == ("file", False, 3)


def test_an_empty_file_is_not_a_missing_one():
    facts = parse("@@file /a\nstat 644 root root 0\nkind file\ncontent base64\n@@file /b\nkind missing\n")
    assert facts.files["/a"].content == ""
    assert facts.files["/b"].content is None
    assert facts.files["/b"].kind == "missing"


def test_a_link_carries_what_it_leads_to():
    facts = parse(
        "@@file /a\nlink /srv/a\nstat 644 root root 2\nkind file\n"
        + encoded(b"a\n")
        + "@@file /b\nlink /gone\nkind missing\n"
    )
    assert (facts.files["/a"].kind, facts.files["/a"].target, facts.files["/a"].content) == ("symlink", "/srv/a", "a\n")
    assert (facts.files["/b"].kind, facts.files["/b"].target, facts.files["/b"].content) == ("symlink", "/gone", None)


def test_an_unreadable_file_stays_unreadable_behind_a_link():
    assert parse("@@file /a\nlink /srv/a\nstat 600 root root 2\nkind unreadable\n").files["/a"].kind == "unreadable"


def test_what_was_not_seen_is_kept_in_order_and_once():
    facts = parse(
        "@@docker\nversion Docker version 26.1.5+dfsg1, build a72d7cd\n@@not-seen Docker: a: b\n@@not-seen c\n"
    )
    assert facts.not_seen == ("Docker: a: b", "c")
    assert (facts.docker.installed, facts.docker.answers, facts.docker.version) == (True, False, "26.1.5+dfsg1")


@pytest.mark.parametrize(
    "line, version",
    [
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u2", "1.6.20~ds1"),
        ("containerd containerd.io 1.7.22 7f7fdf5fed64eb6a7caf99b3e12efcf9d60e311c", "1.7.22"),
        ("containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b7193e4e490e9fbdc236c0e811ccaba3376", "2.1.4"),
        ("", ""),
    ],
)
def test_containerd_versions(line, version):
    assert parse(f"@@containerd\nversion {line}\n").containerd.version == version


def test_the_plugin_that_serves_cri_is_not_one_of_its_parts():
    plugins = (
        "TYPE ID PLATFORMS STATUS\nio.containerd.cri.v1  images  -  ok\nio.containerd.cri.v1  runtime  linux/amd64  ok\n"
        "io.containerd.grpc.v1  cri  -  error\n"
    )
    containerd = parse("@@containerd\n@@containerd-plugins\n" + plugins).containerd
    assert containerd.answers
    assert containerd.cri_plugin == "error"


def test_labels_that_copy_annotations_are_left_out():
    """dockershim makes labels of annotations, and last-applied-configuration may hold anything."""
    info = '{"version":"20.10.5","root":"/d","storage_driver":"overlay2","cgroup_driver":"systemd","default_runtime":"runc","runtimes":null,"live_restore":true}'
    container = (
        '{"id":"1","name":"/k8s_a","image":"a","running":false,"started_at":"","pid":0,'
        '"labels":{"io.kubernetes.pod.name":"a","annotation.kubectl.kubernetes.io/last-applied-configuration":"{}"}}'
    )
    docker = parse(f"@@docker\n@@docker-info\n{info}\n@@docker-containers\n{container}\n").docker
    assert docker.live_restore
    assert docker.containers[0].name == "k8s_a"
    assert docker.containers[0].labels == {"io.kubernetes.pod.name": "a"}


def test_versionlock_holds_the_package_it_names_and_no_other():
    packages = parse(
        "@@packages\ninstalled containerd.io 1.6.9-3.1.el9\nlocked containerd.io-0:1.6.9-3.1.el9.*\n"
    ).packages
    assert packages["containerd.io"].held
    assert packages["containerd.io"].version == "1.6.9-3.1.el9"
    assert not packages["containerd"].held


def test_a_file_system_whose_name_has_spaces():
    mount = parse("@@mount /d\ntype nfs4\ndf fs:/a b  100 40 60  40% /mnt/x y\n").mounts["/d"]
    assert (mount.device, mount.path, mount.filesystem) == ("fs:/a b", "/mnt/x y", "nfs4")
    assert (mount.size, mount.available) == (102400, 61440)


def test_what_cri_dockerd_runs_with():
    facts = parse("@@cri-dockerd-command-line\n" + encoded(b"/usr/bin/cri-dockerd\0--cni-conf-dir\0/etc/cni/other.d\0"))
    assert facts.cri_dockerd == ("/usr/bin/cri-dockerd", "--cni-conf-dir", "/etc/cni/other.d")
