"""The key of Docker's repository, and whether a node has the repository already."""

import base64
import os
import shutil
import tempfile
import unittest
from unittest import mock

from unshim_node import docker_repository
from unshim_node.errors import NodeError

URL = "https://download.docker.com/linux/debian"
# A key made for this test: gpg --quick-generate-key test ed25519 sign never; its fingerprint by gpg --show-keys.
FINGERPRINT = "D4280A09B5AF551FB775F753FBF2D65EA6385441"
KEY = b"""\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawWphBYJKwYBBAHaRw8BAQdAriV57t1AGymRDRyN45cqtF+jXKEcNFgQuqZx
bHEExeW0InVuc2hpbSB0ZXN0IGtleSA8dGVzdEBleGFtcGxlLmNvbT6IkAQTFggA
OBYhBNQoCgm1r1Uft3X3U/vy1l6mOFRBBQJrBamEAhsDBQsJCAcCBhUKCQgLAgQW
AgMBAh4BAheAAAoJEPvy1l6mOFRBXXYBALqhdsvapHH4VvXvZ4suWvJto8hN/nSs
XbLVybBRNfWpAPwPwyUclWIP1e48jRPhWw7C8WhjL63Mc1PwNcr+SYVsBg==
=q0vW
-----END PGP PUBLIC KEY BLOCK-----
"""


class TestKey(unittest.TestCase):
    def test_fingerprint_of_text_and_of_bytes(self):
        self.assertEqual(docker_repository.fingerprint(KEY), FINGERPRINT)
        self.assertEqual(docker_repository.fingerprint(KEY.replace(b"\n", b"\r\n")), FINGERPRINT)
        binary = base64.b64decode(b"".join(KEY.split(b"\n\n")[1].split(b"\n")[:-3]))
        self.assertEqual(docker_repository.fingerprint(binary), FINGERPRINT)
        self.assertEqual(docker_repository.fingerprint(docker_repository.armoured(binary)), FINGERPRINT)
        self.assertEqual(docker_repository.armoured(KEY), KEY)

    def test_what_is_no_key_is_said(self):
        pages = (
            b"<html>404</html>",
            b"",
            b"\x99\x01",
            KEY[:200],
            b"\xc6\xff\xff\xff\xff\xff",
            KEY.replace(b"mDME", b"!!!!"),
        )
        for data in pages:
            with self.assertRaises(NodeError) as caught:
                docker_repository.fingerprint(data)
            self.assertIn("nothing was changed", caught.exception.message, data)

    def test_another_key_is_refused(self):
        docker_repository.check_key(KEY, "", URL)
        docker_repository.check_key(KEY, " ".join([FINGERPRINT[:20], FINGERPRINT[20:].lower()]), URL)
        with self.assertRaises(NodeError) as caught:
            docker_repository.check_key(KEY, "9DC858229FC7DD38854AE2D88D81803C0EBFCD88", URL)
        self.assertIn("has the fingerprint %s, not 9DC858229FC7" % FINGERPRINT, caught.exception.message)

    def test_a_second_key_behind_the_right_one_is_refused(self):
        binary = base64.b64decode(b"".join(KEY.split(b"\n\n")[1].split(b"\n")[:-3]))
        stranger = binary.replace(b"\x16", b"\x13", 1)
        other = docker_repository.armoured(stranger)
        message = other.replace(
            b"PUBLIC KEY BLOCK", b"ARMORED FILE"
        )  # apt reads the first block, whatever it is called
        for key in (binary + stranger, docker_repository.armoured(binary + stranger), KEY + other, message + KEY):
            with self.assertRaises(NodeError) as caught:
                docker_repository.check_key(key, FINGERPRINT, URL)
            self.assertIn("holds more keys", caught.exception.message)
        docker_repository.check_key(binary, FINGERPRINT, URL)
        docker_repository.check_key(KEY + other, "", URL)

    def test_another_repositorys_key_is_not_overwritten(self):
        path = os.path.join(self.directory(), "docker.asc")
        docker_repository.key_conflict(path, KEY)
        binary = base64.b64decode(b"".join(KEY.split(b"\n\n")[1].split(b"\n")[:-3]))
        for there, good in ((KEY, True), (binary, True), (binary.replace(b"\x16", b"\x13", 1), False), (b"?", False)):
            with open(path, "wb") as stream:
                stream.write(there)
            if good:
                docker_repository.key_conflict(path, KEY)
                continue
            with self.assertRaises(NodeError) as caught:
                docker_repository.key_conflict(path, KEY)
            self.assertIn("holds another key", caught.exception.message)

    def directory(self):
        made = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, made)
        return made


class TestSources(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        places = mock.patch.multiple(docker_repository, APT_SOURCES=(self.root,), RPM_SOURCES=(self.root,))
        places.start()
        self.addCleanup(places.stop)

    def write(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        return path

    def test_apt(self):
        self.write("a.list", "# deb %s bookworm stable\ndeb https://deb.debian.org/debian bookworm main\n" % URL)
        self.write("b.sources", "Types: deb\nURIs: %s\nSuites: bookworm\nEnabled: no\n" % URL)
        self.assertEqual(docker_repository.existing(URL, "apt"), "")
        path = self.write(
            "c.list", "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.gpg] %s/ bookworm stable\n" % URL
        )
        self.assertEqual(docker_repository.existing(URL, "apt"), path)
        os.unlink(path)
        path = self.write("d.sources", "Types: deb\nURIs: https://x.example %s\nSuites: bookworm\n" % URL)
        self.assertEqual(docker_repository.existing(URL, "apt"), path)

    def test_dnf(self):
        url = "https://download.docker.com/linux/centos"
        section = "[docker-ce-%s]\nbaseurl=" + url + "/$releasever/$basearch/%s\nenabled=%d\n"
        self.write("a.repo", section % ("stable", "stable", 0) + section % ("test", "test", 1))
        self.write("b.repo", "not an ini file\n")
        self.assertEqual(docker_repository.existing(url, "dnf"), "")
        path = self.write("c.repo", section % ("stable", "stable", 1))
        self.assertEqual(docker_repository.existing(url, "dnf"), path)
        self.assertEqual(docker_repository.existing("https://mirror.example/linux/centos", "dnf"), "")

    def test_a_file_of_somebody_else_is_not_replaced(self):
        path = self.write("docker.sources", "Types: deb\nURIs: https://mirror.example\n")
        with self.assertRaises(NodeError) as caught:
            docker_repository.conflict(path, b"# Written by unshim\nTypes: deb\n")
        self.assertIn("was not written by unshim", caught.exception.message)
        self.write("docker.sources", "# Written by unshim\nTypes: deb\nURIs: https://mirror.example\n")
        docker_repository.conflict(path, b"# Written by unshim\nTypes: deb\n")
        docker_repository.conflict(os.path.join(self.root, "none"), b"")


if __name__ == "__main__":
    unittest.main()
