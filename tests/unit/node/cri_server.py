"""A server that speaks just enough HTTP/2 to answer, or to misbehave as told: for what a real runtime does rarely."""

import os
import socket
import struct
import threading

from unshim_node import grpc_call
from unshim_node.grpc_call import frame

# What a Go gRPC server sends: ":status: 200" from the static table, then a literal content-type
HEADERS_200 = b"\x88" + grpc_call.encode_headers([("content-type", "application/grpc")])


def headers_frame(headers=HEADERS_200, end=False):
    return frame(grpc_call.HEADERS, grpc_call.END_HEADERS | (grpc_call.END_STREAM if end else 0), 1, headers)


def data_frames(message, size=16384):
    """The frames of one gRPC message."""
    body = b"\0" + struct.pack(">I", len(message)) + message
    return b"".join(frame(grpc_call.DATA, 0, 1, body[at : at + size]) for at in range(0, len(body), size))


def trailers_frame(status=0, message=""):
    headers = [("grpc-status", str(status))] + ([("grpc-message", message)] if message else [])
    return headers_frame(grpc_call.encode_headers(headers), end=True)


def reply(message):
    return headers_frame() + data_frames(message) + trailers_frame()


class Server(object):
    """Listens on a socket in ``directory`` and calls ``answer(method, request)`` for the bytes to send back.

    ``answer`` may return None: then the connection stays open and silent. ``requests`` holds what was asked, as
    (method, message); ``acks`` counts acknowledged settings and pings; ``window`` is what the last client let us send.
    """

    def __init__(self, directory, answer):
        self.path = os.path.join(str(directory), "cri.sock")
        self.answer = answer
        self.requests = []
        self.acks = 0
        self.window = grpc_call.DEFAULT_WINDOW
        self.silent = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(16)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Closing alone does not wake a thread that waits in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        for connection in self.silent:
            connection.close()
        os.unlink(self.path)

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(5)
            self.window = grpc_call.DEFAULT_WINDOW
            try:
                self._exchange(connection)
            except OSError:
                connection.close()

    def _exchange(self, connection):
        stream = connection.makefile("rb")
        assert stream.read(len(grpc_call.PREFACE)) == grpc_call.PREFACE
        connection.sendall(frame(grpc_call.SETTINGS, 0, 0, b"") + frame(grpc_call.PING, 0, 0, b"12345678"))
        method, body = "", b""
        while True:
            kind, flags, payload = read_frame(stream)
            if kind == grpc_call.WINDOW_UPDATE:
                self.window += struct.unpack(">I", payload)[0]
            elif kind == grpc_call.HEADERS:
                method = dict(grpc_call.HeaderDecoder().decode(payload))[":path"]
            elif kind == grpc_call.DATA:
                body += payload
                if flags & grpc_call.END_STREAM:
                    break
        self.requests.append((method, body[5:]))
        answer = self.answer(method, body[5:])
        if answer is None:
            self.silent.append(connection)
            return
        connection.sendall(answer)
        # A well-behaved peer waits until the client has read everything and closes.
        while True:
            head = stream.read(9)
            if len(head) < 9:
                break
            length = struct.unpack(">I", b"\0" + head[:3])[0]
            stream.read(length)
            if head[3] in (grpc_call.SETTINGS, grpc_call.PING) and head[4] & grpc_call.ACK:
                self.acks += 1
        connection.close()


def read_frame(stream):
    head = stream.read(9)
    if len(head) < 9:
        raise OSError("the client has gone")
    length = struct.unpack(">I", b"\0" + head[:3])[0]
    return head[3], head[4], stream.read(length)
