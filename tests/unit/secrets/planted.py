"""A node with a secret in every place that unshim reads: its probe's output, journal, logs, and a cluster's objects."""

import base64
import json
from pathlib import Path

PROBES = Path(__file__).resolve().parents[2] / "data" / "probes"

REGISTRY = "Pl4nted-registry-word"
PROXY = "Pl4nted-proxy-word"
KUBE_TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJwbGFudGVkIjoidG9rZW4ifQ.cGxhbnRlZC1zaWduYXR1cmU"
BOOTSTRAP = "pl4nte.0123456789abcdef"
LOG_TOKEN = "Pl4nted-splunk-token"
CRON = "Pl4nted-login-in-cron"
VARIABLE = "Pl4nted-value-of-a-variable"
OBJECT = "Pl4nted-value-in-an-object"
KEY_LINE = "MIIEpl4ntedKeyAKCAQEA7x9f2a"
TLS_KEY = f"-----BEGIN RSA PRIVATE KEY-----\n{KEY_LINE}\n-----END RSA PRIVATE KEY-----\n"
BASIC = base64.b64encode(f"robot:{REGISTRY}".encode()).decode()
ALL = (REGISTRY, PROXY, KUBE_TOKEN, BOOTSTRAP, LOG_TOKEN, CRON, VARIABLE, KEY_LINE, BASIC, OBJECT)

PROXY_URL = f"http://corp:{PROXY}@proxy.example:3128"
DAEMON_JSON = json.dumps({
    "proxies": {"http-proxy": PROXY_URL, "https-proxy": PROXY_URL},
    "registry-mirrors": [f"https://robot:{REGISTRY}@mirror.example"],
    "log-driver": "splunk", "log-opts": {"splunk-token": LOG_TOKEN, "splunk-url": "https://splunk.example"},
})  # fmt: skip
DROP_IN = (
    f'[Service]\nEnvironment="HTTPS_PROXY={PROXY_URL}" "HTTP_PROXY={PROXY_URL}"\nEnvironment="API_TOKEN={VARIABLE}"\n'
)
CONFIG_TOML = f"""\
version = 2
[plugins."io.containerd.grpc.v1.cri".registry.configs."registry.example".auth]
  username = "robot"
  password = "{REGISTRY}"
  auth = "{BASIC}"
"""
FLAGS = (
    f'KUBELET_KUBEADM_ARGS="--network-plugin=cni --bootstrap-token={BOOTSTRAP} --pod-infra-container-image=pause:3.2"\n'
)
MANIFEST = f"""\
apiVersion: v1
kind: Pod
metadata: {{name: agent, namespace: kube-system}}
spec:
  containers:
    - name: agent
      image: agent:1
      command: [sh, -c, "docker login -u robot -p {CRON} registry.example && docker ps"]
      env: [{{name: DB_PASSWORD, value: {VARIABLE}}}, {{name: DOCKER_HOST, value: "tcp://robot:{REGISTRY}@docker.example:2376"}}]
      volumeMounts: [{{name: sock, mountPath: /var/run/docker.sock}}]
  volumes: [{{name: sock, hostPath: {{path: /var/run/docker.sock}}}}]
"""
MESSAGE = f"`ctr pull --user robot:{REGISTRY}` failed: proxyconnect {PROXY_URL}: Authorization: Basic {BASIC}"
JOURNAL = json.dumps({
    "format": 1, "generation": 1, "state": "prepared", "source": "dockershim",
    "steps": [{"name": "configure containerd", "stage": "prepare", "status": "failed", "started": 1795518000.0, "finished": 1795518001.0,
               "controller": "admin", "message": MESSAGE, "undo": ""}],
    "files": {}, "units": {}, "packages": {}, "annotations": {}, "notes": {}, "timeline": [{"event": "prepared", "time": 1795518000.0}],
})  # fmt: skip
KUBECONFIG = f"users:\n- name: a\n  user:\n    token: {KUBE_TOKEN}\n    client-key-data: {base64.b64encode(TLS_KEY.encode()).decode()}\n"
LOG = f"dial {PROXY_URL}\nBasic {BASIC}\n--bootstrap-token={BOOTSTRAP}\nsplunk-token: {LOG_TOKEN}\n{TLS_KEY}{KUBECONFIG}Bearer {KUBE_TOKEN}\n"


def encoded(section, content):
    return f"@@{section}\ncontent base64\n{base64.encodebytes(content.encode()).decode()}"


def file_section(path, content):
    return encoded(f"file {path}", content).replace("\n", "\nkind file\nstat 600 root root\n", 1)


def probe():
    """The output of probe.sh on a dockershim worker, with the secrets in it."""
    text = (PROBES / "dockershim-worker.probe").read_text()
    paths = {
        "/etc/docker/daemon.json": DAEMON_JSON, "/etc/systemd/system/docker.service.d/proxy.conf": DROP_IN,
        "/etc/containerd/config.toml": CONFIG_TOML, "/var/lib/kubelet/kubeadm-flags.env": FLAGS,
        "/etc/kubernetes/manifests/agent.yaml": MANIFEST, "/var/lib/unshim/journal.json": JOURNAL,
    }  # fmt: skip
    mention = f"mention\t/etc/cron.d/login\t3\t@daily root docker login -u robot -p {CRON} registry.example && docker system prune\n"
    new = {
        "kubelet-command-line": encoded("kubelet-command-line", "\0".join(["/usr/bin/kubelet", "--network-plugin=cni", f"--bootstrap-token={BOOTSTRAP}", ""])),
        "kubelet-environment": encoded("kubelet-environment", f"API_TOKEN={VARIABLE}\nHTTPS_PROXY={PROXY_URL}\n"),
        "dockerd-command-line": encoded("dockerd-command-line", "\0".join(["/usr/bin/dockerd", "--log-opt", f"splunk-token={LOG_TOKEN}", ""])),
        "dockerd-environment": encoded("dockerd-environment", f"HTTPS_PROXY={PROXY_URL}\nAPI_TOKEN={VARIABLE}\n"),
        "docker-mentions": encoded("docker-mentions", mention),
    }  # fmt: skip
    kept = [
        "@@" + one
        for one in text.split("\n@@")[1:]
        if one.split("\n", 1)[0].removeprefix("file ") not in {*paths, *new}
    ]
    head, end = text.split("\n", 1)[0], kept.pop()
    sections = [
        section.strip("\n") for section in (*kept, *new.values(), *(file_section(*one) for one in paths.items()))
    ]
    return "\n".join([head, *sections, end.strip("\n"), ""])
