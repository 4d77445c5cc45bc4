"""The picture of how cost grows: what is measured is what is drawn, and the same figures give the same file."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[3] / part) for part in ("benchmarks/lab", "tests/story", "module_utils")]

import growth


def test_the_same_figures_make_the_same_picture(tmp_path):
    charts = [
        growth.Chart("a worker", "pods to drain", (growth.Curve("unshim", ((0.0, 9.0), (10.0, 11.5))),)),
        growth.Chart("images", "MB", (growth.Curve("unshim", ((1.0, 2.0),)), growth.Curve("script", ((1.0, 2.5),)))),
    ]
    growth.save(charts, tmp_path / "growth.json")
    assert growth.load(tmp_path / "growth.json") == charts
    for name in ("one.svg", "two.svg"):
        growth.draw(growth.load(tmp_path / "growth.json"), tmp_path / name)
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    for word in ("a worker", "pods to drain", "images", "script", "seconds"):
        assert word in text
