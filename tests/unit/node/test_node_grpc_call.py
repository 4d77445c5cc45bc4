"""HTTP/2, HPACK and protobuf: vectors of the RFCs, and every way a server can fail to answer."""

import os
import shutil
import struct
import tempfile
import time
import unittest

from cri_server import HEADERS_200, Server, data_frames, headers_frame, reply, trailers_frame
from unshim_node import cri, grpc_call, protobuf_wire
from unshim_node.grpc_call import frame
from unshim_node.protobuf_wire import field


class TestHpack(unittest.TestCase):
    def test_integers_of_rfc_7541_c_1(self):
        self.assertEqual(grpc_call.encode_integer(10, 5), b"\x0a")
        self.assertEqual(grpc_call.encode_integer(1337, 5), b"\x1f\x9a\x0a")
        self.assertEqual(grpc_call.decode_integer(b"\x1f\x9a\x0a", 0, 5), (1337, 3))
        self.assertEqual(grpc_call.decode_integer(b"\xea", 0, 5), (10, 1))

    def test_huffman_of_rfc_7541_c_4(self):
        self.assertEqual(grpc_call.decode_huffman(bytes.fromhex("f1e3c2e5f23a6ba0ab90f4ff")), b"www.example.com")
        self.assertEqual(grpc_call.decode_huffman(bytes.fromhex("25a849e95ba97d7f")), b"custom-key")
        self.assertEqual(
            grpc_call.decode_huffman(bytes.fromhex("d07abe941054d444a8200595040b8166e082a62d1bff")),
            b"Mon, 21 Oct 2013 20:13:21 GMT",
        )

    def test_the_code_is_complete(self):
        # Kraft's sum is 1: one wrong length would leave a gap or an overlap.
        self.assertEqual(sum(2 ** (30 - length) for length in grpc_call.HUFFMAN_LENGTHS), 2**30)
        self.assertEqual(len(grpc_call.HUFFMAN_LENGTHS), 257)

    def test_a_string_that_breaks_off_is_refused(self):
        with self.assertRaises(ValueError):
            grpc_call.decode_huffman(b"\x00")  # "0" in five bits, then three that are no padding

    def test_trailers_recorded_from_a_real_encoder(self):
        # Bytes made by the Python package hpack: literals with indexing and Huffman code, then indexed ones.
        decoder = grpc_call.HeaderDecoder()
        decoder.decode(bytes.fromhex("885f8b1d75d0620d263d4c4d6564"))
        first = decoder.decode(
            bytes.fromhex(
                "40889acac8b21234da8f8208bf40899acac8b5254207317f9eb6aeb51fc54a20b677310aa596d4935255fb857db6d493525d"
                "c5b3b9885f"
            )
        )
        self.assertEqual(first, [("grpc-status", "12"), ("grpc-message", "unknown service runtime.v1.RuntimeService")])
        again = decoder.decode(
            bytes.fromhex("bf7ea7b6aeb51fc54a20b677310aa596d4935255fb857db6d493525dc5b3b988553fff8fffff0ffffb1f")
        )
        self.assertEqual(again[0], ("grpc-status", "12"))
        self.assertTrue(again[1][1].endswith("RuntimeService ü\x01"))


class TestProtobuf(unittest.TestCase):
    def test_vectors_of_the_specification(self):
        # https://protobuf.dev/programming-guides/encoding/: Test1 {a: 150}, Test2 {b: "testing"}
        self.assertEqual(field(1, 150), bytes.fromhex("089601"))
        self.assertEqual(field(2, "testing"), bytes.fromhex("120774657374696e67"))
        self.assertEqual(protobuf_wire.parse(bytes.fromhex("1a03089601")), {3: [bytes.fromhex("089601")]})
        self.assertEqual(protobuf_wire.varint(-2), bytes.fromhex("feffffffffffffffff01"))

    def test_fixed_fields_are_passed_over(self):
        data = b"\x09" + b"12345678" + b"\x15" + b"1234" + field(3, 7)
        self.assertEqual(protobuf_wire.integer(protobuf_wire.parse(data), 3), 7)

    def test_what_is_no_message_is_refused(self):
        for data in (b"\x08", b"\x12\x05ab", b"\x0b", b"\x08" + b"\xff" * 11):
            with self.assertRaises(ValueError):
                protobuf_wire.parse(data)

    def test_maps(self):
        entry = field(1, "key") + field(2, "value")
        self.assertEqual(protobuf_wire.text_map(protobuf_wire.parse(field(9, entry)), 9), {"key": "value"})


class WithDirectory(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)


