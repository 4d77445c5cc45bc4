"""Write the table of docs/fuzz.md from what ``UNSHIM_FULL=1 pytest tests/unit/fuzz`` left in build/fuzz, by the parsers' order."""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[2] / "module_utils")]
sys.path[:0] = [str(HERE.parent / folder) for folder in ("node_compat", "report")]

from test_parsers import PARSERS, TRIED

PAGE = HERE.parents[2] / "docs/fuzz.md"
BEGIN, END = "<!-- table: written by tests/unit/fuzz/table.py -->\n", "<!-- end of table -->\n"


def rows():
    found = {tried["name"]: tried for path in TRIED.glob("*.json") for tried in [json.loads(path.read_text())]}
    for name, parser in PARSERS.items():
        refuses = ", ".join(kind.__name__ for kind in parser.refuses) or "never"
        tried = found.get(name)
        figures = (
            f"{tried['inputs']:,} | {tried['seconds']:.0f} s | {tried['slowest'] * 1000:.0f} ms"
            if tried
            else "quick run only | | "
        )
        yield f"| {name} | {refuses} | {figures} |\n"


def main():
    text = PAGE.read_text()
    head = "| what is read | may refuse with | inputs | time | the slowest |\n|---|---|--:|--:|--:|\n"
    pattern = re.escape(BEGIN) + ".*" + re.escape(END)
    PAGE.write_text(re.sub(pattern, lambda _: BEGIN + head + "".join(rows()) + END, text, flags=re.DOTALL))


if __name__ == "__main__":
    main()
