"""The etcd of this node: found as a process, asked over its HTTP gateway with its own certificates, and saved to a file.

No etcdctl is needed. The gateway serves etcd's gRPC calls as JSON on the client port:
https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/ (its prefix is /v3 from 3.4 on, /v3beta in 3.3, /v3alpha before).
"""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from . import files
from .errors import NodeError
from .etcd_quorum import Cluster, Health, Member, parse_members
from .kubelet import command_line, flag

PREFIXES = ("/v3", "/v3beta", "/v3alpha")
TIMEOUT = 5.0  # s for one answer
SNAPSHOT_TIMEOUT = 60.0  # s without a byte
MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"  # kubeadm's
SPARE = 128 << 20  # bytes that stay free: a full disk stops etcd itself
DIGEST = hashlib.sha256().digest_size
PARTIAL = ".partial"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ANYWHERE = ("0.0.0.0", "::", "")
#: etcd's flags that are needed here. In its environment they are ETCD_DATA_DIR and so on; in its configuration file those
#: for TLS are below client-transport-security and peer-transport-security, without the prefix "peer-".
FLAGS = (
    "listen-client-urls",
    "advertise-client-urls",
    "trusted-ca-file",
    "cert-file",
    "key-file",
    "peer-trusted-ca-file",
    "peer-cert-file",
    "peer-key-file",
    "data-dir",
)

Process = NamedTuple("Process", [("pid", int), ("settings", Dict[str, str])])
Snapshot = NamedTuple("Snapshot", [("path", str), ("size", int), ("sha256", str), ("revision", int)])


class NoAnswer(NodeError):
    """A member could not be asked, or refused."""


class Absent(NodeError):
    """This node's etcd should run, and does not."""


# Finding it


def find(proc: str = "/proc") -> Optional[Process]:
    """Return the etcd of this node's API server; None if that has its etcd elsewhere, or the node has neither.

    An etcd in a network namespace of its own, as in a pod, is some application's and is passed over.

    Raises:
        Absent: etcd belongs here and does not run.
        NodeError: it cannot be told which of several is the cluster's.
    """
    network = _network(proc, "self")
    running = []
    servers = []  # type: List[str]
    for name in sorted(os.listdir(proc), key=lambda one: (len(one), one)):
        if not name.isdecimal() or _network(proc, name) != network:
            continue
        words = _words(proc, name)
        program = os.path.basename(words[0]) if words else ""
        if program == "etcd":
            running.append(
                Process(int(name), settings(words, _environment(proc, name), os.path.join(proc, name, "root")))
            )
        elif program == "kube-apiserver" or (
            program == "hyperkube" and words[1:2] in (["kube-apiserver"], ["apiserver"])
        ):
            servers = flag(words, "--etcd-servers").split(",")
    if servers:
        local = [one for one in running if serves(one, servers)]
        if not local and any(urlsplit(url).hostname in LOOPBACK for url in servers):
            raise Absent("etcd of this node does not run; its API server uses %s." % ", ".join(servers))
        running = local
    if len(running) > 1:
        raise NodeError(
            "Several etcd processes run on this node (%s) and no API server tells which is the cluster's."
            % ", ".join(str(one.pid) for one in running)
        )
    if not running and not servers and os.path.exists(os.path.join(proc, "1", "root") + MANIFEST):
        raise Absent("etcd of this node does not run, though %s is there." % MANIFEST)
    return running[0] if running else None


def settings(words: List[str], environment: Dict[str, str], root: str) -> Dict[str, str]:
    """Return etcd's FLAGS as it reads them: from its configuration file alone if it has one, else flags, then environment."""
    config = flag_of(words, "config-file") or environment.get("ETCD_CONFIG_FILE", "")
    if config:
        text = (files.read_bytes(os.path.join(root, config.lstrip("/"))) or b"").decode("utf-8", "replace")
        return from_config_file(text)
    return {
        name: flag_of(words, name) or environment.get("ETCD_" + name.upper().replace("-", "_"), "") for name in FLAGS
    }


def flag_of(words: List[str], name: str) -> str:
    """Return a flag's value; Go takes one dash as well as two."""
    return flag(words, "--" + name) or flag(words, "-" + name)