class TestCall(WithDirectory):
    def failure(self, answer, timeout=5.0):
        with Server(self.directory, lambda method, request: answer) as server:
            with self.assertRaises(grpc_call.CallFailed) as caught:
                grpc_call.call(server.path, "/a.B/C", b"x", timeout)
            return caught.exception

    def test_an_answer(self):
        with Server(self.directory, lambda method, request: reply(request * 2)) as server:
            self.assertEqual(grpc_call.call(server.path, "/a.B/C", b"xy", 5), b"xyxy")
            self.assertEqual(server.requests, [("/a.B/C", b"xy")])
        self.assertEqual(server.acks, 2)  # settings and ping were acknowledged

    def test_a_long_request_is_cut_into_frames(self):
        with Server(self.directory, lambda method, request: reply(request)) as server:
            request = os.urandom(40000)
            self.assertEqual(grpc_call.call(server.path, "/a.B/C", request, 5), request)

    def test_an_answer_larger_than_the_default_window(self):
        message = os.urandom(1 << 20)
        with Server(self.directory, lambda method, request: reply(message)) as server:
            self.assertEqual(grpc_call.call(server.path, "/a.B/C", b"", 10), message)
            # The server here would send it anyhow; a real one sends no more than it was allowed.
            self.assertGreater(server.window, len(message))

    def test_padded_frames_and_continuation(self):
        body = b"\0" + struct.pack(">I", 2) + b"ok"
        padded = frame(grpc_call.DATA, grpc_call.PADDED, 1, b"\x03" + body + b"\0\0\0")
        split = frame(grpc_call.HEADERS, 0, 1, HEADERS_200[:3])
        split += frame(grpc_call.CONTINUATION, grpc_call.END_HEADERS, 1, HEADERS_200[3:])
        with Server(self.directory, lambda method, request: split + padded + trailers_frame()) as server:
            self.assertEqual(grpc_call.call(server.path, "/a.B/C", b"", 5), b"ok")

    def test_an_error_status_with_its_message(self):
        error = self.failure(headers_frame() + trailers_frame(5, 'no "x" 100%25 \xc3'.replace("\xc3", "%C3%BC")))
        self.assertEqual((error.status, error.reason), (5, 'NOT_FOUND: no "x" 100% ü'))

    def test_no_message_at_all(self):
        self.assertIn("holds no message", self.failure(headers_frame() + trailers_frame()).reason)

    def test_a_message_that_breaks_off(self):
        short = headers_frame() + frame(grpc_call.DATA, 0, 1, b"\0\0\0\0\x09abc") + trailers_frame()
        self.assertIn("breaks off after 3 of 9", self.failure(short).reason)

    def test_a_compressed_message(self):
        squeezed = headers_frame() + frame(grpc_call.DATA, 0, 1, b"\1\0\0\0\x01a") + trailers_frame()
        self.assertIn("compressed", self.failure(squeezed).reason)

    def test_reset(self):
        self.assertIn("HTTP/2 error 8", self.failure(frame(grpc_call.RST_STREAM, 0, 1, b"\0\0\0\x08")).reason)

    def test_going_away_at_once(self):
        gone = frame(grpc_call.GOAWAY, 0, 0, struct.pack(">II", 0, 11) + b"too_many_pings")
        self.assertIn("going away (HTTP/2 error 11) too_many_pings", self.failure(gone).reason)

    def test_going_away_after_this_call(self):
        polite = frame(grpc_call.GOAWAY, 0, 0, struct.pack(">II", 1, 0)) + reply(b"still")
        with Server(self.directory, lambda method, request: polite) as server:
            self.assertEqual(grpc_call.call(server.path, "/a.B/C", b"", 5), b"still")

    def test_a_server_that_speaks_http_1(self):
        error = self.failure(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        self.assertIn("does not speak HTTP/2", error.reason)

    def test_another_http_status(self):
        not_found = frame(grpc_call.HEADERS, grpc_call.END_HEADERS | grpc_call.END_STREAM, 1, b"\x8d")
        self.assertIn("HTTP status 404", self.failure(not_found).reason)

    def test_silence_ends_with_the_timeout(self):
        began = time.monotonic()
        self.assertIsInstance(self.failure(None, timeout=0.4), grpc_call.TimedOut)
        self.assertLess(time.monotonic() - began, 3)

    def test_a_body_that_never_ends_stops_with_the_timeout(self):
        self.assertIsInstance(self.failure(headers_frame() + data_frames(b"x"), timeout=0.4), grpc_call.TimedOut)


def pod_sandbox(name, state):
    names = field(1, name) + field(2, "uid-" + name) + field(3, "default")
    return field(1, field(1, "id-" + name) + field(2, names) + field(3, state))


class TestClient(WithDirectory):
    def client(self, answers, **options):
        def answer(method, request):
            found = answers[method.rsplit("/", 1)[1]]
            return found if found.startswith(b"\0\0") and len(found) > 9 else reply(found)

        server = Server(self.directory, answer)
        self.addCleanup(server.__exit__)
        return cri.Client("unix://" + server.path, **options), server

    def test_the_api_version_is_in_the_path(self):
        said = field(1, "0.1.0") + field(2, "containerd") + field(3, "1.5.9") + field(4, "v1alpha2")
        client, server = self.client({"Version": said}, api="v1alpha2")
        self.assertEqual(client.version(), cri.Version("containerd", "1.5.9", "v1alpha2"))
        self.assertEqual(server.requests[0][0], "/runtime.v1alpha2.RuntimeService/Version")

    def test_conditions(self):
        ready = field(1, "RuntimeReady") + field(2, True)
        network = field(1, "NetworkReady") + field(3, "NetworkPluginNotReady") + field(4, "cni config uninitialized")
        client, _ = self.client({"Status": field(1, field(1, ready) + field(1, network))})
        conditions = client.status()
        self.assertEqual(conditions["RuntimeReady"], cri.Condition(True, "", ""))
        self.assertEqual(
            conditions["NetworkReady"], cri.Condition(False, "NetworkPluginNotReady", "cni config uninitialized")
        )

    def test_images(self):
        image = field(1, "sha256:1") + field(2, "a:1") + field(2, "b:1") + field(3, "a@sha256:2")
        client, server = self.client({"ListImages": field(1, image), "ImageStatus": field(1, image)})
        self.assertEqual(client.image_names(), ["a:1", "a@sha256:2", "b:1"])
        self.assertTrue(client.image_present("a:1"))
        self.assertEqual(server.requests[-1], ("/runtime.v1.ImageService/ImageStatus", b"\x0a\x05\x0a\x03a:1"))

    def test_an_image_that_is_not_there(self):
        client, _ = self.client({"ImageStatus": b""})
        self.assertFalse(client.image_present("a:1"))

    def test_sandboxes(self):
        client, _ = self.client({"ListPodSandbox": pod_sandbox("a", 0) + pod_sandbox("b", 1)})
        self.assertEqual(
            client.pod_sandboxes(),
            [
                cri.PodSandbox("id-a", "a", "default", "uid-a", True),
                cri.PodSandbox("id-b", "b", "default", "uid-b", False),
            ],
        )

    def test_containers_and_their_grace(self):
        grace = field(9, field(1, cri.GRACE_ANNOTATION) + field(2, "7"))
        first = field(1, "c1") + field(2, "id-a") + field(3, field(1, "web")) + field(6, 1) + grace
        second = field(1, "c2") + field(2, "id-a") + field(3, field(1, "log")) + field(6, 2)
        client, _ = self.client({"ListContainers": field(1, first) + field(1, second)})
        self.assertEqual(
            client.containers(),
            [cri.Container("c1", "id-a", "web", "running", 7), cri.Container("c2", "id-a", "log", "exited", None)],
        )

    def test_stop_container_sends_the_grace(self):
        client, server = self.client({"StopContainer": b""})
        client.stop_container("c1", 30)
        self.assertEqual(server.requests[0][1], b"\x0a\x02c1\x10\x1e")

    def test_a_service_that_is_not_there(self):
        client, _ = self.client({"Version": trailers_frame(12, "unknown service runtime.v1.RuntimeService")})
        with self.assertRaises(cri.CriError) as caught:
            client.version()
        self.assertEqual(caught.exception.status, grpc_call.UNIMPLEMENTED)
        self.assertIn("does not serve CRI v1", caught.exception.message)

    def test_an_answer_that_is_not_cri(self):
        client, _ = self.client({"Version": b"\x12\x7fx"})
        with self.assertRaises(cri.CriError) as caught:
            client.version()
        self.assertIn("something else than CRI", caught.exception.message)

    def test_an_unknown_api(self):
        with self.assertRaises(cri.CriError):
            cri.Client("/run/x.sock", "v2")

    def test_wait_ready_takes_the_version_that_is_served(self):
        def answer(method, request):
            if "v1alpha2" not in method:
                return trailers_frame(12, "unknown service")
            if method.endswith("Version"):
                return reply(field(2, "containerd"))
            return reply(field(1, field(1, field(1, "RuntimeReady") + field(2, True))))

        with Server(self.directory, answer) as server:
            self.assertEqual(cri.wait_ready(server.path, ["v1", "v1alpha2"], 5)["api"], "v1alpha2")
            self.assertEqual(cri.wait_ready(server.path, [], 5)["api"], "v1alpha2")

    def test_wait_ready_asks_until_it_is_ready(self):
        asked = []

        def answer(method, request):
            if method.endswith("Version"):
                return reply(field(2, "containerd"))
            asked.append(method)
            return reply(field(1, field(1, field(1, "RuntimeReady") + field(2, len(asked) >= 3))))

        with Server(self.directory, answer) as server:
            cri.wait_ready(server.path, ["v1"], 10, interval=0.01)
        self.assertEqual(len(asked), 3)

    def test_wait_ready_names_the_condition_in_the_end(self):
        def answer(method, request):
            if method.endswith("Version"):
                return reply(field(2, "containerd"))
            condition = field(1, "NetworkReady") + field(3, "NoCni") + field(4, "no config")
            return reply(field(1, field(1, condition)))

        with Server(self.directory, answer) as server, self.assertRaises(cri.CriError) as caught:
            cri.wait_ready(server.path, ["v1"], 0.5, ["NetworkReady"])
        self.assertIn("NetworkReady is false, NoCni: no config", caught.exception.message)
        self.assertFalse(caught.exception.details["conditions"]["NetworkReady"]["status"])
