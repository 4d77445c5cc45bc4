"""The report for a ticket: what it says, that it fits, and that nothing in it acts."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from unshim import report, report_markdown
from unshim.report_model import NodeFinding

READ = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def tokens(text):
    for block in READ.parse(text):
        yield block
        yield from block.children or ()


def acting(text):
    """Return what of Markdown would do more than show text: HTML, links, pictures, emphasis where there is a name."""
    kinds = {"html_block", "html_inline", "link_open", "image", "em_open", "s_open"}
    return [token for token in tokens(text) if token.type in kinds]


def rows(text, heading):
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def test_what_it_says(mixed):
    text = report_markdown.render(mixed)
    assert "**2 of 9** nodes run on containerd." in text
    assert "- `w3`: w3 was not moved." in text and "`unshim-bundles/20261124T110400Z-w3`" in text
    assert "  - `foreign-container`: Move them elsewhere" in text
    assert (
        "| `docker-socket-mount` | blocks, 1 allowed | 2: `DaemonSet monitoring/log-agent`, `Deployment ci/builder` |"
        in text
    )
    assert (
        "| `w3` (rolled back) | 2026-11-24 11:07:02 UTC | 1 min 03 s | 42.0 s | 11.5 s | 2 min 08 s | 40.0 s | 3 min 42 s |"
        in text
    )
    assert len(rows(text, "Nodes")) == 9 and len(rows(text, "Timeline")) == 4
    assert '  -      bin_dir = "/usr/lib/cni"' in text
    assert acting(text) == []


def test_trouble_comes_first(mixed):
    first = [line.split("`")[1] for line in rows(report_markdown.render(mixed), "Nodes")]
    assert first[:3] == ["w3", "w4", "w7"] and first[-1] == "w8"


def test_500_nodes_fit_into_a_ticket(fleet):
    text = report_markdown.render(report.make(fleet.large(500), now=fleet.BEGAN + 9000))
    assert len(text) <= report_markdown.LONGEST
    assert len(rows(text, "Nodes")) == 100 and "400 more nodes: the HTML page has them." in text
    assert "The rest is left out" in text


def test_one_that_fits_says_nothing_of_being_cut(mixed):
    assert "left out" not in report_markdown.render(mixed)


def test_hostile_names_are_text(fleet):
    names = list(fleet.HOSTILE.values())
    text = report_markdown.render(report.make([fleet.done(name) for name in names]))
    assert acting(text) == []
    assert len(rows(text, "Nodes")) == len(names), "no name breaks its row"
    assert "\u202e" not in text and "\\u202e" in text and "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) < 3000


NASTY = st.text(st.sampled_from("`|\\*_[]()<>!#~$&@ \n\t-+=:/.w1a\u202e\x00\ud800é"), max_size=60)


@given(NASTY)
def test_any_text_is_one_code_span(text):
    table = f"| a | b |\n|---|---|\n| {report_markdown.code(text)} | end |\n"
    cells = [token for token in READ.parse(table) if token.type == "inline"]
    assert len(cells) == 4 and cells[3].content == "end"
    assert [child.type for child in cells[2].children] == ["code_inline"]


@given(NASTY)
def test_any_sentence_is_text(text):
    shown = report_markdown.prose(text)
    assert "\n" not in shown and "@1" not in shown and "@a" not in shown and "#1" not in shown and "://" not in shown
    assert {token.type for token in tokens(f"- `x`: {shown}\n") if token.level and token.type.endswith("_open")} <= {
        "list_item_open", "paragraph_open",
    }  # fmt: skip
    assert acting(f"| a |\n|---|\n| {shown} |\n") == []


@pytest.mark.parametrize("text", ["```\n# out\n", "a\n`````\nb", ""])
def test_a_block_ends_where_it_should(text):
    (block,) = [token for token in READ.parse(report_markdown.fenced(text)) if token.type != "inline"]
    assert block.type == "fence" and block.content.rstrip("\n") == text.rstrip("\n")


def test_a_finding_that_means_harm(fleet):
    made = report.make([fleet.blocked("w1")])
    finding = NodeFinding("x`|y", "block", "see <img src=x> [here](https://evil.example) @team", "run `rm -rf` | now")
    node = dataclasses.replace(made.nodes[0], findings=(finding,), reason=finding.message)
    text = report_markdown.render(dataclasses.replace(made, nodes=(node,)))
    assert acting(text) == [] and "@team" not in text
