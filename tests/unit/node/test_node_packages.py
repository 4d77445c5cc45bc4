"""What apt would do, from recorded simulations, and what is refused."""

import unittest
from unittest import mock

from unshim_node import commands, package_manager_apt
from unshim_node.errors import NodeError

# Recorded: apt-get -s install on Debian 12 (first), Ubuntu 22.04 with docker-ce (second; shortened).
NEW = """\
Reading package lists...
The following NEW packages will be installed:
  containernetworking-plugins iptables
Inst libip6tc2 (1.8.9-2 Debian:12.11/oldstable [amd64])
Inst runc (1.1.5+ds1-1+deb12u1 Debian:12.11/oldstable [amd64])
Inst containerd (1.6.20~ds1-1+deb12u3 Debian:12.11/oldstable [amd64])
Conf runc (1.1.5+ds1-1+deb12u1 Debian:12.11/oldstable [amd64])
"""
REPLACING = """\
Remv docker-ce [5:24.0.7-1~ubuntu.22.04~jammy]
Remv containerd.io [1.6.27-1]
Inst runc [1.1.4-0ubuntu1] (1.1.7-0ubuntu1~22.04.1 Ubuntu:22.04/jammy-updates [amd64])
Inst libseccomp2:amd64 [2.5.3-2ubuntu2] (2.5.3-2ubuntu3 Ubuntu:22.04/jammy-updates [amd64]) []
Inst containerd (1.7.2-0ubuntu1~22.04.1 Ubuntu:22.04/jammy-updates [amd64])
"""


class TestSimulation(unittest.TestCase):
    def test_new_packages(self):
        done = package_manager_apt.parse_simulation(NEW)
        self.assertEqual(
            done.installed,
            {"libip6tc2": "1.8.9-2", "runc": "1.1.5+ds1-1+deb12u1", "containerd": "1.6.20~ds1-1+deb12u3"},
        )
        self.assertEqual((done.changed, done.removed), ({}, []))

    def test_removals_and_upgrades(self):
        done = package_manager_apt.parse_simulation(REPLACING)
        self.assertEqual(done.removed, ["docker-ce", "containerd.io"])
        self.assertEqual(
            done.changed,
            {
                "runc": ("1.1.4-0ubuntu1", "1.1.7-0ubuntu1~22.04.1"),
                "libseccomp2": ("2.5.3-2ubuntu2", "2.5.3-2ubuntu3"),
            },
        )

    def result(self, rc, out="", err=""):
        return commands.Result(["apt-get"], rc, out, err)

    def test_the_version_is_asked_for_and_only_then_a_downgrade_allowed(self):
        asked = []

        def run(argv, **options):
            asked.append(argv)
            return self.result(0)

        with mock.patch.object(commands, "run", run):
            package_manager_apt.simulate({"containerd": "1.6.8", "runc": ""})
            package_manager_apt.simulate({"runc": ""})
        self.assertIn("-s", asked[0])
        self.assertEqual(asked[0][-3:], ["containerd=1.6.8", "runc", "--allow-downgrades"])
        self.assertNotIn("--allow-downgrades", asked[1])
        self.assertIn("--no-install-recommends", asked[1])

    def test_what_apt_refuses_is_said_in_its_words(self):
        refused = self.result(100, err="W: noise\nE: Version '9' for 'containerd' was not found\n")
        with mock.patch.object(commands, "run", return_value=refused), self.assertRaises(NodeError) as caught:
            package_manager_apt.simulate({"containerd": "9"})
        self.assertIn("Version '9' for 'containerd' was not found. Nothing was changed.", caught.exception.message)

    def test_it_waits_for_the_lock(self):
        answers = [self.result(100, err="E: Could not get lock /var/lib/dpkg/lock-frontend."), self.result(0)]
        with mock.patch.object(commands, "run", side_effect=answers) as run, mock.patch("time.sleep"):
            package_manager_apt.update_lists()
        self.assertEqual(run.call_count, 2)

    def test_interrupted_installations(self):
        listing = self.result(0, "runc\tiF \ncontainerd\tii \nold\trc \nlibc6\tit \n")
        with mock.patch.object(commands, "run", return_value=listing):
            self.assertEqual(
                package_manager_apt.unfinished(), {"runc": "half configured", "libc6": "with a pending trigger"}
            )

    def test_a_half_installed_package_is_for_the_operator(self):
        listing = self.result(0, "runc\tiHR\n")
        with mock.patch.object(commands, "run", return_value=listing), self.assertRaises(NodeError) as caught:
            package_manager_apt.unfinished()
        self.assertIn("apt-get install --reinstall runc", caught.exception.message)

    def test_installed_versions(self):
        listing = self.result(1, "runc\t1.1.5\tii \ncontainerd\t1.6\trc \n", "no packages found matching x")
        with mock.patch.object(commands, "run", return_value=listing):
            self.assertEqual(
                package_manager_apt.installed(["runc", "containerd", "x"]),
                {"runc": "1.1.5", "containerd": "", "x": ""},
            )
