"""Who calls Docker on a node, seen by the probe: real files, real processes, real sockets of this machine; no Docker."""

import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shlex import quote

import pytest

from unshim import observe
from unshim.facts import Mention

SHELLS = [("dash",), ("bash", "--posix"), ("busybox", "sh"), ("mksh",), ("yash",)]
AWKS = ["mawk", "gawk", "busybox awk", "original-awk"]
ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="only root may look into other processes")


def probe(snippet, shell=("sh",), before=lambda script: script, user=None):
    """The facts that some functions of the probe find."""
    script = before(observe.probe_script())
    script = script[: script.rindex("main <")] + "exec 2>/dev/null; unset IFS; LC_ALL=C; export LC_ALL; find_timeout\n"
    script += f"units=; printf '@@unshim-probe 1\\n'; {snippet}\nprintf '@@unshim-probe-end\\n'"
    done = subprocess.run([*shell, "-c", script], stdout=subprocess.PIPE, user=user, timeout=60, check=True)
    return observe.parse(done.stdout.decode("utf-8", "surrogateescape"))


def mentions(cron=(), services=(), **how):
    files = "; ".join(
        f"{name}() {{ {'; '.join(f'echo {quote(str(path))}' for path in paths) or ':'}; }}"
        for name, paths in (("cron_files", cron), ("service_files", services))
    )
    return probe(f"{files}; show_docker_mentions", **how).docker_mentions


@pytest.fixture
def node(tmp_path):
    """Writes a file below a directory that stands for a node's root."""

    def write(path, content):
        file = tmp_path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.replace("ROOT", str(tmp_path)).encode())
        return str(file)

    return write


SCRIPT = """#!/bin/bash -e
# docker ps, said a comment
    # and another: docker rm
cat <<-'EOF' >/usr/share/doc
\tdocker run, said a text
\tEOF
x=$((1 << docker_count))
cat <<< "$x"
docker \\
  system \\
  prune --force
echo done
"""


@pytest.mark.parametrize("shell", [one for one in SHELLS if shutil.which(one[0])], ids=" ".join)
@pytest.mark.parametrize("awk", [one for one in AWKS if shutil.which(one.split()[0])])
def test_a_crontab_and_the_script_that_it_names(node, shell, awk):
    script = node("/opt/gc.sh", SCRIPT)
    tab = node("/etc/cron.d/gc", "# docker\nMAILTO=root\n* * * * * root ROOT/opt/gc.sh >/dev/null\n")
    found = mentions(cron=[tab], shell=shell, before=lambda text: text.replace("t awk ", f"t {awk} "))
    assert [(one.path, one.line, " ".join(one.text.split())) for one in found] == [
        (script, 7, "x=$((1 << docker_count))"),
        (script, 9, "docker system prune --force"),
    ]
    assert {(one.interpreter, one.called_by) for one in found} == {("#!/bin/bash -e", (f"{tab}:3",))}


def test_of_a_service_only_commands_and_variables_count(node):
    unit = node(
        "/etc/systemd/system/a.service",
        "[Unit]\nDescription=docker\nAfter=docker.service\n; ExecStart=docker\n#ExecStart=docker\n[Service]\n"
        "Environment=DOCKER_HOST=unix:///x\nExecStartPre=-/usr/bin/docker rm a\nExecStart=/usr/bin/docker run \\\n  --rm \\\n  a\n"
        "EnvironmentFile=/etc/docker.env\nExecStop=ROOT/opt/stop\n",
    )
    stop = node("/opt/stop", "#!/usr/bin/python3\nsubprocess.run(['docker', 'stop', 'a'])\nn = 1 << docker\n")
    found = mentions(services=[unit])
    assert [(one.path, one.line) for one in found] == [(unit, 7), (unit, 8), (unit, 9), (stop, 2), (stop, 3)]
    assert found[2].text.split() == ["ExecStart=/usr/bin/docker", "run", "--rm", "a"]
    assert found[3].interpreter == "#!/usr/bin/python3"
    assert found[3].called_by == (f"{unit}:13",)


