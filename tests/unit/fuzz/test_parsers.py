"""No bytes of a node make a parser raise anything but its own error: random bytes, and edits of what real nodes said.

A handful of inputs each in `make test`; with UNSHIM_FULL=1 100,000 each (docs/fuzz.md has the last figures). To try one longer:
``UNSHIM_FULL=1 pytest tests/unit/fuzz -k "test_nothing_but_its_own_error and manifests"``.
"""

import os

import of_node_files
import of_programs
import of_results
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutations import EDITS

PARSERS = {**of_node_files.PARSERS, **of_results.PARSERS, **of_programs.PARSERS}
IS_FULL = bool(os.environ.get("UNSHIM_FULL"))
FULL, FULL_DEEP, QUICK = 100_000, 10_000, 80
RANDOM = st.binary(max_size=200).map(lambda data: data.decode("utf-8", "surrogateescape"))
TEXT = st.text(max_size=200)


def count_of(parser):
    if IS_FULL:
        return FULL_DEEP if parser.is_deep else FULL
    return max(5, QUICK // parser.cost)


@pytest.mark.parametrize("name", PARSERS)
def test_its_samples_are_taken(name):
    """Else the edits would be of something that is refused at once."""
    parser = PARSERS[name]
    for sample in parser.samples:
        parser.read(sample)


@pytest.mark.parametrize("name", PARSERS)
def test_nothing_but_its_own_error(name):
    parser = PARSERS[name]
    one_edit = st.builds(parser.change, st.sampled_from(parser.samples), EDITS)
    inputs = st.one_of(*[one_edit] * 6, RANDOM, TEXT)

    @settings(
        max_examples=count_of(parser), deadline=None, database=None, print_blob=False,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(inputs)
    def check(text):
        try:
            parser.read(text)
        except parser.refuses as error:
            assert str(error).strip()

    check()
