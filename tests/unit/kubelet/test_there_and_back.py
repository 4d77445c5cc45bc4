"""Any file with flags, switched to containerd and given back: only what is announced changes, and every byte comes back."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from unshim import compat
from unshim.facts import File, Unit
from unshim.kubelet_command_line import flag_value, flags, resolve
from unshim.kubelet_switch import switch_runtime
from unshim_node import file_changes
from unshim_node.journal import Journal

ENDPOINT = "unix:///run/containerd/containerd.sock"
FRAGMENT, DROP_IN = "/lib/systemd/system/kubelet.service", "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"
KUBEADM, EXTRA = "/var/lib/kubelet/kubeadm-flags.env", "/etc/default/kubelet"

NAME = st.text("abcdefg", min_size=2, max_size=6).map(lambda name: f"x-{name}")  # flags that unshim knows nothing of
VALUE = st.sampled_from(
    ["", "1", "a=b,c=d", "two words", "it's", 'say "x"', "$HOME", "50%", "/var/lib/x", "a\\b", "-1", "#x", ";"]
)
DOCKERSHIMS = st.sampled_from([
    ("network-plugin", "cni"), ("network_plugin", "kubenet"), ("cni-bin-dir", "/opt/cni/bin,/usr/lib/cni"), ("docker-root", "/d"),
    ("image-pull-progress-deadline", "2m"), ("container-runtime", "docker"), ("docker-endpoint", "unix:///var/run/docker.sock"),
])  # fmt: skip
FLAG = st.one_of(st.tuples(NAME, VALUE), st.tuples(NAME, VALUE), DOCKERSHIMS)


@dataclass
class Place:
    """One file: how a list of words is written into it."""

    path: str
    text: str
    words: list[str]


def quoted(word, bare_is_fine):
    """A word for ExecStart= or for the value of a variable, quoted where it must be."""
    if bare_is_fine and word and not set(word) & set(" '\"\\$%#;"):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def words_of_flags(draw):
    words = []
    for name, value in draw(st.lists(FLAG, max_size=6)):
        together = draw(st.booleans()) or value.startswith("-") or not value
        words += [f"--{name}={value}"] if together else [f"--{name}", value]
    if draw(st.booleans()):
        words.append("--docker-only")
    return words


@st.composite
def environment_file(draw, path, variable):
    """An environment file: comments, other variables, any quotes, lines continued, CRLF."""
    words = [word for word in draw(words_of_flags()) if "\\" not in word]
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    gaps = [" ", "  ", "\t"] + ([" \\\n  "] if newline == "\n" else [])
    style = draw(st.sampled_from(['"', "'", ""]))
    if style == "'":
        words = [word for word in words if "'" not in word]
    value = ""
    for word in words:
        written = quoted(word, draw(st.booleans()))
        if style == '"':
            written = written.replace("\\", "\\\\").replace('"', '\\"')
        elif style == "":
            # A quote after the first word is an ordinary character there, and a backslash protects the next.
            written = written.replace("\\", "\\\\") if value else written
            if not value and written.startswith('"'):
                continue
        gap = draw(st.sampled_from([" "] if style == "'" else gaps))
        value += (gap if value else "") + written
    head = "".join(
        draw(
            st.lists(
                st.sampled_from(["# comment", "OTHER=1", "; note", "", "# --network-plugin=cni"]).map(
                    lambda t: t + newline
                ),
                max_size=3,
            )
        )
    )
    tail = draw(st.sampled_from(["", newline, f"{newline}# end{newline}", f"{newline}LAST='--x-not=used'"]))
    return Place(path, f"{head}{variable}={style}{value}{style}{tail}", words)


@st.composite
def unit_file(draw):
    """A unit or drop-in whose ExecStart= has flags of its own, one on a line or all on one, and the usual variables."""
    words = draw(words_of_flags())
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    gap = draw(st.sampled_from([" ", "   ", f" \\{newline}    ", f" \\{newline}# why{newline}    "]))
    written = [quoted(word.replace("%", "%%").replace("$", "$$"), draw(st.booleans())) for word in words]
    if draw(st.booleans()):
        written.append("$KUBELET_KUBEADM_ARGS")
    written += ["$KUBELET_SITE_ARGS", "$KUBELET_EXTRA_ARGS"]
    site = " ".join(quoted(word, draw(st.booleans())) for word in draw(words_of_flags()))
    site = site.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    lines = [
        "[Service]", f'Environment=A=1 "KUBELET_SITE_ARGS={site}"', "# by kubeadm", f"EnvironmentFile=-{KUBEADM}", f"EnvironmentFile=-{EXTRA}", "ExecStart=",
        f"ExecStart={gap.join(['/usr/bin/kubelet', *written])}", "Restart=always", "; end",
    ]  # fmt: skip
    return Place(DROP_IN, newline.join(lines) + draw(st.sampled_from(["", newline])), words)


NODES = st.tuples(
    unit_file(),
    st.one_of(st.none(), environment_file(KUBEADM, "KUBELET_KUBEADM_ARGS")),
    st.one_of(st.none(), environment_file(EXTRA, "KUBELET_EXTRA_ARGS")),
)
VERSIONS = st.sampled_from(["1.16.0", "1.20.2", "1.23.17"])


def as_files(places):
    files = {place.path: File(place.path, "file", place.text) for place in places if place is not None}
    files[FRAGMENT] = File(FRAGMENT, "file", "[Service]\nExecStart=/usr/bin/kubelet\n")
    return Unit("kubelet.service", "loaded", "active", fragment_path=FRAGMENT, drop_in_paths=(DROP_IN,)), files


def kept(argv):
    """The flags that are none of the runtime's."""
    ours = {"container-runtime", "container-runtime-endpoint"}
    return [(f.name, f.value) for f in flags(argv) if f.name not in ours and not compat.dockershim_reason(f.name)]


