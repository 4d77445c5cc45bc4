"""A stand-in for an API server that serves the planted set, over a real socket: groups, resources, and lists of objects."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import yaml

#: As a cluster of 1.20 serves them, with some custom resources: {group version: {plural: (kind, namespaced)}}.
SERVED = {
    "v1": {
        "configmaps": ("ConfigMap", True),
        "persistentvolumes": ("PersistentVolume", False),
        "pods": ("Pod", True),
        "pods/log": ("Pod", True),
        "podtemplates": ("PodTemplate", True),
        "replicationcontrollers": ("ReplicationController", True),
        "secrets": ("Secret", True),
    },
    "apps/v1": {
        "daemonsets": ("DaemonSet", True),
        "deployments": ("Deployment", True),
        "replicasets": ("ReplicaSet", True),
        "statefulsets": ("StatefulSet", True),
    },
    "batch/v1": {"jobs": ("Job", True)},
    "batch/v1beta1": {"cronjobs": ("CronJob", True)},
    "node.k8s.io/v1": {"runtimeclasses": ("RuntimeClass", False)},
    "actions.summerwind.dev/v1alpha1": {"runnerdeployments": ("RunnerDeployment", True)},
    "actions.github.com/v1alpha1": {"autoscalingrunnersets": ("AutoscalingRunnerSet", True)},
    "tekton.dev/v1beta1": {"tasks": ("Task", True)},
    "argoproj.io/v1alpha1": {"workflowtemplates": ("WorkflowTemplate", True)},
    "monitoring.coreos.com/v1": {"prometheusrules": ("PrometheusRule", True)},
}


class ApiServer(ThreadingHTTPServer):
    """Serves ``objects``; ``forbidden`` are paths that are answered with 403."""

    daemon_threads = True

    def __init__(self, objects, forbidden=()):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects = objects
        self.forbidden = forbidden
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def kubeconfig(self, path: Path):
        data = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "here",
        }
        path.write_text(yaml.safe_dump(data))
        return str(path)

    def answer(self, path, query):
        if path in self.forbidden:
            return 403, {"message": f'user "u" cannot list {path}', "reason": "Forbidden"}
        if path == "/version":
            return 200, {"gitVersion": "v1.20.2"}
        if path == "/apis":
            groups = {}
            for version in SERVED:
                if "/" in version:
                    groups.setdefault(version.partition("/")[0], []).append({"groupVersion": version})
            return 200, {
                "groups": [
                    {"name": name, "versions": found, "preferredVersion": found[0]} for name, found in groups.items()
                ]
            }
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if version in SERVED:
            verbs = ["get", "list"]
            return 200, {
                "resources": [
                    {"name": name, "kind": kind, "namespaced": namespaced, "verbs": ["get"] if "/" in name else verbs}
                    for name, (kind, namespaced) in SERVED[version].items()
                ]
            }
        base, _, plural = version.rpartition("/")
        base, _, namespace = base.partition("/namespaces/")
        if plural in SERVED.get(base, {}):
            return 200, self._page(SERVED[base][plural][0], namespace, query)
        return 404, {"message": "no such path", "reason": "NotFound"}

    def _page(self, kind, namespace, query):
        """A list as the API has it: its objects say neither their kind nor their version."""
        found = [
            {key: value for key, value in one.items() if key not in ("kind", "apiVersion")}
            for one in self.objects
            if one["kind"] == kind and namespace in ("", one["metadata"].get("namespace"))
        ]
        begin, size = int(query.get("continue", ["0"])[0]), min(int(query["limit"][0]), 7)
        meta = {"continue": str(begin + size)} if begin + size < len(found) else {}
        return {"items": found[begin : begin + size], "metadata": meta}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        address = urlsplit(self.path)
        self.server.asked.append(address.path)
        status, body = self.server.answer(address.path, parse_qs(address.query))
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        self.server.asked.append(f"{self.command} {self.path}")
        self.send_response(405)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PUT = do_PATCH = do_DELETE = do_POST

    def log_message(self, *_):
        pass
