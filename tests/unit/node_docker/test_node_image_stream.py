"""Names of images, what has to move, and the stream between two programs."""

import hashlib
import os
import tempfile
import unittest

from unshim_node import image_stream
from unshim_node.errors import NodeError

SHA = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
ID = "sha256:" + "1" * 64

# `ctr -n k8s.io images check` of containerd 1.6.20, ids shortened to what the columns need
CHECK = """\
REF                      TYPE                                                 DIGEST STATUS SIZE UNPACKED 
docker.io/library/app:1  application/vnd.docker.distribution.manifest.v2+json %(sha)s complete (3/3)   23.0 MiB/23.0 MiB true
docker.io/library/web:1  application/vnd.docker.distribution.manifest.v2+json %(sha)s incomplete (1/2) 1.8 KiB/4.3 MiB   true
docker.io/library/raw:1  application/vnd.docker.distribution.manifest.v2+json %(sha)s complete (2/2)   3.0 MiB/3.0 MiB   false
docker.io/library/nil:1  application/vnd.docker.distribution.manifest.v2+json %(sha)s unavailable (0/?) 0.0 B/?          false
""" % {"sha": SHA}


class TestNames(unittest.TestCase):
    def test_table(self):
        # The rules of distribution/reference: ParseDockerRef
        for reference, expected in [
            ("httpd:1", "docker.io/library/httpd:1"),
            ("httpd", "docker.io/library/httpd:latest"),
            ("team/httpd:1", "docker.io/team/httpd:1"),
            ("docker.io/httpd:1", "docker.io/library/httpd:1"),
            ("index.docker.io/httpd:1", "docker.io/library/httpd:1"),
            ("index.docker.io/team/httpd", "docker.io/team/httpd:latest"),
            ("k8s.gcr.io/pause:3.2", "k8s.gcr.io/pause:3.2"),
            ("registry:5000/pause", "registry:5000/pause:latest"),
            ("localhost/pause:1", "localhost/pause:1"),
            ("Registry/pause:1", "Registry/pause:1"),
            ("example.org:5000/a/b/c:v1", "example.org:5000/a/b/c:v1"),
            ("httpd@" + SHA, "docker.io/library/httpd@" + SHA),
            ("httpd:1@" + SHA, "docker.io/library/httpd@" + SHA),
            ("example.org:5000/a@" + SHA, "example.org:5000/a@" + SHA),
        ]:
            with self.subTest(reference):
                self.assertEqual(image_stream.normalised(reference), expected)
                self.assertEqual(image_stream.normalised(expected), expected)


class TestTables(unittest.TestCase):
    def test_check(self):
        found = image_stream.parse_check(CHECK)
        self.assertEqual(
            {name: record.ready for name, record in found.items()},
            {
                "docker.io/library/app:1": True,
                "docker.io/library/web:1": False,
                "docker.io/library/raw:1": False,
                "docker.io/library/nil:1": False,
            },
        )
        self.assertEqual(found["docker.io/library/app:1"].digest, SHA)

    def test_labels(self):
        text = (
            "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
            "a:1 t d 670.5 KiB linux/amd64 io.cri-containerd.image=managed,io.cri-containerd.pinned=pinned \n"
            "b:1 t d 670.5 KiB linux/amd64 io.cri-containerd.image=managed \n"
            "c:1 t d 670.5 KiB linux/amd64 - \n"
        )
        self.assertEqual(image_stream.parse_labelled(text, image_stream.PINNED), {"a:1"})


IMAGE = {"id": ID, "names": ["app:1", "app@" + SHA], "size": 1}


class TestNeeds(unittest.TestCase):
    TAG, DIGEST = "docker.io/library/app:1", "docker.io/library/app@" + SHA

    def need(self, *records, **ids):
        known = {SHA: {ID}, OTHER: {OTHER}}
        (found,) = image_stream.needs([IMAGE], {record.name: record for record in records}, known)
        return found

    def test_nothing_there(self):
        found = self.need()
        self.assertEqual((found.missing, found.source), ([self.TAG, self.DIGEST], ""))

    def test_all_there(self):
        found = self.need(image_stream.Record(self.TAG, SHA, True), image_stream.Record(self.DIGEST, SHA, True))
        self.assertEqual((found.missing, found.source), ([], self.TAG))

    def test_a_name_is_missing(self):
        found = self.need(image_stream.Record(self.TAG, SHA, True))
        self.assertEqual((found.missing, found.source), ([self.DIGEST], self.TAG))

    def test_content_is_missing(self):
        found = self.need(image_stream.Record(self.TAG, SHA, False))
        self.assertEqual((found.missing, found.source), ([self.TAG, self.DIGEST], ""))

    def test_the_name_leads_to_another_image(self):
        found = self.need(image_stream.Record(self.TAG, OTHER, True), image_stream.Record(self.DIGEST, SHA, True))
        self.assertEqual((found.missing, found.source), ([self.TAG], self.DIGEST))

    def test_an_import_was_cut_short_before_naming(self):
        staged = image_stream.STAGING + "@" + SHA
        found = self.need(image_stream.Record(staged, SHA, True))
        self.assertEqual((found.missing, found.source), ([self.TAG, self.DIGEST], staged))


