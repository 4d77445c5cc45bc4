"""One unary gRPC call over a unix socket: HTTP/2 with prior knowledge, one connection and one stream per call.

Nodes carry neither grpcio nor crictl (Debian packages no crictl), and asking containerd itself is the only honest proof
that a kubelet will get an answer. A call is a few frames, so this is all of HTTP/2 there is here.

Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK),
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

import re
import socket
import struct
import time
from typing import Dict, List, NamedTuple, Tuple

from . import place, socket_by_perl

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITY = 0x4, 0x8, 0x20
SETTINGS_ENABLE_PUSH, SETTINGS_INITIAL_WINDOW_SIZE = 2, 4
WINDOW = (1 << 31) - 1  # the most HTTP/2 allows: the peer never waits for us
DEFAULT_WINDOW = 65535  # what a connection starts with
MAX_FRAME = 1 << 14
STREAM = 1
MAX_MESSAGE = 64 << 20  # bytes; the kubelet's own limit is 16 MiB

# https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
STATUS_NAMES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
UNIMPLEMENTED = 12

# RFC 7541 appendix B. The code is canonical, so the length for each symbol says everything.
HUFFMAN_LENGTHS = (
    [13, 23] + [28] * 7 + [24, 30, 28, 28, 30] + [28] * 8 + [30] + [28] * 9
    + [6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6]
    + [7] * 22 + [8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6]
    + [7] * 5 + [15, 11, 14, 13, 28]
    + [20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23]
    + [22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23]
    + [20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27]
    + [27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23]
    + [26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30]
)  # fmt: skip
END_OF_STRING = 256
STATIC_ENTRIES = 61  # RFC 7541 appendix A; none of them is a header gRPC reports with, except the HTTP status:
STATIC_STATUS = {8: "200", 9: "204", 10: "206", 11: "304", 12: "400", 13: "404", 14: "500"}

Frame = NamedTuple("Frame", [("kind", int), ("flags", int), ("stream", int), ("payload", bytes)])


class CallFailed(Exception):
    """The call got no answer. ``status`` is the gRPC status number, or None if none arrived."""

    def __init__(self, reason, status=None):
        super(CallFailed, self).__init__(reason)
        self.reason = reason
        self.status = status


class TimedOut(CallFailed):
    """No complete answer came in time."""


def call(socket_path: str, method: str, request: bytes, timeout: float) -> bytes:
    """Send ``request`` to ``method`` ("/package.Service/Method") and return the reply message.

    Raises:
        CallFailed: the service answered with a status other than OK, or broke off.
        TimedOut: after ``timeout`` seconds in all.
        OSError: the socket cannot be connected.
    """
    deadline = time.monotonic() + timeout
    connection = socket_by_perl.Connection() if place.away() else socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(socket_path)
        return _Exchange(connection, deadline, timeout).unary(method, request)
    except socket.timeout:
        raise TimedOut("no answer within %g s" % timeout) from None
    finally:
        connection.close()


class _Exchange(object):
    def __init__(self, connection, deadline, timeout):
        self.connection = connection
        self.deadline = deadline
        self.timeout = timeout
        self.decoder = HeaderDecoder()
        self.headers: Dict[str, str] = {}
        self.body = bytearray()
        self.going_away = ""

    def unary(self, method: str, request: bytes) -> bytes:
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "unshim"),
            ("grpc-timeout", "%dm" % max(1, int(self.timeout * 1000))),
        ]
        message = b"\0" + struct.pack(">I", len(request)) + request
        if len(message) > DEFAULT_WINDOW:
            raise CallFailed("the request has %d bytes, more than fits in one window" % len(message))
        settings = struct.pack(">HIHI", SETTINGS_ENABLE_PUSH, 0, SETTINGS_INITIAL_WINDOW_SIZE, WINDOW)
        sent = PREFACE + frame(SETTINGS, 0, 0, settings)
        sent += frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW - DEFAULT_WINDOW))
        sent += frame(HEADERS, END_HEADERS, STREAM, encode_headers(headers))
        chunks = [message[at : at + MAX_FRAME] for at in range(0, len(message), MAX_FRAME)]
        for chunk in chunks[:-1]:
            sent += frame(DATA, 0, STREAM, chunk)
        sent += frame(DATA, END_STREAM, STREAM, chunks[-1])
        try:
            self.connection.sendall(sent)
            self._receive()
        except struct.error:
            raise CallFailed("what answers does not speak HTTP/2: a frame breaks off") from None
        except (BrokenPipeError, ConnectionResetError):
            raise CallFailed(self.going_away or "the connection was closed by the other side") from None
        return self._message()

    def _receive(self) -> None:
        """Read frames until our stream has ended."""
        while True:
            received = self._frame()
            if received.stream == STREAM:
                if received.kind in (HEADERS, CONTINUATION):
                    if self._header_block(received):
                        return
                elif received.kind == DATA:
                    self.body += without_padding(received)
                    if len(self.body) > MAX_MESSAGE:
                        raise CallFailed("the answer has more than %d bytes" % MAX_MESSAGE)
                    if received.flags & END_STREAM:
                        return
                elif received.kind == RST_STREAM:
                    code = struct.unpack(">I", received.payload[:4])[0]
                    raise CallFailed("the stream was reset with HTTP/2 error %d" % code)
            elif received.kind == SETTINGS and not received.flags & ACK:
                self.connection.sendall(frame(SETTINGS, ACK, 0, b""))
            elif received.kind == PING and not received.flags & ACK:
                self.connection.sendall(frame(PING, ACK, 0, received.payload))
            elif received.kind == GOAWAY:
                last_stream, code = struct.unpack(">II", received.payload[:8])
                debug = received.payload[8:].decode("utf-8", "replace")
                self.going_away = ("the service is going away (HTTP/2 error %d) %s" % (code, debug)).strip()
                if last_stream & WINDOW < STREAM:  # else it still answers what it has begun
                    raise CallFailed(self.going_away)

    def _header_block(self, received: Frame) -> bool:
        """Read a header block to its end and return whether it ended the stream."""
        block = without_padding(received)
        ends_stream = bool(received.flags & END_STREAM)
        while not received.flags & END_HEADERS:
            received = self._frame()
            if received.kind != CONTINUATION:
                raise CallFailed("a header block is not continued")
            block += received.payload
        try:
            self.headers.update(self.decoder.decode(block))
        except (ValueError, IndexError):
            raise CallFailed("the answer's headers cannot be read") from None
        return ends_stream

    def _message(self) -> bytes:
        status = self.headers.get("grpc-status", "")
        if status not in ("", "0"):
            number = int(status) if re.match(r"[0-9]{1,9}$", status) else 2
            name = STATUS_NAMES[number] if number < len(STATUS_NAMES) else status
            said = _percent_decoded(self.headers.get("grpc-message", ""))
            raise CallFailed("%s: %s" % (name, said) if said else name, number)
        if self.headers.get(":status", "200") != "200":
            raise CallFailed("HTTP status %s: this is no gRPC service" % self.headers[":status"])
        if len(self.body) < 5:
            raise CallFailed("the answer holds no message")
        compressed, length = struct.unpack(">BI", bytes(self.body[:5]))
        if compressed:
            raise CallFailed("the answer is compressed, which was not asked for")
        message = bytes(self.body[5 : 5 + length])
        if len(message) != length:
            raise CallFailed("the answer breaks off after %d of %d bytes" % (len(message), length))
        return message

    def _frame(self) -> Frame:
        head = self._read(9)
        length = struct.unpack(">I", b"\0" + head[:3])[0]
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        if length > MAX_FRAME:  # we announced no larger size: whatever speaks here, it is not HTTP/2
            raise CallFailed("what answers does not speak HTTP/2")
        return Frame(kind, flags, stream & WINDOW, self._read(length))

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise socket.timeout()
            self.connection.settimeout(left)
            piece = self.connection.recv(count - len(data))
            if not piece:
                raise CallFailed(self.going_away or "the connection was closed by the other side")
            data += piece
        return bytes(data)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return one HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def without_padding(received: Frame) -> bytes:
    """Return the payload of a DATA or HEADERS frame without padding and priority."""
    payload = received.payload
    if received.flags & PADDED:
        payload = payload[1 : len(payload) - payload[0]]
    if received.kind == HEADERS and received.flags & PRIORITY:
        payload = payload[5:]
    return payload


def encode_headers(headers: List[Tuple[str, str]]) -> bytes:
    """Encode headers as HPACK literals without indexing: no state, no table, no Huffman code."""
    block = b""
    for name, value in headers:
        block += b"\0" + _encode_string(name) + _encode_string(value)
    return block


def _encode_string(value: str) -> bytes:
    data = value.encode("utf-8")
    return encode_integer(len(data), 7) + data


def encode_integer(number: int, bits: int) -> bytes:
    """Encode an HPACK integer with a prefix of ``bits`` bits (RFC 7541, 5.1)."""
    limit = (1 << bits) - 1
    if number < limit:
        return bytes([number])
    encoded = bytearray([limit])
    number -= limit
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def decode_integer(data: bytes, position: int, bits: int) -> Tuple[int, int]:
    """Return an HPACK integer at ``position`` and where it ends."""
    limit = (1 << bits) - 1
    number = data[position] & limit
    position += 1
    if number < limit:
        return number, position
    shift = 0
    while True:
        byte = data[position]
        position += 1
        number += (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, position


class HeaderDecoder(object):
    """HPACK, the reading side. Entries of the static table have no name here, except the HTTP status."""

    def __init__(self):
        self.dynamic: List[Tuple[str, str]] = []  # newest first

    def decode(self, block: bytes) -> List[Tuple[str, str]]:
        """Return the headers of one complete block; ValueError or IndexError if it is none."""
        headers = []
        position = 0
        while position < len(block):
            first = block[position]
            if first & 0x80:  # indexed
                index, position = decode_integer(block, position, 7)
                headers.append(self._entry(index))
            elif first & 0xE0 == 0x20:  # a new size of the dynamic table; ours is never full in one call
                _, position = decode_integer(block, position, 5)
            else:
                adds = bool(first & 0x40)
                index, position = decode_integer(block, position, 6 if adds else 4)
                if index:
                    name = self._entry(index)[0]
                else:
                    name, position = self._string(block, position)
                value, position = self._string(block, position)
                headers.append((name, value))
                if adds:
                    self.dynamic.insert(0, (name, value))
        return headers

    def _entry(self, index: int) -> Tuple[str, str]:
        if index > STATIC_ENTRIES:
            return self.dynamic[index - STATIC_ENTRIES - 1]
        if index in STATIC_STATUS:
            return ":status", STATIC_STATUS[index]
        return "static-%d" % index, ""

    @staticmethod
    def _string(block: bytes, position: int) -> Tuple[str, int]:
        is_huffman = bool(block[position] & 0x80)
        length, position = decode_integer(block, position, 7)
        data = block[position : position + length]
        if len(data) != length:
            raise ValueError("a string breaks off")
        if is_huffman:
            data = decode_huffman(data)
        return data.decode("utf-8", "replace"), position + length


def _huffman_codes() -> Dict[Tuple[int, int], int]:
    """Return the symbol for each (length, code)."""
    codes = {}
    code = length = 0
    for symbol in sorted(range(len(HUFFMAN_LENGTHS)), key=lambda one: (HUFFMAN_LENGTHS[one], one)):
        code <<= HUFFMAN_LENGTHS[symbol] - length
        length = HUFFMAN_LENGTHS[symbol]
        codes[length, code] = symbol
        code += 1
    return codes


_HUFFMAN = _huffman_codes()


def decode_huffman(data: bytes) -> bytes:
    """Decode a Huffman-coded HPACK string."""
    decoded = bytearray()
    code = length = 0
    for byte in data:
        for bit in range(7, -1, -1):
            code = code << 1 | byte >> bit & 1
            length += 1
            symbol = _HUFFMAN.get((length, code))
            if symbol is not None:
                if symbol == END_OF_STRING:
                    raise ValueError("a string holds its own end")
                decoded.append(symbol)
                code = length = 0
    if length > 7 or code != (1 << length) - 1:
        raise ValueError("a string ends inside a symbol")
    return bytes(decoded)


def _percent_decoded(text: str) -> str:
    """Decode grpc-message, in which everything but printable ASCII is %XX."""
    data = bytearray()
    position = 0
    while position < len(text):
        if text[position] == "%":
            try:
                data.append(int(text[position + 1 : position + 3], 16))
                position += 3
                continue
            except ValueError:
                pass
        data += text[position].encode("utf-8")
        position += 1
    return data.decode("utf-8", "replace")
