"""Every form in which flags are written, as a real systemd started it: tests/data/systemd/record.py."""

import base64
import json
from pathlib import Path

import pytest
import yaml

from unshim.facts import Facts, File, OperatingSystem, Unit
from unshim.kubelet_command_line import difference, resolve, specifiers
from unshim.kubelet_flags import FlagError

DATA = Path(__file__).resolve().parents[2] / "data" / "systemd"
WRITTEN = {form["name"]: form for form in yaml.safe_load((DATA / "forms.yml").read_text())}
RECORDED = {
    f"{path.stem}: {form['name']}": form
    for path in sorted(DATA.glob("forms-*.json"))
    for form in json.loads(path.read_text())["forms"]
}
# Of the machines it was recorded on; their names and kernels are made neutral.
SYSTEMS = {"forms-bookworm": ("debian", "12"), "forms-trixie": ("debian", "13"), "forms-bullseye": ("debian", "11")}


def as_seen(form):
    """What the probe would have shown of the node: every file, and directories for what is in them."""
    files = {}
    for path, content in form["files"].items():
        data = base64.b64decode(content)
        try:
            files[path] = File(path, "file", data.decode())
        except UnicodeDecodeError:
            files[path] = File(path, "file", None, is_utf8=False)
        files[path.rsplit("/", 1)[0]] = File(path.rsplit("/", 1)[0], "directory")
    for path, target in form["links"].items():
        files[path] = File(path, "symlink", files[target].content, target=target)
    return files


def test_every_form_is_recorded():
    assert WRITTEN.keys() <= {form["name"] for form in RECORDED.values()}


@pytest.mark.parametrize("key", RECORDED)
def test_systemd_started_what_unshim_reads(key):
    recorded = RECORDED[key]
    form = WRITTEN[recorded["name"]]
    unit = Unit("kubelet.service", "loaded", "active", fragment_path=recorded["fragment_path"],
                drop_in_paths=tuple(recorded["drop_in_paths"]))  # fmt: skip
    system, version = SYSTEMS[key.split(":")[0]]
    facts = Facts("node-1.example", os=OperatingSystem(system, version, kernel="6.1.0-lab"), files=as_seen(recorded))
    if "refused" in form:
        with pytest.raises(FlagError) as caught:
            resolve(unit, facts.files, specifiers(facts))
        assert form["refused"] in str(caught.value)
        return
    line = resolve(unit, facts.files, specifiers(facts))
    if "missing" in form:
        assert recorded["argv"] is None
        assert list(line.missing) == form["missing"]
    elif "differs" in form:
        assert difference(line.argv, recorded["argv"]) == form["differs"]
    else:
        assert list(line.argv) == recorded["argv"]
        assert line.missing == ()
