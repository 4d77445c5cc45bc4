"""Release archives: what is refused before anything is changed, what is linked, and going back."""

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import unittest

from unshim_node import release_archive
from unshim_node.errors import NodeError

# Programs that say a version, as upstream's do.
SAYS = "#!/bin/sh\necho %s\n"
CONTAINERD = {
    "bin/containerd": SAYS % "containerd github.com/containerd/containerd/v2 v2.1.9 1234",
    "bin/containerd-shim-runc-v2": "x",
    "bin/ctr": "x",
}


class TestReleaseArchive(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.opt = os.path.join(self.root, "opt")
        self.links = os.path.join(self.root, "bin")
        self.cni = os.path.join(self.root, "cni")

    def test_what_a_killed_run_left_goes_and_nothing_else(self):
        for directory in (".archives-x1", ".containerd-2.1.9-y2", "containerd-2.1.9", ".hidden"):
            os.makedirs(os.path.join(self.opt, directory, "bin"))
        for directory, names in ((self.links, ("ctr", "ctr.unshim-77")), (self.cni, ("bridge", ".bridge.unshim-77"))):
            os.mkdir(directory)
            for name in names:
                os.symlink("/nowhere", os.path.join(directory, name))
        release_archive.remove_unfinished(self.opt, self.links, self.cni)
        self.assertEqual(sorted(os.listdir(self.opt)), [".hidden", "containerd-2.1.9"])
        self.assertEqual((os.listdir(self.links), os.listdir(self.cni)), (["ctr"], ["bridge"]))
        for name in (".hidden", "containerd-2.1.9"):
            shutil.rmtree(os.path.join(self.opt, name))
        os.mkdir(os.path.join(self.opt, ".archives-x1"))
        release_archive.remove_unfinished(self.opt, self.links, self.cni)
        self.assertFalse(os.path.exists(self.opt))

    def pack(self, members, name="containerd", version="2.1.9", add=None):
        path = os.path.join(self.root, "archive.tgz")
        with tarfile.open(path, "w:gz") as tar:
            for member, text in members.items():
                info = tarfile.TarInfo(member)
                info.size, info.mode, info.uid = len(text), 0o4777, 1000
                tar.addfile(info, io.BytesIO(text.encode()))
            for info in add or []:
                tar.addfile(info)
        with open(path, "rb") as stream:
            digest = hashlib.sha256(stream.read()).hexdigest()
        return {"name": name, "version": version, "sha256": digest.upper()}, path

    def refused(self, members, add=None, **what):
        archive, path = self.pack(members, add=add, **what)
        with self.assertRaises(NodeError) as caught:
            release_archive.unpack(archive, path, self.opt)
        self.assertEqual(os.listdir(self.opt), [])
        self.assertFalse(os.path.exists(os.path.join(self.root, "evil")))
        return caught.exception.message

    def install(self, members=None, **what):
        archive, path = self.pack(CONTAINERD if members is None else members, **what)
        release_archive.verify(archive, path)
        release_archive.settle(archive, release_archive.unpack(archive, path, self.opt), self.opt)
        return archive

    def test_unpacked_and_recorded(self):
        archive = self.install()
        top = os.path.join(self.opt, "containerd-2.1.9")
        mode = os.stat(os.path.join(top, "bin/containerd"))
        self.assertEqual((mode.st_mode & 0o7777, mode.st_uid), (0o755, os.getuid()))
        self.assertEqual(release_archive.record(archive, self.opt)["sha256"], archive["sha256"].lower())
        self.assertEqual(os.listdir(self.opt), ["containerd-2.1.9"])
        release_archive.check(archive, self.opt)
        with self.assertRaises(NodeError) as caught:
            release_archive.check(dict(archive, sha256="0" * 64), self.opt)
        self.assertIn("is asked for with 000", caught.exception.message)

    def test_a_wrong_checksum(self):
        archive, path = self.pack(CONTAINERD)
        with self.assertRaises(NodeError) as caught:
            release_archive.verify(dict(archive, sha256="0" * 64), path)
        self.assertIn("but containerd 2.1.9 must have 0000", caught.exception.message)
        self.assertIn("nothing was changed", caught.exception.message)

    def test_names_that_lead_out(self):
        for name in ("../evil", "bin/../../evil", "/evil"):
            self.assertIn("leads out of it", self.refused(dict(CONTAINERD, **{name: "x"})))

    def link(self, name, target, kind=tarfile.SYMTYPE):
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        return info

    def test_links_that_lead_out(self):
        for target in ("/etc", "../../evil"):
            self.assertIn("leads out of it", self.refused(CONTAINERD, [self.link("bin/x", target)]))
        below = tarfile.TarInfo("l/evil")
        self.assertIn("below a link", self.refused(CONTAINERD, [self.link("l", "bin"), below]))
        self.assertIn("twice", self.refused(CONTAINERD, [self.link("bin/ctr", "containerd")]))
        self.install(dict(CONTAINERD), add=[self.link("bin/alias", "ctr")])

    def test_what_is_no_file(self):
        for kind in (tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE):
            self.assertIn("is neither a file nor", self.refused(CONTAINERD, [self.link("bin/x", "bin/ctr", kind)]))

    def test_no_archive(self):
        path = os.path.join(self.root, "x")
        for data in (b"<html>", b"", b"\x1f\x8b\x08cut off"):
            with open(path, "wb") as stream:
                stream.write(data)
            with self.assertRaises(NodeError):
                release_archive.unpack({"name": "containerd", "version": "2.1.9", "sha256": "0" * 64}, path, self.opt)
            self.assertEqual(os.listdir(self.opt), [])

    def test_no_directory_is_made_outside(self):
        def made(name, kind, target=""):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            return info

        # Each link leads inside by its words; together they lead to the parent of the archive's directory's parent.
        links = [made("p/q/x", tarfile.SYMTYPE, "../.."), made("y", tarfile.SYMTYPE, "p/q/x/../..")]
        self.assertIn("below a link", self.refused(CONTAINERD, add=links + [made("y/evil", tarfile.DIRTYPE)]))

    def test_what_does_not_work_on_this_node(self):
        self.assertIn("it has no bin/ctr", self.refused({k: v for k, v in CONTAINERD.items() if k != "bin/ctr"}))
        self.assertIn("not version 2.2.0", self.refused(CONTAINERD, version="2.2.0"))
        old = dict(CONTAINERD, **{"bin/containerd": "#!/bin/sh\necho GLIBC_2.38 not found >&2\nexit 1\n"})
        self.assertIn("does not run on this node: GLIBC_2.38 not found", self.refused(old))
        self.assertIn("cannot be used", self.refused(dict(CONTAINERD, **{"bin/containerd": "\x7fELF"})))

    def test_runc_is_a_bare_file(self):
        path = os.path.join(self.root, "runc.amd64")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(SAYS % "runc version 1.3.6+ds1")
        archive = {"name": "runc", "version": "1.3.6", "sha256": release_archive.checksum(path)}
        release_archive.settle(archive, release_archive.unpack(archive, path, self.opt), self.opt)
        self.assertEqual(
            release_archive.wanted_links(archive, self.opt, self.links),
            {os.path.join(self.links, "runc"): os.path.join(self.opt, "runc-1.3.6/runc")},
        )

    def test_links_go_forth_and_back(self):
        old = self.install()
        first = release_archive.link_changes(old, self.opt, self.links)
        self.assertEqual(list(first)[-1], os.path.join(self.links, "containerd"))
        release_archive.set_links(first)
        self.assertEqual(release_archive.link_changes(old, self.opt, self.links), {})
        new = dict(CONTAINERD, **{"bin/containerd": SAYS % "containerd x 2.2.0"})
        changes = release_archive.link_changes(self.install(new, version="2.2.0"), self.opt, self.links)
        release_archive.set_links(changes)
        path = os.path.join(self.links, "containerd")
        self.assertEqual(os.readlink(path), os.path.join(self.opt, "containerd-2.2.0/bin/containerd"))
        self.assertEqual(sorted(os.listdir(self.opt)), ["containerd-2.1.9", "containerd-2.2.0"])
        release_archive.unset_links(changes)
        self.assertEqual(os.readlink(path), os.path.join(self.opt, "containerd-2.1.9/bin/containerd"))
        release_archive.unset_links(first)
        self.assertEqual(os.listdir(self.links), [])

    def test_what_is_not_ours_stays(self):
        archive = self.install()
        os.mkdir(self.links)
        path = os.path.join(self.links, "ctr")
        for make in (lambda: open(path, "w").close(), lambda: os.symlink("/usr/bin/nerdctl", path)):
            make()
            with self.assertRaises(NodeError) as caught:
                release_archive.link_changes(archive, self.opt, self.links)
            self.assertIn("ctr is there and was not put there by unshim", caught.exception.message)
            os.unlink(path)

    def test_plugins_of_others_stay(self):
        names = release_archive.PROGRAMS["cni"]
        archive = self.install({name: "1 " + name for name in names}, name="cni", version="1.1.1")
        os.mkdir(self.cni)
        with open(os.path.join(self.cni, "bridge"), "w", encoding="utf-8") as stream:
            stream.write("of a network add-on")
        todo = release_archive.cni_changes(archive, self.opt, self.cni)
        self.assertEqual(todo, ["host-local", "loopback", "portmap"])
        release_archive.copy_plugins(archive, todo, self.opt, self.cni)
        self.assertEqual(release_archive.cni_changes(archive, self.opt, self.cni), [])
        newer = self.install({name: "2 " + name for name in names}, name="cni", version="1.9.1")
        self.assertEqual(release_archive.cni_changes(newer, self.opt, self.cni), todo)
        release_archive.copy_plugins(newer, todo, self.opt, self.cni)
        with open(os.path.join(self.cni, "loopback"), encoding="utf-8") as stream:
            self.assertEqual(stream.read(), "2 loopback")
        self.assertEqual(release_archive.cni_changes(archive, self.opt, self.cni), todo)  # going back

    def test_a_unit_of_another_containerd(self):
        path = os.path.join(self.root, "containerd.service")
        unit = {"LoadState": "loaded", "FragmentPath": path}
        for program, good in (("/usr/bin/containerd", False), (os.path.join(self.links, "containerd"), True)):
            with open(path, "w", encoding="utf-8") as stream:
                stream.write("[Service]\nExecStartPre=-/sbin/modprobe overlay\nExecStart=-%s --x\n" % program)
            if good:
                release_archive.check_unit(unit, self.links)
                continue
            with self.assertRaises(NodeError) as caught:
                release_archive.check_unit(unit, self.links)
            self.assertIn("runs /usr/bin/containerd, so an archive's", caught.exception.message)
        release_archive.check_unit({"LoadState": "not-found", "FragmentPath": ""})
        self.assertIn("ExecStart=/usr/local/bin/containerd\n", release_archive.unit_text())


if __name__ == "__main__":
    unittest.main()
