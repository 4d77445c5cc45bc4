"""Images from Docker to containerd, on the node's own clock: containerd_images against `docker save | ctr images import`."""

import json
import re
from typing import Any

from bench_lab import BenchLab
from competitors import on_node
from record import Figure, Row, take_turns

TAR_OVERHEAD = 1.05  # headers, configurations and manifests beside the layers


def image_arguments(lab: BenchLab, node: str) -> list[dict[str, Any]]:
    """Return the images a worker's Docker has under a name, as containerd_images takes them."""
    names: dict[str, list[str]] = {}
    said = lab.on(node, "docker images --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}' | grep -v '<none>'")
    for identity, name in (line.split() for line in said.splitlines()):
        names.setdefault(identity, []).append(name)
    return [{"id": identity, "names": found} for identity, found in sorted(names.items())]


def move_images(lab: BenchLab, node: str, images: list[dict[str, Any]]) -> dict[str, Any]:
    """Run the module on a node and return its result."""
    arguments = json.dumps({"images": images})
    said = lab.run(
        ["ansible", node, "-i", lab.inventory, "--become", "-m", "containerd_images", "-a", arguments],
        ANSIBLE_CALLBACK_RESULT_FORMAT="json",
    )
    return json.JSONDecoder().raw_decode(said, said.index("=> {") + 3)[0]


def by_script(lab: BenchLab, node: str, names: list[str]) -> float:
    script = on_node("images", *names)
    clock = "date +%s.%N"
    said = lab.on(node, f"{clock}\nsh -s <<'END'\n{script}\nEND\n{clock}")
    began, ended = (float(line) for line in said.splitlines() if re.fullmatch(r"\d+\.\d+", line))
    return ended - began


def row(lab: BenchLab, pairs: int) -> Row:
    node = lab.workers[-1]
    images = image_arguments(lab, node)
    names = [name for image in images for name in image["names"]]
    seen: dict[str, Any] = {}

    def ours() -> float:
        lab.remove_images(node)
        first = move_images(lab, node, images)
        again = move_images(lab, node, images)
        seen.update(bytes=first["bytes"], layers=first["layer_bytes"], again=again["bytes"], seconds=again["seconds"])
        if again["bytes"] or first["bytes"] > first["layer_bytes"] * TAR_OVERHEAD:
            raise SystemExit(f"something was copied twice: {seen}")
        return float(first["seconds"])

    def theirs() -> float:
        lab.remove_images(node)
        return by_script(lab, node, names)

    for warm_up in (ours, theirs):  # not counted
        warm_up()
    taken = take_turns(pairs, ours, theirs)
    note = (
        f"{seen['bytes'] / 1e6:.0f} MB went over, so a layer that images share went once; a second run copied "
        f"{seen['again']} bytes and took {seen['seconds']} s"
    )
    return Row(
        f"image carry-over: {len(images)} images, {seen['layers'] / 1e6:.0f} MB of layers",
        Figure("unshim", taken[0]),
        Figure("docker save and ctr import", taken[1]),
        goal=1.1,
        notes=(note,),
    )
