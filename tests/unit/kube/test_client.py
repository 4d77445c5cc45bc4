"""The way to an API server: against real sockets on this machine, with and without TLS."""

import datetime
import ipaddress
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from unshim_kube.client import connect
from unshim_kube.errors import KubeError, Refused


class Server(ThreadingHTTPServer):
    """Answers each path with its list of (status, body), the last one for ever; counts the requests."""

    daemon_threads = True

    def __init__(self, answers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {"/version": [(200, {"gitVersion": "v1.20.2"})], **answers}
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        self.server.asked.append((self.command, self.path, self.headers.get("Content-Type"), body))
        answers = self.server.answers.get(self.path, [(404, {"message": "no such path", "reason": "NotFound"})])
        status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if status == 0:  # the connection breaks without an answer
            self.close_connection = True
            return
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    servers = []

    def start(**answers):
        servers.append(Server(answers.get("answers", {})))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def kubeconfig(tmp_path):
    def write(server, **cluster):
        path = tmp_path / "kubeconfig"
        data = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": dict(cluster, server=server)}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "here",
        }
        path.write_text(yaml.safe_dump(data))
        return str(path)

    return write


def url(server, scheme="http"):
    return f"{scheme}://127.0.0.1:{server.server_address[1]}"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "There is no kubeconfig at"),
        ("clusters: [", "is not valid YAML at line 1"),
        ("a: b", "is not a kubeconfig: it has no clusters"),
        ("- 1", "is not a kubeconfig"),
        ("clusters: []\ncontexts: []\nusers: []\n", "is not usable"),
        (
            (
                "current-context: x\nclusters: [{name: c, cluster: {server: 'https://h', certificate-authority: /none/ca.crt}}]\n"
                "users: [{name: u, user: {}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
            ),
            "/none/ca.crt",
        ),
    ],
)
def test_an_unusable_kubeconfig_is_named(tmp_path, content, says):
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(KubeError) as caught:
        connect(str(path), timeout=1)
    assert says in caught.value.message
    assert str(path) in caught.value.message


def test_a_wrong_context_is_answered_with_those_there_are(kubeconfig):
    with pytest.raises(KubeError, match="has no context there; it has: here"):
        connect(kubeconfig("https://127.0.0.1:1"), context="there")


def test_kubeconfig_comes_from_the_environment(kubeconfig, serve, monkeypatch, tmp_path):
    path = kubeconfig(url(serve()))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none:{path}")
    assert connect(timeout=1).source == f"context here of {tmp_path}/none, {path}"


def test_a_closed_port_is_tried_for_the_time_given_and_named(kubeconfig):
    began = time.monotonic()
    with pytest.raises(KubeError) as caught:
        connect(kubeconfig("http://127.0.0.1:1"), timeout=1.5)
    assert 0.5 < time.monotonic() - began < 3
    assert "http://127.0.0.1:1" in caught.value.message
    assert "connection refused" in caught.value.message


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "does not accept the credentials of context here"),
        (403, "may not do this"),
        (418, "refused GET /version: teapot (418)"),
    ],
)
def test_refusals(kubeconfig, serve, status, says):
    server = serve(answers={"/version": [(status, {"message": "teapot"})]})
    with pytest.raises(Refused) as caught:
        connect(kubeconfig(url(server)), timeout=0.5)
    assert says in caught.value.message
    assert caught.value.status == status


def test_a_server_that_restarts_is_waited_for(kubeconfig, serve):
    trouble = [
        (503, {"message": "starting"}),
        (0, None),
        (500, {}),
        (403, {"message": "not yet synced"}),
        (200, {"items": [1]}),
    ]
    server = serve(answers={"/x": trouble})
    api = connect(kubeconfig(url(server)), timeout=20)
    assert api.get("/x") == {"items": [1]}
    assert [path for _, path, _, _ in server.asked].count("/x") == 5


def test_a_refusal_that_will_not_pass_is_not_repeated(kubeconfig, serve):
    server = serve()
    api = connect(kubeconfig(url(server)), timeout=20)
    with pytest.raises(Refused):
        api.get("/missing")
    assert [path for _, path, _, _ in server.asked] == ["/version", "/missing"]
    api.delete("/missing")  # gone already is as good


def test_a_list_is_read_page_by_page_and_anew_if_it_expired(kubeconfig, serve):
    def page(items, token):
        return (200, {"items": items, "metadata": {"continue": token, "resourceVersion": "7"}})

    server = serve(
        answers={
            "/pods?limit=500": [page([1], "a"), page([1, 2], "b")],
            "/pods?limit=500&continue=a": [(410, {"message": "expired"})],
            "/pods?limit=500&continue=b": [page([3], "")],
        }
    )
    assert connect(kubeconfig(url(server)), timeout=1).list_with_version("/pods") == ([1, 2, 3], "7")


def test_a_patch_is_a_merge_patch(kubeconfig, serve):
    server = serve(answers={"/n": [(200, {})]})
    connect(kubeconfig(url(server)), timeout=1).patch("/n", {"spec": {"unschedulable": None}})
    assert server.asked[-1] == ("PATCH", "/n", "application/merge-patch+json", {"spec": {"unschedulable": None}})


def certificate(folder, name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM) + private)
    return path


def test_the_authority_decides(kubeconfig, serve, tmp_path):
    ours, others = certificate(tmp_path, "ours"), certificate(tmp_path, "others")
    server = serve()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    connect(kubeconfig(url(server, "https"), **{"certificate-authority": str(ours)}), timeout=5)
    began = time.monotonic()
    with pytest.raises(KubeError, match="its certificate is not the one expected"):
        connect(kubeconfig(url(server, "https"), **{"certificate-authority": str(others)}), timeout=20)
    assert time.monotonic() - began < 5  # waiting would not help


def test_a_port_without_tls_is_said_to_be_one(kubeconfig, serve):
    with pytest.raises(KubeError, match="it does not speak TLS on this port"):
        connect(kubeconfig(url(serve(), "https")), timeout=20)
