"""What goes with Docker, and what must not."""

import os
import shutil
import tempfile
import unittest

from unshim_node import docker_remove
from unshim_node.errors import NodeError


class TestPackages(unittest.TestCase):
    # `apt-get -s purge` of bookworm
    TEXT = """\
Reading package lists...
The following packages will be REMOVED:
  docker.io* kubelet*
Purg docker.io [20.10.24+dfsg1-1+deb12u1+b2]
Remv kubelet:amd64 [1.20.2]
Inst podman-docker (4.3.1 Debian:12.5/stable [all])
Conf podman-docker (4.3.1 Debian:12.5/stable [all])
"""

    def test_simulation(self):
        self.assertEqual(docker_remove.removed_by(self.TEXT), ["docker.io", "kubelet"])
        self.assertEqual(docker_remove.also_changed_by(self.TEXT), ["podman-docker"])

    def test_containerd_is_never_dockers(self):
        self.assertFalse(set(docker_remove.PACKAGES + docker_remove.RPM_PACKAGES) & set(docker_remove.KEEP))

    def test_zyppers_list_without_what_a_node_needs(self):
        text = "# comment\n\ncontainerd\ncontainerd-ctr\nrunc\n"
        self.assertEqual(docker_remove.without_names(text, ["containerd", "runc"]), "# comment\n\ncontainerd-ctr\n")

    def test_sizes_in_words(self):
        said = [docker_remove.in_words(size) for size in (0, 999, 252900000, 3400000000, 5 * 10**12)]
        self.assertEqual(said, ["0 bytes", "999 bytes", "252.9 MB", "3.4 GB", "5000.0 GB"])


class TestData(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.outside = os.path.join(place.name, "outside")
        self.root = os.path.join(place.name, "docker")
        os.makedirs(self.outside)
        for name in ("containers", "image", "overlay2"):
            os.makedirs(os.path.join(self.root, name))
        self.write(self.outside, "precious")
        self.write(self.root, "overlay2", "layer")
        os.symlink(self.outside, os.path.join(self.root, "volumes"))

    def write(self, *parts):
        with open(os.path.join(*parts), "w") as stream:
            stream.write("x" * 100000)

    def test_all_of_it_and_no_symlink_is_followed(self):
        self.assertGreaterEqual(docker_remove.data_size(self.root), 100000)
        docker_remove.delete_data(self.root)
        self.assertFalse(os.path.exists(self.root))
        self.assertEqual(os.listdir(self.outside), ["precious"])
        self.assertFalse(docker_remove.has_data(self.root))
        docker_remove.delete_data(self.root)

    def test_a_link_to_the_data_is_followed_once(self):
        link = self.root + "-link"
        os.symlink(self.root, link)
        docker_remove.delete_data(link)
        self.assertFalse(os.path.exists(self.root))

    def test_a_deletion_that_was_cut_short_is_gone_on_with(self):
        for name in ("image", "overlay2"):
            shutil.rmtree(os.path.join(self.root, name))
        os.unlink(os.path.join(self.root, "volumes"))
        docker_remove.delete_data(self.root)
        self.assertFalse(os.path.exists(self.root))

    def test_what_does_not_look_like_dockers_is_refused(self):
        for path in (self.outside, "/usr", "/"):
            with self.subTest(path), self.assertRaises(NodeError):
                docker_remove.check_data(path)

    def test_mounts_below(self):
        text = (
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
            "23 22 8:2 / /var/lib/docker rw - ext4 /dev/sdb rw\n"
            "24 23 0:9 / /var/lib/docker/overlay2/a\\040b/merged rw - overlay overlay rw\n"
            "25 22 0:9 / /var/lib/docker2 rw - tmpfs tmpfs rw\n"
        )
        self.assertEqual(docker_remove.mounts_below("/var/lib/docker", text), ["/var/lib/docker/overlay2/a b/merged"])
        self.assertEqual(len(docker_remove.mounts_below("/", text)), 3)


if __name__ == "__main__":
    unittest.main()
