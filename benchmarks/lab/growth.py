"""How cost grows: a migrated fleet with its nodes, a worker's outage after the drain with its pods, the carry-over with its images.

`measure` asks the lab and `draw` makes docs/img/bench-growth.svg of what it said; the figures stay in build/bench.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bench_lab import ROOT, BenchLab
from competitors import ByHand, Unshim
from image_carry_over import by_script, image_arguments, move_images
from migrated_fleet import inventory_of, seconds_of_a_run
from moves import move_worker

PICTURE = ROOT / "docs/img/bench-growth.svg"
NODES = (1, 5, 10, 20, 40)
PODS = (0, 15, 30)


@dataclass(frozen=True)
class Curve:
    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    title: str
    along: str  # what grows, with its unit
    curves: tuple[Curve, ...]


def measure(lab: BenchLab) -> list[Chart]:
    return [by_images(lab), by_pods(lab), by_nodes(lab)]


def by_nodes(lab: BenchLab) -> Chart:
    """Needs what migrated_fleet.py needs."""
    lab.ansible("playbooks/migrate.yml", "--limit", ",".join(lab.workers), "-e", '{"unshim_batches": [1, 2]}')
    seconds_of_a_run(lab, inventory_of(lab, len(lab.workers), lab.records))  # not counted
    points = [(float(hosts), seconds_of_a_run(lab, inventory_of(lab, hosts, lab.records))) for hosts in NODES]
    Unshim(lab).go_back(*lab.workers)
    return Chart("migrate.yml, all nodes done", "nodes", (Curve("unshim", tuple(points)),))


def by_pods(lab: BenchLab) -> Chart:
    node = lab.workers[-1]
    curves = []
    for competitor in (Unshim(lab), ByHand(lab)):
        made = [(float(pods), move_worker(lab, competitor, node, pods).after_the_drain) for pods in PODS]
        curves.append(Curve(competitor.name, tuple(made)))
    return Chart("a worker, drained to open again", "pods to drain", tuple(curves))


def by_images(lab: BenchLab) -> Chart:
    node = lab.workers[-1]
    images = image_arguments(lab, node)
    ours, theirs = [], []
    for number in range(1, len(images) + 1):
        chosen = images[:number]
        lab.remove_images(node)
        moved = move_images(lab, node, chosen)
        megabytes = moved["layer_bytes"] / 1e6
        ours.append((megabytes, moved["seconds"]))
        lab.remove_images(node)
        names = [name for image in chosen for name in image["names"]]
        theirs.append((megabytes, by_script(lab, node, names)))
    curves = (Curve("unshim", tuple(sorted(ours))), Curve("docker save and ctr import", tuple(sorted(theirs))))
    return Chart("images to containerd", "MB of layers", curves)


def save(charts: list[Chart], path: Path) -> None:
    data = [
        {"title": one.title, "along": one.along, "curves": {curve.name: curve.points for curve in one.curves}}
        for one in charts
    ]
    path.write_text(json.dumps(data, indent=1))


def load(path: Path) -> list[Chart]:
    return [
        Chart(
            one["title"],
            one["along"],
            tuple(Curve(name, tuple((x, y) for x, y in points)) for name, points in one["curves"].items()),
        )
        for one in json.loads(path.read_text())
    ]


def draw(charts: list[Chart], picture: Path = PICTURE) -> None:
    """Write the charts side by side as an SVG that is the same for the same figures."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "unshim", "svg.fonttype": "none", "font.family": "sans-serif"})
    from matplotlib import pyplot

    figure, places = pyplot.subplots(1, len(charts), figsize=(4.2 * len(charts), 3.4), squeeze=False)
    for place, chart in zip(places[0], charts, strict=True):
        for curve, style in zip(chart.curves, ("o-", "s--", "^:"), strict=False):
            place.plot(*zip(*curve.points, strict=True), style, label=curve.name, markersize=4)
        place.set(title=chart.title, xlabel=chart.along, ylabel="seconds")
        place.set_ylim(bottom=0)
        place.set_xlim(left=0)
        place.grid(alpha=0.3)
        place.legend(fontsize="small", frameon=False)
    figure.tight_layout()
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, metadata={"Date": None})
    pyplot.close(figure)