@given(places=NODES, version=VERSIONS)
def test_unknown_flags_and_comments_survive_and_the_runtime_is_set(places, version):
    unit, files = as_files(places)
    before = resolve(unit, files)
    switch = switch_runtime(unit, files, version, ENDPOINT)
    after = {**files, **{path: File(path, "file", text) for path, text in switch.texts.items()}}
    line = resolve(unit, after)
    # What was rendered is read back as what was wanted.
    assert line.argv == switch.after.argv
    assert kept(line.argv) == kept(before.argv)
    assert flag_value(line.argv, "container-runtime-endpoint") == ENDPOINT
    assert flag_value(line.argv, "container-runtime") == "remote"
    assert not [flag.name for flag in flags(line.argv) if compat.dockershim_reason(flag.name)]
    # Done is done.
    assert switch_runtime(unit, after, version, ENDPOINT).texts == {}
    for path, text in switch.texts.items():
        assert comments(text) == comments(files[path].content if path in files else "")
        assert text.count("\r") == (files[path].content if path in files else "").count("\r") or "\\" in text


def comments(text):
    return [line for line in text.replace("\r", "").split("\n") if line.lstrip().startswith(("#", ";"))]


@given(places=NODES, version=VERSIONS, mode=st.sampled_from([0o600, 0o640, 0o644]), linked=st.booleans())
@settings(max_examples=25)
def test_what_was_switched_on_a_node_and_given_back_has_the_same_bytes(places, version, mode, linked):
    """Through the modules' own code: FileChanges applied to real files under a journal, and restored from it."""
    unit, files = as_files(places)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        originals = {}
        for place in places:
            if place is not None:
                path = root / place.path.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                if linked:
                    (path.parent / "real").write_bytes(place.text.encode())
                    path.symlink_to("real")
                else:
                    path.write_bytes(place.text.encode())
                path.chmod(mode)
                originals[path] = place.text.encode()
        journal = Journal.load(str(root / "unshim"))
        switch = switch_runtime(unit, files, version, ENDPOINT)
        changed = []
        for path, text in switch.texts.items():
            real = str(root / path.lstrip("/"))
            before = files[path].content if path in files else None
            # A new file may come into a directory that is not there yet.
            change = {
                "path": real, "before": before, "after": text, "mode": f"{mode:04o}",
                "owner": str(os.getuid()), "group": str(os.getgid()), "role": "kubelet",
            }  # fmt: skip
            assert file_changes.apply_change(change, journal, False)["changed"]
            assert Path(real).read_bytes() == text.encode()
            changed.append(real)
        for real in changed:
            journal.restore_file(real)
        for path, content in originals.items():
            assert path.read_bytes() == content
            assert path.stat().st_mode & 0o7777 == mode
            assert path.is_symlink() is linked
        assert not [real for real in changed if Path(real) not in originals and Path(real).exists()]
        journal.unlock()
