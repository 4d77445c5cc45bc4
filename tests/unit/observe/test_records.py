"""What a worker need not do again, once the controller has prepared the records."""

from pathlib import Path

import cattrs
import pytest

from unshim import observe, plan, records
from unshim.facts import Facts
from unshim.plan_model import Plan, Settings

PROBE = Path(__file__).parents[2] / "data/probes/docker-callers.probe"


def turn_there_and_back():
    facts = observe.parse(PROBE.read_text())
    for record in (facts, plan.make(facts, Settings(), "n1"), Settings()):
        assert records.from_data(type(record), records.to_data(record)) == record


@pytest.fixture
def a_new_converter(monkeypatch):
    """What other tests had it make is not there."""
    monkeypatch.setattr(records, "_converter", cattrs.Converter(forbid_extra_keys=False))


@pytest.fixture
def makes_no_more(monkeypatch):
    def make(kind, *_arguments, **_options):
        raise AssertionError(f"a converter is made for {kind}")

    def forbid():
        monkeypatch.setattr(cattrs.converters, "make_dict_structure_fn", make)
        monkeypatch.setattr(cattrs.converters, "make_dict_unstructure_fn", make)

    return forbid


def test_prepared_records_need_no_converter_to_be_made(a_new_converter, makes_no_more):
    records.prepare(Facts, Plan, Settings)
    makes_no_more()
    turn_there_and_back()


@pytest.mark.parametrize("prepared", [(), (Facts, Plan), (Facts, Settings), (Plan, Settings)])
def test_others_need_one(a_new_converter, makes_no_more, prepared):
    """Else it need not be prepared."""
    records.prepare(*prepared)
    makes_no_more()
    with pytest.raises(AssertionError, match="a converter is made for"):
        turn_there_and_back()