def from_config_file(text: str) -> Dict[str, str]:
    """Return FLAGS of etcd's configuration file. Nodes have no YAML parser; what is needed is one scalar a line in it."""
    found = {}
    section = ""
    for line in text.splitlines():
        match = re.match(r"""(\s*)["']?([\w-]+)["']?\s*:\s*(?:"([^"]*)"|'([^']*)'|([^\s#]*))""", line)
        if not match:
            continue
        indent, key = match.group(1, 2)
        value = match.group(3) or match.group(4) or match.group(5) or ""
        if not indent:
            section = key
        elif section == "peer-transport-security":
            key = "peer-" + key
        elif section != "client-transport-security":
            continue
        found[key] = value
    return {name: found.get(name, "") for name in FLAGS}


def serves(process: Process, servers: List[str]) -> bool:
    """Return whether an API server with these --etcd-servers uses this process."""
    offered = _addresses(process.settings["listen-client-urls"]) | _addresses(process.settings["advertise-client-urls"])
    for host, port in _addresses(",".join(servers)):
        if (host, port) in offered or (host in LOOPBACK and {(one, port) for one in ANYWHERE} & offered):
            return True
    return False


def local_url(process: Process) -> str:
    """Return where this node reaches its own member.

    Raises:
        NoAnswer: an address that etcd listens at is none.
    """
    urls = [url.strip() for url in process.settings["listen-client-urls"].split(",") if url.strip()]
    found = [parts for parts in map(_parts, urls) if parts.scheme in ("http", "https")]
    found = found or [_parts("http://localhost:2379")]  # etcd's default
    parts = next((one for one in found if one.hostname in LOOPBACK), found[0])
    host = parts.hostname or "127.0.0.1"
    host = "127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host
    return "%s://%s:%d" % (parts.scheme, "[%s]" % host if ":" in host else host, parts.port or 2379)


def _parts(url):
    """Return the parts of a URL, whose port is a number; NoAnswer if it is none."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - it is read only here
    except ValueError as error:
        raise NoAnswer("%s is no address that etcd can be asked at: %s." % (url, error)) from None
    return parts


# Asking


class Client(object):
    """Asks members of one cluster, all with this node's certificates.

    A certificate has to be of the cluster's own CA; its names are not compared, for who answers is known by its member ID.
    """

    def __init__(self, process: Process, proc: str = "/proc", timeout: float = TIMEOUT):
        self.local = local_url(process)
        self.timeout = timeout
        self._contexts = _contexts(process, os.path.join(proc, str(process.pid), "root"))
        self._prefix = ""

    def get(self, url: str, path: str) -> Tuple[int, Dict[str, Any]]:
        response, connection = self._open(url, "GET", path, None)
        with contextlib.closing(connection):
            return self._read(response, url)

    def call(self, url: str, method: str, body: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Return the answer to a call such as "cluster/member/list".

        Raises:
            NoAnswer: with the reason etcd gave.
        """
        response, connection = self._post(url, method, body)
        with contextlib.closing(connection):
            status, answer = self._read(response, url)
        if status != 200:
            raise NoAnswer("%s refused %s: %s." % (url, method, _error(answer) or "HTTP status %d" % status))
        return answer

    def stream(self, url: str, method: str, timeout: float):
        """Yield each message of a call that answers with many."""
        response, connection = self._post(url, method, None, timeout)
        with contextlib.closing(connection):
            if response.status != 200:
                raise NoAnswer("%s refused %s: %s." % (url, method, _error(self._read(response, url)[1])))
            while True:
                with _told(url):
                    line = response.readline()
                    if not line:
                        return
                    message = json.loads(line.decode("utf-8"))
                if "result" not in message:
                    raise NoAnswer("%s ended %s: %s." % (url, method, _error(message)))
                yield message["result"]

    def _post(self, url, method, body, timeout=None):
        for prefix in [self._prefix] if self._prefix else PREFIXES:
            response, connection = self._open(url, "POST", "%s/%s" % (prefix, method), body or {}, timeout)
            if response.status != 404:
                self._prefix = prefix
                return response, connection
            connection.close()
        raise NoAnswer(
            "etcd at %s has no HTTP gateway (404 for %s/%s); its setting enable-grpc-gateway is false."
            % (url, PREFIXES[0], method)
        )

    def _open(self, url, verb, path, body, timeout=None):
        parts = _parts(url)
        failure = None
        for context in self._contexts if parts.scheme == "https" else [None]:
            connection = _connection(parts, context, timeout or self.timeout)
            try:
                with _told(url):
                    connection.request(verb, path, None if body is None else json.dumps(body))
                    return connection.getresponse(), connection
            except NoAnswer as error:  # the next pair of certificates may be one for clients
                connection.close()
                failure = failure or error
        raise failure or NoAnswer("etcd at %s wants TLS, and this node's etcd has no certificates." % url)

    def _read(self, response, url):
        with _told(url):
            text = response.read(1 << 22).decode("utf-8", "replace")
        try:
            answer = json.loads(text)
        except (RecursionError, ValueError):
            answer = {"error": " ".join(text.split())[:200]}
        return response.status, answer if isinstance(answer, dict) else {}


