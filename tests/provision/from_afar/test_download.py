"""A key that the node fetches, with what this machine has: through its shell, and nothing of the address on a command line."""

import http.server
import threading

import pytest
from a_shell import place_of

import unshim_node
import unshim_node.lock_by_shell
from unshim_node import download, place
from unshim_node.errors import NodeError


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/gpg" else 404)
        self.end_headers()
        self.wfile.write(bytes(range(256)) * 20)

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_is_there_and_what_is_not(address):
    with place.at(place_of(unshim_node)()):
        assert download.read(f"{address}/gpg", 1 << 20) == bytes(range(256)) * 20
        assert download.read(f"{address}/gpg", 100) == bytes(range(100))
        with pytest.raises(NodeError, match="cannot be fetched: .*Nothing was changed"):
            download.read(f"{address}/none", 100)
