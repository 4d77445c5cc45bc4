"""What dnf and zypper would do, from recorded outputs (tests/data/packages), and what is refused.

Recorded on lab machines with dnf 4.14, dnf 5.4 and zypper 1.14 and the packages of molecule/_lab/images/rpms.
"""

import os
import unittest
from unittest import mock

from unshim_node import commands, package_manager, package_manager_dnf, package_manager_zypper
from unshim_node.errors import NodeError

DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data", "packages")

# yum 3 as CentOS 7 prints it; from its documentation and reports, not recorded.
YUM = """\
Dependencies Resolved

================================================================================
 Package           Arch   Version                       Repository         Size
================================================================================
Installing:
 containerd.io     x86_64 1.6.33-3.1.el7                docker-ce-stable   35 M
     replacing  runc.x86_64 1.0.0-70.rc10.el7_9
Installing for dependencies:
 container-selinux noarch 2:2.119.2-1.911c772.el7_8     extras             40 k
Updating for dependencies:
 a-package-with-a-very-long-name
                   x86_64 2.0-1                         base              1.0 M

Transaction Summary
================================================================================
Install  1 Package (+1 Dependent package)
"""


def recorded(name):
    with open(os.path.join(DATA, name), encoding="utf-8") as stream:
        return stream.read()


def result(rc=0, out="", err=""):
    return commands.Result(["dnf"], rc, out, err)


class TestDnf(unittest.TestCase):
    def test_new_packages(self):
        done = package_manager_dnf.parse_transaction(recorded("dnf4-installing.txt"))
        self.assertEqual(
            done.installed,
            {"containerd.io": "1.6.20-3.2.el9", "containernetworking-plugins": "1.1.1-1", "podman": "4.9.4-1.el9"},
        )
        self.assertEqual((done.changed, done.removed), ({}, []))
        done = package_manager_dnf.parse_transaction(recorded("dnf5-installing.txt"))
        self.assertEqual(done, package_manager.Transaction({"containerd.io": "1.6.20-3.2.el9"}, {}, []))

    def test_what_is_obsoleted_is_removed(self):
        for name in ("dnf4-replacing.txt", "dnf5-replacing.txt"):
            done = package_manager_dnf.parse_transaction(recorded(name))
            self.assertEqual(done, package_manager.Transaction({"containerd.io": "1.6.20-3.2.el9"}, {}, ["runc"]), name)

    def test_removals_of_what_depends_on_it(self):
        for name in ("dnf4-removing.txt", "dnf5-removing.txt"):
            done = package_manager_dnf.parse_transaction(recorded(name))
            self.assertEqual(done, package_manager.Transaction({}, {}, ["runc", "podman"]), name)

    def test_other_versions(self):
        for name, version in (
            ("dnf4-downgrading.txt", "1.6.20-3.1.el9"),
            ("dnf5-downgrading.txt", "1.6.20-3.1.el9"),
            ("dnf5-upgrading.txt", "1.6.20-3.2.el9"),
        ):
            done = package_manager_dnf.parse_transaction(recorded(name))
            self.assertEqual(done, package_manager.Transaction({}, {"containerd.io": ("", version)}, []), name)

    def test_yum(self):
        done = package_manager_dnf.parse_transaction(YUM)
        self.assertEqual(
            done.installed, {"containerd.io": "1.6.33-3.1.el7", "container-selinux": "2:2.119.2-1.911c772.el7_8"}
        )
        self.assertEqual(done.changed, {"a-package-with-a-very-long-name": ("", "2.0-1")})
        self.assertEqual(done.removed, ["runc"])

    def simulate(self, wanted, answers, installed):
        found = mock.patch.object(commands, "find", lambda name: "/usr/bin/dnf" if name == "dnf" else None)
        versions = mock.patch.object(
            package_manager_dnf, "installed", lambda names: {name: installed.get(name, "") for name in names}
        )
        with found, versions, mock.patch.object(commands, "run", side_effect=answers) as run:
            return package_manager_dnf.simulate(wanted), [call[0][0] for call in run.call_args_list]

    def test_a_simulation_asks_for_nothing_new(self):
        answers = [result(1, recorded("dnf4-downgrading.txt"), "Operation aborted.")]
        done, asked = self.simulate({"containerd.io": "1.6.20-3.1.el9"}, answers, {"containerd.io": "1.6.20-3.2.el9"})
        self.assertEqual(done.changed, {"containerd.io": ("1.6.20-3.2.el9", "1.6.20-3.1.el9")})
        self.assertEqual(asked[0][:3], ["/usr/bin/dnf", "-C", "--assumeno"])
        self.assertEqual(asked[0][-2:], ["install", "containerd.io-1.6.20-3.1.el9"])

    def test_what_dnf_refuses_is_said_in_its_words(self):
        refused = result(1, err="Error: \n Problem: conflicting requests\n  - nothing provides x needed by y\n")
        with self.assertRaises(NodeError) as caught:
            self.simulate({"containerd.io": ""}, [refused], {})
        self.assertIn("nothing provides x needed by y. Nothing was changed.", caught.exception.message)

    def test_a_package_in_place_of_the_one_asked_for_is_refused(self):
        # `dnf install containerd`, or runc, beside Docker's repository
        with self.assertRaises(NodeError) as caught:
            self.simulate({"containerd": ""}, [result(1, recorded("dnf5-installing.txt"))], {})
        self.assertIn("would not install containerd, but containerd.io in its place", caught.exception.message)

    def test_it_waits_for_the_lock(self):
        locked = result(200, err="metadata already locked by 3172\n  The application with PID 3172 is: python3\n")
        with mock.patch("time.sleep"):
            _, asked = self.simulate({"containerd.io": ""}, [locked, result(1, recorded("dnf4-installing.txt"))], {})
        self.assertEqual(len(asked), 2)

    def test_a_lock_that_stays_is_said(self):
        locked = result(200, err="metadata already locked by 3172\n")
        times = mock.patch("time.monotonic", side_effect=[0, 1, package_manager.LOCK_WAIT + 1])
        with mock.patch("time.sleep"), times, self.assertRaises(NodeError) as caught:
            self.simulate({"containerd.io": ""}, [locked] * 3, {})
        self.assertIn("Another process has held the lock", caught.exception.message)
        self.assertIn("locked by 3172", caught.exception.message)

    def test_versions_locked(self):
        lists = (
            "# Added lock on Tue Nov 24\ncontainerd.io-0:1.6.20-3.2.el9.*\n!runc-0:1.1-1.*\n0:kubelet-1.20.2-0.x86_64\n"
        )
        toml = '[[packages]]\nname = "cri-tools"\ncomment = "x"\n[[packages.conditions]]\nkey = "evr"\n'
        names = ["containerd", "containerd.io", "runc", "kubelet", "cri-tools"]
        self.assertEqual(package_manager_dnf.parse_locks(lists, toml, names), ["containerd.io", "kubelet", "cri-tools"])


