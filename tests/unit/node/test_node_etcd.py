"""etcd judged by what its members say (recorded from etcd 3.4.23 of the lab), asked of a real HTTP server."""

import base64
import contextlib
import hashlib
import http.server
import io
import json
import os
import shutil
import stat
import tempfile
import threading
import unittest

from unshim_node import etcd, etcd_quorum
from unshim_node.errors import NodeError

# Three members as /v3/cluster/member/list tells them, the last one added and not started yet.
MEMBERS = {
    "header": {"cluster_id": "14163730455685555262", "member_id": "17313692594317423123", "raft_term": "2"},
    "members": [
        {
            "ID": "17313692594317423123",
            "name": "cp1",
            "peerURLs": ["https://10.213.0.90:2380"],
            "clientURLs": ["https://10.213.0.90:2379"],
        },
        {
            "ID": "9372538179322589801",
            "name": "cp2",
            "peerURLs": ["https://10.213.0.91:2380"],
            "clientURLs": ["https://10.213.0.91:2379"],
        },
        {"ID": "12345", "peerURLs": ["https://10.213.0.92:2380"]},
    ],
}
STATUS = {
    "header": {
        "cluster_id": "14163730455685555262",
        "member_id": "17313692594317423123",
        "revision": "998",
        "raft_term": "2",
    },
    "version": "3.4.23",
    "dbSize": "1671168",
    "leader": "17313692594317423123",
    "raftIndex": "1089",
    "raftTerm": "2",
    "raftAppliedIndex": "1089",
    "dbSizeInUse": "1671168",
}


def cluster(*problems, **given):
    """Return a cluster with a member for each problem ("": healthy); the first one is this node's."""
    members = [
        etcd_quorum.Health(
            etcd_quorum.Member(str(number), "cp%d" % number, ["https://10.0.0.%d:2379" % number], False),
            problem,
            "3.4.23",
            "1",
        )
        for number, problem in enumerate(problems, 1)
    ]
    learners = [
        etcd_quorum.Health(etcd_quorum.Member("9", "learner", [], True), given["learner"], "", "")
        for _ in range("learner" in given)
    ]
    return etcd_quorum.Cluster("77", "1", members + learners)


class TestQuorum(unittest.TestCase):
    def test_who_may_go_down(self):
        for problems, refused in (
            ([""], ""),
            (["", ""], ""),
            (["", "", ""], ""),
            (["", "", "down"], "cp3 (3, https://10.0.0.3:2379): down"),
            (["", "down"], "cp2"),
            (["down", "", ""], "on this node"),
            (["", "", "", "down"], "cp4"),
            (["", "", "", "", "down"], ""),
            (["", "", "", "down", "down"], "more than one"),
        ):
            said = etcd_quorum.refusal(cluster(*problems))
            self.assertEqual(bool(said), bool(refused), problems)
            self.assertIn(refused, said)

    def test_a_learner_has_no_vote(self):
        self.assertEqual(etcd_quorum.refusal(cluster("", "", "", learner="down")), "")
        self.assertEqual(etcd_quorum.quorum(cluster("", "", "", learner="")), 2)

    def test_what_is_no_reason_to_refuse_is_told(self):
        self.assertIn("one member", etcd_quorum.warnings(cluster(""))[0])
        self.assertIn("needs both", etcd_quorum.warnings(cluster("", ""))[0])
        self.assertEqual(etcd_quorum.warnings(cluster("", "", "")), [])
        self.assertIn("cp5", etcd_quorum.warnings(cluster("", "", "", "", "down"))[0])

    def test_back_with_the_same_number(self):
        was = etcd_quorum.noted(cluster("", "", "down"))
        json.dumps(was)
        self.assertEqual(etcd_quorum.missing(cluster("", "", "down"), was), [])
        self.assertIn("away", etcd_quorum.missing(cluster("away", "", ""), was)[0])
        other = cluster("", "", "")._replace(own="2")
        self.assertIn("another member than before (cp2", etcd_quorum.missing(other, was)[0])
        elsewhere = cluster("", "", "")._replace(id="78")
        self.assertIn("another cluster", etcd_quorum.missing(elsewhere, was)[0])
        self.assertEqual(etcd_quorum.missing(cluster("", "", ""), {}), [])

    def test_others_are_no_reason_to_put_this_node_back(self):
        was = etcd_quorum.noted(cluster("", "", ""))
        self.assertEqual(etcd_quorum.missing(cluster("", "down", ""), was), [])