class TestSpace(unittest.TestCase):
    def test_chain_ids(self):
        # OCI image-spec: ChainID(L0|L1) = Digest(ChainID(L0) + " " + DiffID(L1))
        second = "sha256:" + hashlib.sha256((SHA + " " + OTHER).encode("ascii")).hexdigest()
        self.assertEqual(image_stream.chain_ids([SHA, OTHER]), [SHA, second])
        self.assertEqual(image_stream.chain_ids([]), [])

    def test_shared_layers_count_once(self):
        with_layers = [{"Size": 9, "RootFS": {"Layers": [SHA]}}, {"Size": 9, "RootFS": {"Layers": [SHA]}}]
        with tempfile.TemporaryDirectory() as root:
            layer = os.path.join(root, "image", "overlay2", "layerdb", "sha256", "a" * 64)
            os.makedirs(layer)
            with open(os.path.join(layer, "size"), "w") as stream:
                stream.write("5")
            self.assertEqual(image_stream.layer_bytes(with_layers, root, "overlay2"), 5)
            self.assertEqual(image_stream.layer_bytes(with_layers, root, "btrfs"), 18)

    def test_what_is_saved_together(self):
        for version, expected in [
            ("20.10.24+dfsg1", [["a", "b"]]),
            ("24.0.7", [["a", "b"]]),
            ("26.1.5+dfsg1", [["a"], ["b"]]),
            ("", [["a"], ["b"]]),
        ]:
            with self.subTest(version):
                self.assertEqual(image_stream.batches(["a", "b"], version), expected)
        self.assertEqual(image_stream.batches([], "20.10.24"), [])

    def test_no_room_names_the_numbers(self):
        with self.assertRaises(NodeError) as raised:
            image_stream.check_space(1 << 60, "/", "/")
        self.assertEqual(raised.exception.details["path"], "/")
        self.assertGreaterEqual(raised.exception.details["needed"], 2 << 60)
        image_stream.check_space(0, "/nowhere/docker", "/nowhere/containerd")

    def test_words(self):
        self.assertEqual(
            [image_stream.in_words(size) for size in (3, 2048, 5 << 20, 3 << 30, 2 << 40)],
            ["3 bytes", "2.0 KiB", "5.0 MiB", "3.0 GiB", "2.0 TiB"],
        )


class TestStream(unittest.TestCase):
    def test_every_byte_goes_over(self):
        script = "test $(wc -c) = 5000000"
        self.assertEqual(image_stream.stream(["head", "-c", "5000000", "/dev/zero"], ["sh", "-c", script]), 5000000)

    def failure(self, save, load):
        with self.assertRaises(NodeError) as raised:
            image_stream.stream(["sh", "-c", save], ["sh", "-c", load])
        return str(raised.exception)

    def test_a_full_disk_is_told_with_what_to_do(self):
        load = "head -c 10 >/dev/null; echo 'ctr: write /var/lib/containerd/data: no space left on device' >&2; exit 1"
        with self.assertRaises(NodeError) as caught:
            image_stream.stream(["head", "-c", "5000000", "/dev/zero"], ["sh", "-c", load])
        self.assertIn("free some space on the file system named here, and run again", str(caught.exception))
        self.assertIn("write /var/lib/containerd/data: no space left on device", str(caught.exception))

    def test_saving_fails(self):
        said = self.failure("echo part; echo lost a layer >&2; exit 3", "cat; trap '' TERM; cat")
        self.assertIn("`docker save` returned 3: lost a layer", said)

    def test_the_importer_does_not_take_a_cut_stream_for_a_whole_one(self):
        with tempfile.TemporaryDirectory() as place:
            self.failure("echo part; sleep 0.2; exit 3", "cat >/dev/null; touch %s/done" % place)
            self.assertEqual(os.listdir(place), [])

    def test_importing_fails_early(self):
        said = self.failure("exec cat /dev/zero", "head -c 10 >/dev/null; echo no space >&2; exit 4")
        self.assertIn("`ctr images import` returned 4: no space", said)

    def test_the_importer_has_time_to_say_why_it_reads_no_more(self):
        said = self.failure("exec cat /dev/zero", "exec <&-; sleep 0.5; echo no space left on device >&2; exit 1")
        self.assertIn("`ctr images import` returned 1: no space left on device", said)

    def test_a_program_is_missing(self):
        with self.assertRaises(NodeError) as raised:
            image_stream.stream(["no-such-docker", "save"], ["cat"])
        self.assertIn("no-such-docker", str(raised.exception))


if __name__ == "__main__":
    unittest.main()