def test_only_scripts_of_a_reasonable_size_are_read(node, tmp_path):
    binary = node("/opt/binary", b"\x7fELF\x00\x01\ndocker ps\n")
    text = node("/opt/notes.txt", "docker ps\n")
    big = node("/opt/big.sh", "#!/bin/sh\n" + "# filler\n" * 8000 + "docker ps\n")
    os.mkfifo(tmp_path / "pipe")
    sourced = node("/opt/part.sh", "docker ps\n")  # no interpreter, but its name says what it is
    tab = node("/cron", f"* * * * * root {binary} {text} {big} {tmp_path}/pipe {tmp_path}/absent; . {sourced}\n")
    assert [one.path for one in mentions(cron=[tab])] == [sourced]


def test_nothing_else_of_a_file_leaves_the_node(node):
    script = node("/opt/x.sh", "#!/bin/sh\nPASSWORD=hunter2\ndocker ps\ncurl -u me:hunter2 https://x\n")
    tab = node("/cron", f"MAILTO=hunter2\n* * * * * root {script}\n* * * * * root backup hunter2\n")
    found = mentions(cron=[tab])
    assert [one.text for one in found] == ["docker ps"]
    assert "hunter2" not in repr(found)


def test_a_node_without_callers_says_that_it_was_looked_at(node):
    assert mentions(cron=[node("/cron", "* * * * * root true\n")]) == ()
    assert mentions() == ()


@pytest.mark.parametrize("missing", ["awk", "find"])
def test_without_the_tools_it_is_said(node, missing):
    facts = probe(
        "show_docker_mentions",
        before=lambda text: text.replace("has() { ", f'has() {{ [ "$1" != {missing} ] || return 1; '),
    )
    assert facts.docker_mentions is None
    assert facts.not_seen == ("who calls docker in crontabs and services: awk or find is not installed",)


HOSTILE = [
    b"* * * * * root docker ps \xff\xfe\n",
    b"* * * * * root docker ps \x1b[2J\r@@unshim-probe-end\r\n",
    b"* * * * * root docker ps\x00 after\n",
    b"@@file /etc/shadow docker\n* * * * * root docker ps\n",
    b"* * * * * root docker ps " + b"x" * 60000,
    b"mention\t/etc/x\t1\tdocker ps\n",
    b"* * * * * root docker ps \\\n" * 50,
]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_bytes_of_a_file_cannot_be_taken_for_the_probes(node, content):
    path = node("/cron", content)
    found = mentions(cron=[path])
    assert {one.path for one in found} == {path}
    assert any("docker ps" in one.text for one in found)
    for one in found:
        assert len(one.text) <= 1000
        assert not set(one.text) & {"\x1b", "\r", "\n", "\x00"}


def test_names_of_files_may_be_odd(node):
    odd = node("/etc/cron.d/a b*[c]\x1b", "* * * * * root docker ps\n")
    assert [one.path for one in mentions(cron=[odd])] == [odd.replace("\x1b", "?")]


def test_the_number_of_lines_has_a_limit(node):
    assert len(mentions(cron=[node("/cron", "* * * * * root docker ps\n" * 5000)])) == 300