def look(client: Client) -> Cluster:
    """Return the cluster with the health of each member, each asked at its own address.

    Raises:
        NoAnswer: this node's own member does not say who the members are.
    """
    answer = client.call(client.local, "cluster/member/list")
    header = header_of(answer)
    own = str(header.get("member_id", ""))
    members = parse_members(answer)
    if own not in [one.id for one in members]:
        raise NoAnswer("etcd of this node (member %s) is not in its own list of members." % own)
    return Cluster(
        str(header.get("cluster_id", "")),
        own,
        [ask(client, one, [client.local] if one.id == own else one.client_urls) for one in members],
    )


def ask(client: Client, member: Member, urls: List[str]) -> Health:
    """Return a member's health, from the first of its addresses that answers."""
    problem = "it was added and never started" if not member.name else "it names no address for clients"
    for url in urls:
        try:
            status, said = client.get(url, "/health")
        except NoAnswer as error:
            problem = error.message.rstrip(".")
            continue
        if status not in (200, 503) or "health" not in said:
            problem = "%s answers /health with status %d" % (url, status)
            continue
        with contextlib.suppress(NoAnswer):  # a member without the gateway still tells its health
            return _judged(member, said, client.call(url, "maintenance/status"))
        return _judged(member, said, {})
    return Health(member, problem, "", "")


def header_of(answer: Dict[str, Any]) -> Dict[str, Any]:
    """Return the header of an answer of etcd's, {} where it has none."""
    header = answer.get("header")
    return header if isinstance(header, dict) else {}


def _judged(member, said, status):
    header = header_of(status)
    leader = str(status.get("leader", ""))
    complaints = status.get("errors") or []
    errors = "; ".join(str(one) for one in (complaints if isinstance(complaints, list) else [complaints]))
    problem = ""
    if str(header.get("member_id", member.id)) != member.id:
        problem = "another member answers at its address"
    elif str(said["health"]).lower() != "true":
        problem = "it says that it is not healthy: %s" % (said.get("reason") or errors or "no reason given")
    elif status and leader in ("", "0"):
        problem = "it knows no leader"
    elif errors:
        problem = errors
    return Health(member, problem, str(status.get("version", "")), leader)


# The snapshot


