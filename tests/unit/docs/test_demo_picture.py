"""The picture of the demo is drawn from lines of a recording, and nobody draws it by hand."""

import importlib.util
from pathlib import Path
from xml.etree import ElementTree

import pytest

PICTURES = Path(__file__).parents[3] / "docs/img"
specification = importlib.util.spec_from_file_location("demo_picture", PICTURES / "demo_picture.py")
demo_picture = importlib.util.module_from_spec(specification)
specification.loader.exec_module(demo_picture)

RECORDED = (PICTURES / "demo.txt").read_text()


def test_the_picture_shows_the_recorded_lines():
    svg = (PICTURES / "demo.svg").read_text()
    assert svg == demo_picture.drawn(RECORDED.splitlines())
    shown = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
    assert all(line.strip() in shown for line in RECORDED.splitlines())


def test_the_picture_asks_nobody_for_anything():
    elements = ElementTree.parse(PICTURES / "demo.svg").iter()
    assert "url(" not in "".join(element.text or "" for element in elements if element.tag.endswith("style"))


def test_columns_that_tell_of_the_machine_are_left_out():
    table = [
        "NAME   STATUS   ROLES    AGE   VERSION   INTERNAL-IP   EXTERNAL-IP   OS-IMAGE        KERNEL-VERSION   CONTAINER-RUNTIME",
        "n1     Ready    <none>   72s   v1.20.2   10.0.0.1      <none>        Debian 12 (x)   1.2.3-mine       docker://20.10",
    ]
    assert demo_picture.nodes(table, 0) == [
        "NAME   STATUS   ROLES    VERSION   CONTAINER-RUNTIME",
        "n1     Ready    <none>   v1.20.2   docker://20.10",
    ]


def test_a_run_that_was_cut_short_is_no_demo():
    recording = "\x1b[1m=== A Kubernetes 1.20 cluster on Docker ===\x1b[0m\r\nlab: create the machines: 9 s\r\n"
    with pytest.raises(demo_picture.NotADemo, match="make picture"):
        demo_picture.excerpt(recording)
