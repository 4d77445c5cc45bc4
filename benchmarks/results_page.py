"""RESULTS.md: a page whose sections are written by several programs, each its own. Pure but for `write_section`."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parent / "RESULTS.md"
HEAD = """# What the benchmarks found

Written by `make bench`. [README.md](README.md) says what is compared, and why what was missed was missed.
"""

BEGIN, END = "<!-- {name}: written by the benchmark -->", "<!-- end of {name} -->"


def put_section(page: str, name: str, title: str, section: str) -> str:
    """Return a page with its section ``name`` replaced, or added at its end."""
    begin, end = BEGIN.format(name=name), END.format(name=name)
    text = f"{begin}\n{section.strip()}\n{end}\n"
    if begin in page and end in page:
        before, _, rest = page.partition(begin)
        return before + text + rest.partition(end)[2].lstrip("\n")
    return f"{page.rstrip()}\n\n## {title}\n\n{text}".lstrip()


def section_of(page: str, name: str) -> str:
    """Return what a page has in its section ``name``, "" if it has none."""
    return page.partition(BEGIN.format(name=name))[2].partition(END.format(name=name))[0].strip()


def write_section(name: str, title: str, section: str) -> None:
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else HEAD
    PAGE.write_text(put_section(page, name, title, section), encoding="utf-8")