def test_where_it_looks(node, tmp_path):
    """The probe's own lists of files, with this directory as the root."""
    for path in (
        "/etc/crontab",
        "/etc/cron.d/a",
        "/var/spool/cron/root",
        "/var/spool/cron/crontabs/joe",
        "/var/spool/cron/tabs/eve",
    ):
        node(path, "* * * * * root docker ps\n")
    daily = node("/etc/cron.daily/gc", "#!/bin/sh\ndocker ps\n")
    os.chmod(daily, 0o755)
    node("/etc/cron.daily/not-executable", "#!/bin/sh\ndocker ps\n")
    unit = node("/usr/lib/systemd/system/b.service", "[Service]\nExecStart=/usr/bin/docker run b\n")
    node("/etc/systemd/system/c.service.d/x.conf", "[Service]\nExecStartPre=/usr/bin/docker ps\n")
    (tmp_path / "etc/systemd/system/multi-user.target.wants").mkdir()
    (tmp_path / "etc/systemd/system/multi-user.target.wants/b.service").symlink_to(unit)
    (tmp_path / "etc/systemd/system/d.service").symlink_to("/dev/null")

    def here(script):
        lists = script[script.index("cron_files() {") : script.index("readable() {")]
        moved = lists.replace(" /etc/", f" {tmp_path}/etc/").replace(" /var/", f" {tmp_path}/var/")
        return script.replace(
            lists, moved.replace(" /usr/", f" {tmp_path}/usr/").replace(" /lib/", f" {tmp_path}/lib/")
        )

    found = [one.path.removeprefix(str(tmp_path)) for one in probe("show_docker_mentions", before=here).docker_mentions]
    assert found == [
        "/etc/cron.d/a", "/etc/cron.daily/gc", "/etc/crontab", "/etc/systemd/system/c.service.d/x.conf",
        "/usr/lib/systemd/system/b.service", "/var/spool/cron/crontabs/joe", "/var/spool/cron/root", "/var/spool/cron/tabs/eve",
    ]  # fmt: skip


def test_what_systemd_says_of_the_services_that_mention_docker(node):
    """systemctl is asked once, for these and no others; a template by its instances."""
    units = [
        node("/etc/systemd/system/a.service", "[Service]\nExecStart=/usr/bin/docker ps\n"),
        node("/etc/systemd/system/t@.service", "[Service]\nExecStart=/usr/bin/docker ps\n"),
        node("/etc/systemd/system/d.service.d/x.conf", "[Service]\nExecStart=/usr/bin/docker ps\n"),
        node("/etc/systemd/system/other.service", "[Service]\nExecStart=/usr/bin/true\n"),
    ]
    asked = Path(units[0]).parent / "asked"
    answer = "Id=a.service\\nLoadState=loaded\\nActiveState=inactive\\nUnitFileState=static\\nTriggeredBy=a.timer b.path\\n\\nId=t@1.service\\nActiveState=active\\n"
    listed = "; ".join(f"echo {unit}" for unit in units)
    facts = probe(
        f"units=x; cron_files() {{ :; }}; service_files() {{ {listed}; }}; "
        f'systemctl() {{ echo "$@" >>{asked}; printf \'{answer}\'; }}; t() {{ "$@"; }}; show_docker_mentions'
    )
    assert asked.read_text().split()[-3:] == ["a.service", "d.service", "t@*.service"]
    assert "other.service" not in asked.read_text()
    assert [(unit.name, unit.active_state, unit.triggered_by) for unit in facts.mentioning_units] == [
        ("a.service", "inactive", ("a.timer", "b.path")),
        ("t@1.service", "active", ()),
    ]


# ---- who is connected


DAEMON = """
import socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
print("listening", flush=True)
kept = []
while True:
    kept.append(listening.accept())
    print("accepted", flush=True)
"""
CLIENT = """
import socket, sys, time
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
time.sleep(60)
"""


@pytest.fixture
def machine():
    """Starts programs and ends them; sockets need a short path."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))

        def start(*command, **how):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **how)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield folder, start


def clients_of(daemon, path):
    snippet = f"DOCKER_SOCKET={path}; dockerd_pid={daemon.pid}; show_docker_clients"
    return probe(snippet).docker_clients


@pytest.fixture
def daemon(machine):
    if not shutil.which("ss"):
        pytest.skip("needs ss (iproute2)")
    folder, start = machine
    process = start(sys.executable, "-c", DAEMON, folder / "docker.sock")
    assert process.stdout.readline() == "listening\n"
    return process, folder / "docker.sock"


@ROOT_ONLY
def test_a_connection_is_seen_from_any_network_namespace_with_who_made_it(machine, daemon):
    _, start = machine
    server, path = daemon
    assert clients_of(server, path) == ()
    here = start(sys.executable, "-c", CLIENT, path)
    there = start("unshare", "--net", sys.executable, "-c", CLIENT, path)
    probes_own = start(sys.executable, "-c", CLIENT, path, env={**os.environ, "UNSHIM_PROBE": "1"})
    for _ in range(3):
        assert server.stdout.readline() == "accepted\n"
    found = clients_of(server, path)
    assert sorted(client.pid for client in found) == sorted([here.pid, there.pid])
    assert probes_own.pid not in {client.pid for client in found}
    for client in found:
        assert client.name == Path(f"/proc/{client.pid}/comm").read_text().strip()
        assert client.cgroups
    here.kill()
    here.wait()
    assert [client.pid for client in clients_of(server, path)] == [there.pid]


@ROOT_ONLY
def test_a_daemon_of_the_same_name_elsewhere_is_another(machine, daemon):
    """Docker in a pod has a docker.sock of its own, and whoever uses that is not the node's concern."""
    folder, start = machine
    server, path = daemon
    (folder / "pod").mkdir()
    other = start(sys.executable, "-c", DAEMON, folder / "pod/docker.sock")
    assert other.stdout.readline() == "listening\n"
    client = start(sys.executable, "-c", CLIENT, folder / "pod/docker.sock")
    assert other.stdout.readline() == "accepted\n"
    assert clients_of(server, path) == ()
    assert [one.pid for one in clients_of(other, folder / "pod/docker.sock")] == [client.pid]


