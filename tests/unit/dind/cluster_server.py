"""A stand-in for an API server of 1.20, over a real socket: it keeps what it is given, and refuses a Service's address."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

OUTSIDE = "provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/12"


class ClusterServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects = {
            "/version": {"gitVersion": "v1.20.2"},
            "/api/v1/nodes": {
                "metadata": {},
                "items": [{"metadata": {"name": "n"}, "spec": {"podCIDR": "10.244.0.0/24"}}],
            },
            "/api/v1/pods": {"metadata": {}, "items": []},
        }
        self.written = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def kubeconfig(self, path):
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.server_address[1]}"}}],
            "users": [{"name": "c", "user": {"token": "t"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        }))  # fmt: skip
        return path


class _Handler(BaseHTTPRequestHandler):
    def _answer(self, code, data):
        text = json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self):
        path = urlsplit(self.path).path
        if path in self.server.objects:
            self._answer(200, self.server.objects[path])
        else:
            self._answer(404, {"kind": "Status", "message": f"{path} not found", "reason": "NotFound", "code": 404})

    def do_POST(self):
        path, body = urlsplit(self.path).path, self._body()
        if body["kind"] == "Service":
            self._answer(422, {"kind": "Status", "message": OUTSIDE, "reason": "Invalid", "code": 422})
            return
        self.server.objects[f"{path}/{body['metadata']['name']}"] = body
        self.server.written.append(f"{path}/{body['metadata']['name']}")
        self._answer(201, body)

    def log_message(self, *_):
        pass
