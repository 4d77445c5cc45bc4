"""Secrets planted in every place a bundle is made of must be in none of its texts; what is harmless stays readable."""

import base64
import json

import pytest

from unshim import bundle, redaction

PASSWORD = "s3cr3t-of-the-registry"
BASIC = base64.b64encode(f"robot:{PASSWORD}".encode()).decode()
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nabcd\n-----END RSA PRIVATE KEY-----\n"
TOKEN = "abcdef.0123456789abcdef"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2lnbmF0dXJl"
KEY_DATA = base64.b64encode(KEY.encode()).decode()
PROXY = "hunter2-proxy"
PLANTED = [PASSWORD, BASIC, "MIIEowIBAAKCAQEA7", TOKEN, JWT, KEY_DATA, PROXY]

FACTS = {
    "files": {
        "/root/.docker/config.json": {"content": json.dumps({"auths": {"registry.example": {"auth": BASIC}}})},
        "/etc/systemd/system/docker.service.d/proxy.conf": {
            "content": f'[Service]\nEnvironment="HTTPS_PROXY=http://me:{PROXY}@proxy.example:3128"\n'
        },
    }
}
PLAN = {
    "files": [
        {"path": "/etc/containerd/config.toml", "secret": True, "before": None, "after": f'password = "{PASSWORD}"\n'},
        {"path": "/etc/sysctl.d/99-unshim.conf", "secret": False, "before": None, "after": "net.ipv4.ip_forward = 1\n"},
    ]
}
KUBECONFIG = f"users:\n- name: a\n  user:\n    client-key-data: {KEY_DATA}\n    token: {JWT}\n"


def build(**given):
    arguments = {
        "host": "w1", "failed_task": "Run a canary pod", "cause": f"cannot pull from https://robot:{PASSWORD}@registry.example",
        "result": {"msg": PASSWORD, "stderr": f"Authorization: Basic {BASIC}", "invocation": {"module_args": {"x": PASSWORD}}},
        "plan_text": f"a line with {PASSWORD}", "facts": FACTS, "plan": PLAN,
        "node": {
            "kubelet.log": f"E1124 pull failed: {BASIC}\nW1124 --bootstrap-token={TOKEN}\n{KEY}\nBearer {JWT}\n{KUBECONFIG}",
            "containerd.log": f"dial through {PROXY} refused\n",
            "journal.json": json.dumps({"state": "drained", "timeline": [], "steps": [], "by_hand": ["systemctl stop kubelet"]}),
        },
        "cluster": {"node.json": {"annotations": {"last-applied": json.dumps({"password": PASSWORD})}, "token": JWT}},
        "missing": [], "now": 1795600000.0,
    }  # fmt: skip
    return bundle.build(**{**arguments, **given})


@pytest.mark.parametrize("secret", PLANTED)
def test_a_planted_secret_is_in_no_file(secret):
    for name, text in build().items():
        assert secret not in text, f"{name}: {text}"


def test_what_is_not_secret_stays():
    texts = build()
    assert "net.ipv4.ip_forward = 1" in texts["plan.json"]
    assert "pull failed" in texts["kubelet.log"] and "dial through" in texts["containerd.log"]
    assert json.loads(texts["gate.json"])["task"] == "Run a canary pod"
    assert "invocation" not in texts["gate.json"]


def test_the_summary_says_what_to_do():
    text = build(missing=["what the cluster says: no answer"])["README.md"]
    for part in (
        "# w1 was not moved",
        "Run a canary pod",
        "cannot pull from https://***@registry.example",
        "playbooks/migrate.yml --limit w1",
        "playbooks/rollback.yml --limit w1",
        "    systemctl stop kubelet",
        "- kubelet.log",
        "what the cluster says: no answer",
        "The node was drained then",
    ):
        assert part in text, text


@pytest.mark.parametrize(
    "line",
    [
        "--client-cert-auth=true --authorization-mode=Webhook --authentication-token-webhook=true",
        "--tls-private-key-file=/etc/kubernetes/pki/apiserver.key",
        "--token-auth-file=/etc/kubernetes/tokens.csv",
        'MountVolume.SetUp succeeded for volume "default-token-7xk2p"',
        "image registry.example:5000/shop/web:1.2 pulled in 3.2 s by sha256:0123456789abcdef0123456789abcdef",
        "token: /var/run/secrets/kubernetes.io/serviceaccount/token",
    ],
)
def test_a_harmless_line_is_left_alone(line):
    assert redaction.redact(line) == line


def test_a_short_or_common_word_is_not_hidden_everywhere():
    found = redaction.secrets_in(
        ['password = "no"', "auth: true", "token: /a/path/to/a/file", 'password = "long-enough"']
    )
    assert found == {"long-enough"}


def test_a_name_is_safe_as_a_file_name():
    assert bundle.directory_name("../../etc/x y", 1795600000.0) == "20261125T094640Z-_.._etc_x_y"


@pytest.mark.parametrize(
    "text, left",
    [
        ("docker login -u robot -p s3cret-word r.example", "docker login -u robot -p *** r.example"),
        ("podman login --password='s3cret word' r", "podman login --password='***' r"),
        ("ctr images pull --user robot:s3cret-word r.example/x", "ctr images pull --user robot:*** r.example/x"),
        ("skopeo copy --src-creds=robot:s3cret-word a b", "skopeo copy --src-creds=robot:*** a b"),
        ("docker run -u 1000:1000 -p 8080:80 web", "docker run -u 1000:1000 -p 8080:80 web"),
        ("login shell; mkdir -p /srv/data", "login shell; mkdir -p /srv/data"),
    ],
)
def test_logins_on_a_command_line(text, left):
    assert redaction.redact(text) == left


def test_a_variable_of_a_container_is_hidden_by_its_name():
    data = {"env": [{"name": "DB_PASSWORD", "value": "s3cret"}, {"name": "HOME", "value": "/root"}]}
    assert redaction.redact_data(data)["env"] == [
        {"name": "DB_PASSWORD", "value": "***"},
        {"name": "HOME", "value": "/root"},
    ]
