"""The picture of the demo, from a recording of a real run. `make picture` makes both; usage: demo_picture.py RECORDING

Writes demo.txt, lines of the recording as they are ("…" where some are left out; of `kubectl get nodes -o wide` without the
columns that tell of the machine it ran on), and demo.svg, the same drawn.
"""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

HERE = Path(__file__).parent
CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LEFT_OUT = "  …"
COLUMNS = 112
# What kubectl prints of a node between these says nothing of unshim.
NODE_COLUMNS = ("NAME", "STATUS", "ROLES", "VERSION", "CONTAINER-RUNTIME")
STYLES = (
    (r"^\$ .*", "bold green"),
    (r"^===.*", "bold white"),
    (r"docker://\S*", "yellow"),
    (r"containerd://\S*", "bold green"),
    (r"^ +\+ .*", "green"),
    (r"^ +- .*", "red"),
    (r"✓.*", "green"),
    (r"▸.*", "cyan"),
)


class NotADemo(Exception):
    """The recording lacks something that every complete demo prints."""


def lines_of(recording: str) -> list[str]:
    return [line.rstrip() for line in CONTROL_SEQUENCE.sub("", recording).replace("\r", "").splitlines()]


def first(lines: list[str], pattern: str, after: int = 0) -> int:
    for number in range(after, len(lines)):
        if re.search(pattern, lines[number]):
            return number
    raise NotADemo(f"after line {after + 1} no line matches {pattern!r}: record a whole run with `make picture`")


def block(lines: list[str], pattern: str, size: int, after: int, indent: int = 0) -> list[str]:
    start = first(lines, pattern, after)
    return [line[indent:] for line in lines[start : start + size]]


def nodes(lines: list[str], after: int) -> list[str]:
    """Return the table of the three nodes below a line, with NODE_COLUMNS only."""
    start = first(lines, r"^NAME +STATUS", after)
    heads = [(match[0], match.start()) for match in re.finditer(r"\S+(?: \S+)*", lines[start])]
    bounds = [*(begin for _, begin in heads), None]
    kept = [(bounds[at], bounds[at + 1]) for at, (name, _) in enumerate(heads) if name in NODE_COLUMNS]
    return ["".join(row[begin:end] for begin, end in kept).rstrip() for row in lines[start : start + 4]]


def excerpt(recording: str) -> list[str]:
    lines = lines_of(recording)
    cluster, plan, move, after = (
        first(lines, rf"^=== {title}") for title in ("A Kubernetes", "The plan", "The move", "After")
    )
    planned = first(lines, r"^ +PLAN for unshim-w1$", plan)
    return [
        "$ make demo",
        lines[cluster],
        *nodes(lines, cluster),
        "",
        lines[plan],
        *block(lines, r"PLAN for unshim-w1$", 7, plan, indent=8),
        LEFT_OUT,
        *block(lines, r"^ +kubelet command line$", 7, planned, indent=8),
        LEFT_OUT,
        *block(lines, r"^ +NOT CARRIED OVER$", 3, planned, indent=8),
        LEFT_OUT,
        "",
        lines[move],
        *block(lines, r"^unshim migrate.yml .* 1 of 3 done · 1 drain · 1 wait$", 4, move),
        LEFT_OUT,
        *block(lines, r"^ +unshim-w1: verified$", 10, move, indent=8),
        LEFT_OUT,
        "",
        lines[after],
        *nodes(lines, after),
        LEFT_OUT,
        *block(lines, r"^the Service: ", 2, after),
        lines[first(lines, r"^Done in ", after)],
    ]


def drawn(lines: list[str]) -> str:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor", legacy_windows=False)
    for line in lines:
        text = Text(line, no_wrap=True, overflow="ellipsis")
        for pattern, style in STYLES:
            text.highlight_regex(pattern, style)
        console.print(text, highlight=False)
    svg = console.export_svg(title="make demo", theme=MONOKAI, unique_id="demo")
    # The font would be fetched from elsewhere by whoever looks at the picture; every system has a monospaced one.
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    try:
        lines = excerpt(Path(sys.argv[1]).read_text(errors="replace"))
    except (OSError, NotADemo) as error:
        sys.exit(f"demo_picture: {sys.argv[1]}: {error}")
    (HERE / "demo.txt").write_text("\n".join(lines) + "\n")
    (HERE / "demo.svg").write_text(drawn(lines))


if __name__ == "__main__":
    main()
