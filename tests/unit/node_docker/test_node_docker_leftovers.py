"""What exited containers left behind is found by name, and what is not Docker's or in use is left alone."""

import os
import socket
import tempfile
import unittest

from unshim_node import docker_leftovers

ID = "4e5bec4ae4d3c4f73927240b7b807221e4d00cf68e1f2277f36456756ad10d55"
OTHER = "81118b0d1ce0b57a265a89cfbd7e96e46fa377dcfb44a84e095acbbddf021cba"
# /proc/self/mountinfo of a node in the lab whose Docker was killed, shortened; the last four are somebody else's.
MOUNTS = """\
22 1 254:1 / / rw - ext4 /dev/vda rw
30 22 254:2 / /var/lib/docker rw - ext4 /dev/vdb rw
31 30 254:2 /overlay2 /var/lib/docker/overlay2 rw - ext4 /dev/vdb rw
40 31 0:60 / /var/lib/docker/overlay2/%(id)s/merged rw - overlay overlay rw,lowerdir=/x
41 30 0:61 / /var/lib/docker/containers/%(id)s/mounts/shm rw - tmpfs shm rw
42 23 0:4 net:[4026532] /run/docker/netns/58df611f2cfd rw - nsfs nsfs rw
50 30 8:1 / /var/lib/docker/volumes/data/_data rw - ext4 /dev/sdc rw
51 30 0:70 / /var/lib/docker/overlay2/%(id)s/merged2 rw - overlay overlay rw
52 23 0:71 / /run/docker/netns-of-mine rw - tmpfs tmpfs rw
53 22 0:72 / /srv/with\\040space rw - tmpfs tmpfs rw
""" % {"id": ID}


class TestMounts(unittest.TestCase):
    def test_those_of_containers_and_no_others_the_last_first(self):
        points = docker_leftovers.mount_points(MOUNTS)
        self.assertIn(("/srv/with space", "tmpfs"), points)
        self.assertEqual(
            docker_leftovers.dockers_mounts(points, "/var/lib/docker"),
            [
                "/run/docker/netns/58df611f2cfd",
                "/var/lib/docker/containers/%s/mounts/shm" % ID,
                "/var/lib/docker/overlay2/%s/merged" % ID,
                "/var/lib/docker/overlay2",
            ],
        )

    def test_another_data_directory(self):
        points = docker_leftovers.mount_points(MOUNTS)
        self.assertEqual(docker_leftovers.dockers_mounts(points, "/srv/docker"), ["/run/docker/netns/58df611f2cfd"])


class TestSockets(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = os.path.realpath(place.name)

    def bound(self, name):
        path = os.path.join(self.place, name)
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(path)
        return server, path

    def listened(self):
        with open("/proc/net/unix", encoding="utf-8") as stream:
            return docker_leftovers.listening(stream.read())

    def test_a_socket_somebody_listens_on_stays(self):
        server, path = self.bound("docker.sock")
        server.listen(1)
        self.assertEqual(docker_leftovers.stale_sockets([path], self.listened()), [])
        server.close()
        self.assertEqual(docker_leftovers.stale_sockets([path], self.listened()), [path])

    def test_a_link_to_another_programs_socket_and_a_directory_stay(self):
        _, podman = self.bound("podman.sock")
        link, directory = os.path.join(self.place, "docker.sock"), os.path.join(self.place, "dockershim.sock")
        os.symlink(podman, link)
        os.mkdir(directory)
        self.assertEqual(docker_leftovers.stale_sockets([link, directory, link + "-none"], set()), [])

    def test_one_socket_by_two_names_goes_once(self):
        _, path = self.bound("docker.sock")
        alias = os.path.join(self.place, "run")
        os.symlink(self.place, alias)
        self.assertEqual(docker_leftovers.stale_sockets([path, os.path.join(alias, "docker.sock")], set()), [path])


class TestNetworkRecords(unittest.TestCase):
    def test_only_those_of_dockers_containers(self):
        with tempfile.TemporaryDirectory() as place:
            files = {
                "networks/lab/10.244.1.5": ID + "\r\neth0",
                "networks/lab/10.244.1.6": OTHER + "\neth0",
                "networks/lab/last_reserved_ip.0": "10.244.1.6",
                "networks/lab/lock": "",
                "cache/results/lab-%s-eth0" % ID: "{}",
                "cache/results/lab-%s-eth0" % OTHER: "{}",
            }
            for name, text in files.items():
                path = os.path.join(place, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w") as stream:
                    stream.write(text)
            found = docker_leftovers.cni_records(place, {ID})
            self.assertEqual(
                [os.path.relpath(path, place) for path in found],
                ["cache/results/lab-%s-eth0" % ID, "networks/lab/10.244.1.5"],
            )
            empty = docker_leftovers.Leftovers([], [], [], found, [])
            docker_leftovers.remove(empty, "/nowhere.sock")
            self.assertEqual(docker_leftovers.cni_records(place, {ID}), [])
            self.assertEqual(len(docker_leftovers.cni_records(place, {OTHER})), 2)


if __name__ == "__main__":
    unittest.main()