def save(client: Client, directory: str, keep: int) -> Snapshot:
    """Save this node's member to a new file in ``directory`` and return what it is; older files of ours beyond ``keep`` go.

    The file is complete or not there: etcd's own checksum at its end is compared before it gets its name. It holds
    everything in the cluster, Secrets too, so only root may read it.

    Raises:
        NodeError: no room, or what came is not whole.
    """
    status = client.call(client.local, "maintenance/status")
    for made in files.missing_directories(os.path.join(directory, "x")):
        os.mkdir(made, 0o700)
    for name in os.listdir(directory):
        if name.endswith(PARTIAL):
            os.unlink(os.path.join(directory, name))
    needed = int(status.get("dbSize", 0))
    space = os.statvfs(directory)
    free = space.f_bavail * space.f_frsize
    if free < needed + SPARE:
        raise NodeError(
            "No room for a snapshot of etcd in %s: it takes %d MB, %d MB are free, and %d MB are to stay free. Make room and "
            "run again." % (directory, needed >> 20, free >> 20, SPARE >> 20)
        )
    name = "etcd-%s.db" % time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = os.path.join(directory, name)
    partial = path + PARTIAL
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            size, digest = receive(client.stream(client.local, "maintenance/snapshot", SNAPSHOT_TIMEOUT), stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(partial, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
    files.sync_directory(directory)
    ours = sorted(one for one in os.listdir(directory) if re.match(r"etcd-\d{8}T\d{6}Z\.db$", one))
    for old in ours[: max(0, len(ours) - keep)]:
        os.unlink(os.path.join(directory, old))
    return Snapshot(path, size, digest, int((status.get("header") or {}).get("revision", 0)))


def receive(messages, stream) -> Tuple[int, str]:
    """Write a snapshot's messages to ``stream``; return its size and SHA-256.

    etcd appends the checksum to the database, whose size is a multiple of 512 bytes (etcd, clientv3/snapshot).
    """
    digest = hashlib.sha256()
    size, tail, left = 0, b"", None
    for message in messages:
        blob = base64.b64decode(message.get("blob", ""))
        left = int(message.get("remaining_bytes", 0))
        stream.write(blob)
        size += len(blob)
        tail += blob
        digest.update(tail[:-DIGEST])
        tail = tail[-DIGEST:]
    if left != 0 or size % 512 != DIGEST or tail != digest.digest():
        raise NodeError(
            "The snapshot of etcd is not whole (%d bytes, %s): nothing was kept. Run again, and see etcd's log if it stays so."
            % (size, "%d more announced" % left if left else "its checksum is another")
        )
    digest.update(tail)
    return size, digest.hexdigest()


# Small parts


def _connection(parts, context, timeout):
    port = parts.port or 2379
    if context is None:
        return http.client.HTTPConnection(parts.hostname or "", port, timeout=timeout)
    return http.client.HTTPSConnection(parts.hostname or "", port, context=context, timeout=timeout)


def _contexts(process, root):
    """Return a TLS context for each pair of certificates of this etcd; the first one works nearly always."""
    values = process.settings
    found = []
    for prefix in ("", "peer-"):
        paths = [values[prefix + name] for name in ("trusted-ca-file", "cert-file", "key-file")]
        authority, certificate, key = [os.path.join(root, one.lstrip("/")) if one else "" for one in paths]
        if not authority and not certificate:
            continue
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        try:
            if authority:
                context.load_verify_locations(authority)
            else:
                context.load_default_certs()
            if certificate and key:
                context.load_cert_chain(certificate, key)
        except OSError as error:
            raise NodeError(
                "The certificates of this node's etcd (%s) cannot be read: %s."
                % (", ".join(one for one in paths if one), error.strerror or error)
            ) from error
        found.append(context)
    return found


@contextlib.contextmanager
def _told(url):
    try:
        yield
    except socket.timeout as error:
        raise NoAnswer("%s gave no answer in time." % url) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NoAnswer("%s could not be asked (%s)." % (url, reason)) from error


def _error(answer):
    said = answer.get("error") or answer.get("message") or ""
    return str(said.get("message", said)) if isinstance(said, dict) else str(said)


def _addresses(urls):
    found = set()
    for url in urls.split(","):
        with contextlib.suppress(ValueError):
            parts = urlsplit(url.strip())
            if parts.hostname is not None:
                found.add((parts.hostname, parts.port or 2379))
    return found


def _network(proc, name):
    try:
        return os.readlink(os.path.join(proc, name, "ns", "net"))
    except OSError:
        return None


def _words(proc, name):
    if proc == "/proc":
        return command_line(int(name))
    data = files.read_bytes(os.path.join(proc, name, "cmdline")) or b""
    return [word.decode("utf-8", "replace") for word in data.split(b"\0")[:-1]]


def _environment(proc, name):
    try:
        data = files.read_bytes(os.path.join(proc, name, "environ")) or b""
    except OSError:
        return {}
    pairs = [entry.decode("utf-8", "replace").split("=", 1) for entry in data.split(b"\0") if b"=" in entry]
    return dict(pairs)
