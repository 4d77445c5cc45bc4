"""What the benchmarks make of the times they took, and the page they write."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[3] / "benchmarks" / one) for one in ("lab", "")]

from record import Figure, Report, Row, row_from, take_turns
from results_page import put_section, section_of


def row(ours=(6.0, 5.0, 9.0), theirs=(5.0, 5.0, 5.0), goal=1.2):
    return Row("gap", Figure("unshim", ours), Figure("script", theirs) if theirs else None, goal, notes=("seen",))


def test_result_is_the_median_of_the_pairs():
    assert row().results == (1.2, 1.0, 1.8) and row().result == 1.2 and row().is_met
    assert not row(goal=1.19).is_met


def test_ratios_are_of_pairs_and_not_of_medians():
    # A machine that slows down for one pair slows both down.
    assert row((10.0, 1.0, 1.0), (10.0, 1.0, 1.0)).results == (1.0, 1.0, 1.0)
    assert row((10.0, 1.0, 30.0), (5.0, 2.0, 10.0)).result == 2.0


def test_a_figure_without_a_competitor_is_held_against_its_goal():
    alone = row((0.4, 0.6, 0.5), None, 0.5)
    assert alone.result == 0.5 and alone.is_met
    assert not row((0.4, 0.6, 0.7), None, 0.5).is_met


def test_uneven_pairs_are_refused():
    with pytest.raises(ValueError, match="argument 2"):
        _ = row((1.0,), (1.0, 2.0)).results


def test_competitors_take_turns_at_going_first():
    calls = []

    def measure(name):
        calls.append(name)
        return float(len(calls))

    ours, theirs = take_turns(3, lambda: measure("a"), lambda: measure("b"))
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert (ours, theirs) == ((1.0, 4.0, 5.0), (2.0, 3.0, 6.0))


def test_row_survives_json():
    assert row_from(row().as_data()) == row() and row_from(row(theirs=None).as_data()) == row(theirs=None)


def test_section_tells_everything():
    text = Report("python run.py", {"machine": "2 cores"}, [row(), row((9.0,), (3.0,), 1.5)]).markdown()
    assert "`python run.py`" in text and "- machine: 2 cores" in text
    assert (
        "| gap | 6.00 s (5.00 to 9.00) | script: 5.00 s (5.00 to 5.00) | 1.20 x (1.00 to 1.80) | <= 1.2 x | met |"
        in text
    )
    assert "| 3.00 x (3.00 to 3.00) | <= 1.5 x | **missed** |" in text
    assert "Medians of 1 or 3 runs" in text and "- gap: seen" in text


def test_section_replaces_itself_and_nothing_else():
    page = put_section("# Results\n\n## Audit\n\nfast\n", "lab", "On the lab", "one\n")
    assert page.startswith("# Results\n\n## Audit\n\nfast\n\n## On the lab\n\n")
    again = put_section(page + "\n## Later\n", "lab", "On the lab", "two\n")
    assert "one" not in again and "two" in again and again.count("## On the lab") == 1
    assert "fast" in again and again.endswith("## Later\n")
    assert put_section(again, "lab", "On the lab", "two\n") == again
    assert (section_of(again, "lab"), section_of(again, "bench")) == ("two", "")
