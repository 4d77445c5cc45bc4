"""Release archives as containerd_install takes them: what is checked is what is used."""

import containerd_install


def test_what_is_checked_cannot_be_exchanged_afterwards(tmp_path):
    there = tmp_path / "anybodys" / "archive.tgz"
    there.parent.mkdir()
    there.write_text("the right one")
    work = tmp_path / "work"
    work.mkdir(mode=0o700)
    archive = {"name": "containerd", "version": "2.1.9", "sha256": "0" * 64, "url": "", "path": str(there)}
    for one in (archive, dict(archive, path="", url=f"file://{there}")):
        there.write_text("the right one")
        path = containerd_install.get_archive(None, one, str(work))
        there.write_text("another")
        with open(path, encoding="utf-8") as stream:
            assert stream.read() == "the right one"