class TestZypper(unittest.TestCase):
    def test_new_packages(self):
        done = package_manager_zypper.parse_transaction(recorded("zypper-installing.xml"))
        self.assertEqual(
            done, package_manager.Transaction({"containerd": "1.6.20-150000.1.1", "runc": "1.1.5-1"}, {}, [])
        )

    def test_removals(self):
        done = package_manager_zypper.parse_transaction(recorded("zypper-replacing.xml"))
        self.assertEqual(done.installed, {"containerd.io": "1.6.20-3.2.el9"})
        self.assertEqual(done.removed, ["containerd", "runc"])

    def test_other_versions(self):
        for name, versions in (
            ("zypper-upgrading.xml", ("1.6.20-3.1.el9", "1.6.20-3.2.el9")),
            ("zypper-downgrading.xml", ("1.6.20-3.2.el9", "1.6.20-3.1.el9")),
        ):
            done = package_manager_zypper.parse_transaction(recorded(name))
            self.assertEqual(done, package_manager.Transaction({}, {"containerd.io": versions}, []), name)

    def test_search(self):
        found = package_manager_zypper.parse_search(recorded("zypper-search.xml"))
        self.assertEqual(found["containerd"], ["1.6.20-150000.1.1"])
        self.assertEqual(sorted(found), ["cni-plugins", "containerd", "containerd-ctr", "runc"])

    def simulate(self, name, rc):
        answer = result(rc, recorded(name))
        with mock.patch.object(commands, "run", return_value=answer), self.assertRaises(NodeError) as caught:
            package_manager_zypper.simulate({"containerd.io": "1.6.20-3.1.el9"})
        return caught.exception.message

    def test_what_zypper_refuses_is_said_in_its_words(self):
        self.assertIn("cannot install containerd.io=1.6.20-3.1.el9: Problem: ", self.simulate("zypper-locked.xml", 4))
        self.assertIn("No provider of 'nonesuch' found. Nothing was changed.", self.simulate("zypper-unknown.xml", 104))

    def test_an_answer_that_is_no_answer(self):
        with self.assertRaises(NodeError) as caught:
            package_manager_zypper.parse_transaction("zypper: error while loading shared libraries")
        self.assertIn("zypper's answer is not understood", caught.exception.message)

    def test_it_waits_for_the_lock(self):
        locked = result(7, err="System management is locked by the application with pid 1745 (zypper).\n")
        with mock.patch.object(commands, "run", side_effect=[locked, result()]) as run, mock.patch("time.sleep"):
            package_manager_zypper.update_lists()
        self.assertEqual(run.call_count, 2)

    def test_locks(self):
        text = "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: containerd.io\n\n"
        self.assertEqual(package_manager_zypper.parse_locks(text, ["containerd", "containerd.io"]), ["containerd.io"])


class TestRpmDatabase(unittest.TestCase):
    def test_installed_versions(self):
        out = "installed runc 0:1.1.5-1\npackage containerd is not installed\ninstalled podman 4:4.9-1\n"
        with mock.patch.object(commands, "run", return_value=result(1, out)):
            self.assertEqual(
                package_manager.rpm_installed(["runc", "containerd", "podman"]),
                {"runc": "1.1.5-1", "containerd": "", "podman": "4:4.9-1"},
            )


if __name__ == "__main__":
    unittest.main()
