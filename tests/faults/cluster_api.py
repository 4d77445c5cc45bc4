"""Questions to the API server without a kubectl for each: many are asked a second, on a machine that has better to do."""

import base64
import contextlib
import http.client
import json
import ssl
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import yaml

TIMEOUT = 4  # s


class ClusterApi:
    """One cluster, by a kubeconfig with a client certificate, as kubeadm's is."""

    def __init__(self, kubeconfig: Path):
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._server = urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pair:
            for name in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[name]))
            pair.flush()
            self._context.load_cert_chain(pair.name)

    def get(self, path):
        """Return the body of a 200 answer, None for any other and for none in time."""
        connection = http.client.HTTPSConnection(
            self._server.hostname, self._server.port or 443, timeout=TIMEOUT, context=self._context
        )
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
            return body if answer.status == 200 else None
        return None

    def get_object(self, path):
        """As :meth:`get`, as data."""
        body = self.get(path)
        return None if body is None else json.loads(body)