@ROOT_ONLY
def test_nobody_connects_to_look(daemon):
    """A socket that systemd listens on would start Docker at the first connection."""
    server, path = daemon
    clients_of(server, path)
    assert select.select([server.stdout], [], [], 0.2)[0] == []
    with socket.socket(socket.AF_UNIX) as connection:  # the test can see one
        connection.connect(str(path))
        assert server.stdout.readline() == "accepted\n"


def test_where_docker_does_not_run_nothing_is_looked_at():
    facts = probe("dockerd_pid=; show_docker_clients")
    assert (facts.docker_clients, facts.not_seen) == (None, ())


@ROOT_ONLY
def test_a_process_may_be_called_anything(machine, daemon):
    """15 bytes of the process' own choice."""
    _, start = machine
    server, path = daemon
    naming = "import ctypes; ctypes.CDLL(None).prctl(15, b'a\\n@@x\\r@@y\\x1b[2J', 0, 0, 0)\n"
    client = start(sys.executable, "-c", naming + CLIENT, path)
    assert server.stdout.readline() == "accepted\n"
    found = clients_of(server, path)
    assert [(one.pid, one.name) for one in found] == [(client.pid, "a@@x@@y[2J")]


@ROOT_ONLY
def test_another_user_is_told_that_he_cannot_see_it():
    facts = probe("dockerd_pid=1; show_docker_clients", user=65534)
    assert facts.docker_clients is None
    assert facts.not_seen == (
        "who is connected to the socket of Docker: that takes root, ss (iproute2) and nsenter (util-linux)",
    )


# ---- the group


@contextmanager
def _accounts(folder, group, passwd):
    (folder / "group").write_text(group)
    (folder / "passwd").write_text(passwd)
    yield lambda script: script.replace("/etc/group", f"{folder}/group").replace("/etc/passwd", f"{folder}/passwd")


@pytest.mark.parametrize(
    "group, members",
    [
        ("root:x:0:\ndocker:x:105:joe,ann\n", ("ann", "eve", "joe")),
        ("docker:x:105:\n", ("eve",)),
        ("docker:x:7:\n", ()),
        ("docker-users:x:105:joe\nxdocker:x:105:ann\n", ()),
        ("root:x:0:docker\n", ()),
    ],
)
def test_members_of_the_group(tmp_path, group, members):
    passwd = "root:x:0:0::/root:/bin/sh\njoe:x:105:1000::/:/bin/sh\neve:x:1001:105::/:/bin/sh\n"
    with _accounts(tmp_path, group, passwd) as before:
        assert probe("show_docker_group", before=before).docker_group == members


def test_a_mention_is_what_the_parser_says_it_is():
    assert observe.parse(
        "@@unshim-probe 1\n@@docker-mentions\ncontent base64\nbWVudGlvbgkvYQkzCWRvY2tlciBwcwo=\n@@unshim-probe-end\n"
    ).docker_mentions == (Mention("/a", 3, "docker ps"),)