class Gateway(http.server.BaseHTTPRequestHandler):
    """Answers as etcd's gateway; ``answers`` is {path: (status, object or bytes)}."""

    answers = {}  # noqa: RUF012  Python 3.6 knows no ClassVar of a dict here

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.reply()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.reply()

    def reply(self):
        status, body = self.answers.get(self.path, (404, b"404 page not found\n"))
        data = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextlib.contextmanager
def gateway(answers):
    """Serve ``answers`` and return a client whose own member this is."""
    server = http.server.HTTPServer(("127.0.0.1", 0), type("Answers", (Gateway,), {"answers": answers}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    settings = dict.fromkeys(etcd.FLAGS, "")
    settings["listen-client-urls"] = "http://127.0.0.1:%d" % server.server_port
    try:
        yield etcd.Client(etcd.Process(os.getpid(), settings), timeout=2.0)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def snapshot(database, digest=None):
    """Return a snapshot as the gateway streams it: JSON objects by line, the database and then its checksum."""
    data = database + (digest or hashlib.sha256(database).digest())
    pieces = [data[start : start + 700] for start in range(0, len(data), 700)]
    left = len(data)
    lines = []
    for piece in pieces:
        left -= len(piece)
        message = {"blob": base64.b64encode(piece).decode("ascii")}
        if left:  # protobuf leaves a zero out
            message["remaining_bytes"] = str(left)
        lines.append(json.dumps({"result": message}))
    return "\n".join(lines).encode("ascii") + b"\n"


class TestAsking(unittest.TestCase):
    def test_members_and_their_health(self):
        answers = {
            "/v3/cluster/member/list": (200, MEMBERS),
            "/v3/maintenance/status": (200, STATUS),
            "/health": (200, {"health": "true"}),
        }
        with gateway(answers) as client:
            seen = etcd.look(client)
        self.assertEqual((seen.id, seen.own), ("14163730455685555262", "17313692594317423123"))
        mine, other, new = seen.members
        self.assertEqual((mine.problem, mine.version), ("", "3.4.23"))
        self.assertIn("https://10.213.0.91:2379", other.problem)
        self.assertIn("never started", new.problem)
        self.assertIn("f04697aec299f213", etcd_quorum.label(mine.member))

    def test_older_prefix_and_no_gateway(self):
        with gateway({"/v3beta/cluster/member/list": (200, MEMBERS)}) as client:
            self.assertEqual(len(client.call(client.local, "cluster/member/list")["members"]), 3)
        with gateway({}) as client, self.assertRaisesRegex(NodeError, "enable-grpc-gateway"):
            etcd.look(client)

    def test_a_member_that_says_it_is_ill(self):
        member = etcd_quorum.Member("17313692594317423123", "cp1", [], False)
        for answers, words in (
            ({"/health": (503, {"health": "false", "reason": "RAFT NO LEADER"})}, "RAFT NO LEADER"),
            (
                {"/health": (200, {"health": "true"}), "/v3/maintenance/status": (200, dict(STATUS, leader="0"))},
                "leader",
            ),
            (
                {
                    "/health": (200, {"health": "true"}),
                    "/v3/maintenance/status": (200, dict(STATUS, errors=["memberID:1 alarm:NOSPACE "])),
                },
                "NOSPACE",
            ),
            (
                {
                    "/health": (200, {"health": "true"}),
                    "/v3/maintenance/status": (200, dict(STATUS, header={"member_id": "5"})),
                },
                "another member answers",
            ),
            ({}, "status 404"),
            ({"/health": (200, b"<html>")}, "/health"),
        ):
            with gateway(answers) as client:
                self.assertIn(words, etcd.ask(client, member, [client.local]).problem)

    def test_a_health_without_the_gateway_is_enough(self):
        member = etcd_quorum.Member("1", "cp1", [], False)
        with gateway({"/health": (200, {"health": "true"})}) as client:
            self.assertEqual(etcd.ask(client, member, [client.local]).problem, "")


class TestSnapshot(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)
        self.place = os.path.join(self.directory, "etcd")

    def save(self, body, keep=3, status=STATUS):
        answers = {"/v3/maintenance/status": (200, status), "/v3/maintenance/snapshot": (200, body)}
        with gateway(answers) as client:
            return etcd.save(client, self.place, keep)

    def test_it_is_whole_and_only_root_reads_it(self):
        database = bytes(range(256)) * 8
        made = self.save(snapshot(database))
        with open(made.path, "rb") as stream:
            data = stream.read()
        self.assertEqual(data[:-32], database)
        self.assertEqual(made.size, len(data))
        self.assertEqual(made.sha256, hashlib.sha256(data).hexdigest())
        self.assertEqual(made.revision, 998)
        self.assertEqual(stat.S_IMODE(os.stat(made.path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.place).st_mode), 0o700)

    def test_one_that_is_not_whole_leaves_no_file(self):
        database = bytes(1024)
        error = json.dumps({"error": {"grpc_code": 14, "message": "etcdserver: server stopped"}}).encode("ascii")
        whole = snapshot(database)
        for body, words in (
            (snapshot(database, b"x" * 32), "checksum"),
            (whole.splitlines(True)[0], "announced"),
            (b"", "not whole"),
            (whole.splitlines(True)[0] + error, "server stopped"),
            (whole[:-20], "could not be asked"),
        ):
            with self.assertRaisesRegex(NodeError, words):
                self.save(body)
            self.assertEqual(os.listdir(self.place), [])

    def test_no_room(self):
        with self.assertRaisesRegex(NodeError, "No room"):
            self.save(snapshot(bytes(512)), status=dict(STATUS, dbSize=str(1 << 62)))

    def test_a_few_are_kept_and_foreign_files_always(self):
        os.mkdir(self.place)
        names = ["etcd-2026112%dT000000Z.db" % day for day in range(4)] + [
            "mine.db",
            "etcd-20200101T000000Z.db.partial",
        ]
        for name in names:
            io.open(os.path.join(self.place, name), "wb").close()
        made = self.save(snapshot(bytes(512)), keep=2)
        self.assertEqual(
            sorted(os.listdir(self.place)), sorted(["etcd-20261123T000000Z.db", "mine.db", os.path.basename(made.path)])
        )


FLAG_WORDS = [
    "etcd",
    "--advertise-client-urls=https://10.213.0.90:2379",
    "--cert-file=/etc/kubernetes/pki/etcd/server.crt",
    "--data-dir=/var/lib/etcd",
    "--listen-client-urls=https://127.0.0.1:2379,https://10.213.0.90:2379",
]
CONFIG = """\
name: cp1
listen-client-urls: "https://0.0.0.0:2379"
data-dir: /srv/etcd  # a disk of its own
client-transport-security:
  cert-file: /etc/ssl/etcd/member.pem
  trusted-ca-file: '/etc/ssl/etcd/ca.pem'
peer-transport-security:
  cert-file: /etc/ssl/etcd/peer.pem
"""


class TestFinding(unittest.TestCase):
    """The process, in a /proc made of files."""

    def setUp(self):
        self.proc = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.proc)
        self.add("self", [], "net:[1]")
        self.add("1", ["systemd"], "net:[1]")

    def add(self, name, words, network="net:[1]", environment=()):
        place = os.path.join(self.proc, name)
        os.makedirs(os.path.join(place, "ns"))
        os.makedirs(os.path.join(place, "root", "etc"))
        os.symlink(network, os.path.join(place, "ns", "net"))
        for file_name, entries in (("cmdline", words), ("environ", environment)):
            with open(os.path.join(place, file_name), "wb") as stream:
                stream.write(b"".join(entry.encode("utf-8") + b"\0" for entry in entries))
        return place

    def find(self):
        return etcd.find(self.proc)

    def test_by_flags(self):
        self.add("200", FLAG_WORDS)
        self.add("300", ["kube-apiserver", "--etcd-servers=https://127.0.0.1:2379"])
        found = self.find()
        self.assertEqual(found.pid, 200)
        self.assertEqual(found.settings["cert-file"], "/etc/kubernetes/pki/etcd/server.crt")
        self.assertEqual(etcd.local_url(found), "https://127.0.0.1:2379")

    def test_by_environment_as_a_service_has_it(self):
        environment = [
            "ETCD_LISTEN_CLIENT_URLS=https://10.0.0.5:2379,https://127.0.0.1:2379",
            "ETCD_DATA_DIR=/var/lib/etcd",
        ]
        self.add("200", ["/usr/local/bin/etcd"], environment=environment)
        self.assertEqual(etcd.local_url(self.find()), "https://127.0.0.1:2379")

    def test_by_configuration_file(self):
        place = self.add("200", ["etcd", "--config-file", "/etc/etcd.yml", "--data-dir=/ignored"])
        with open(os.path.join(place, "root", "etc", "etcd.yml"), "w") as stream:
            stream.write(CONFIG)
        found = self.find()
        self.assertEqual(found.settings["data-dir"], "/srv/etcd")
        self.assertEqual(found.settings["cert-file"], "/etc/ssl/etcd/member.pem")
        self.assertEqual(found.settings["trusted-ca-file"], "/etc/ssl/etcd/ca.pem")
        self.assertEqual(found.settings["peer-cert-file"], "/etc/ssl/etcd/peer.pem")
        self.assertEqual(etcd.local_url(found), "https://127.0.0.1:2379")

    def test_one_of_an_application_in_a_pod_is_passed_over(self):
        self.add("200", FLAG_WORDS, network="net:[2]")
        self.assertIsNone(self.find())

    def test_external(self):
        self.add("300", ["kube-apiserver", "--etcd-servers=https://10.9.9.1:2379,https://10.9.9.2:2379"])
        self.assertIsNone(self.find())

    def test_one_of_the_machine_that_the_api_server_does_not_use(self):
        self.add("200", FLAG_WORDS)
        self.add("300", ["kube-apiserver", "--etcd-servers=https://10.9.9.1:2379"])
        self.assertIsNone(self.find())

    def test_it_should_run_and_does_not(self):
        self.add("300", ["kube-apiserver", "--etcd-servers=https://127.0.0.1:2379"])
        with self.assertRaisesRegex(etcd.Absent, "does not run"):
            self.find()

    def test_neither_runs_but_its_manifest_is_there(self):
        directory = os.path.join(self.proc, "1", "root", "etc", "kubernetes", "manifests")
        os.makedirs(directory)
        io.open(os.path.join(directory, "etcd.yaml"), "w").close()
        with self.assertRaisesRegex(etcd.Absent, "does not run"):
            self.find()

    def test_several(self):
        self.add("200", FLAG_WORDS)
        self.add("201", FLAG_WORDS)
        with self.assertRaisesRegex(NodeError, "200, 201"):
            self.find()

    def test_unreadable_certificates(self):
        settings = dict(dict.fromkeys(etcd.FLAGS, ""), **{"trusted-ca-file": "/no/such/ca.crt"})
        with self.assertRaisesRegex(NodeError, "/no/such/ca.crt"):
            etcd.Client(etcd.Process(os.getpid(), settings))


if __name__ == "__main__":
    unittest.main()
