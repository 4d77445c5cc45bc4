"""No bytes of a node make a parser raise anything but its own error: random bytes, and edits of what real nodes said.

A handful of inputs each in `make test`; with UNSHIM_FULL=1 100,000 each (docs/fuzz.md has the last figures). To try one longer:
``UNSHIM_FULL=1 pytest tests/unit/fuzz -k "own_error and manifests"``.
"""

import json
import os
import random
import re
import time
from pathlib import Path

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
BATCH = 50
TRIED = Path(__file__).resolve().parents[3] / "build/fuzz"
RANDOM = st.binary(max_size=200).map(lambda data: data.decode("utf-8", "surrogateescape"))
TEXT = st.text(max_size=200)
COMMON = {"deadline": None, "database": None, "print_blob": False, "suppress_health_check": list(HealthCheck)}


@pytest.mark.parametrize("name", PARSERS)
def test_its_samples_are_taken(name):
    """Else the edits would be of something that is refused at once."""
    parser = PARSERS[name]
    for sample in parser.samples:
        parser.read(sample)


@pytest.mark.parametrize("name", [] if IS_FULL else PARSERS)
def test_nothing_but_its_own_error(name):
    parser = PARSERS[name]
    one_edit = st.builds(parser.change, st.sampled_from(parser.samples), EDITS)

    @settings(max_examples=max(5, QUICK // parser.cost), phases=(Phase.generate, Phase.shrink), **COMMON)
    @given(st.one_of(*[one_edit] * 6, RANDOM, TEXT))
    def check(text):
        read(parser, text)

    check()


@pytest.mark.parametrize("name", PARSERS if IS_FULL else ["manifests"])
def test_nothing_but_its_own_error_of_very_many(name):
    """The same with a cheap generator: hypothesis draws a seed, which makes a batch of inputs. table.py shows what was tried."""
    parser = PARSERS[name]
    taken = []

    @settings(
        max_examples=((FULL_DEEP if parser.is_deep else FULL) if IS_FULL else QUICK) // BATCH,
        phases=(Phase.generate,),
        **COMMON,
    )
    @given(st.integers(0, 2**64 - 1))
    def check(seed):
        generator = random.Random(seed)
        for _ in range(BATCH):
            text = made(parser, generator)
            began = time.process_time()
            read(parser, text)
            taken.append(time.process_time() - began)

    check()
    if IS_FULL:
        TRIED.mkdir(parents=True, exist_ok=True)
        tried = {"name": name, "inputs": len(taken), "seconds": sum(taken), "slowest": max(taken)}
        (TRIED / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.json").write_text(json.dumps(tried))


def made(parser, generator):
    """Return an edited sample, or one time in ten random bytes."""
    if generator.randrange(10) == 0:
        return generator.randbytes(generator.randrange(200)).decode("utf-8", "surrogateescape")
    edits = [tuple(generator.randrange(2**20) for _ in range(3)) for _ in range(generator.choice((1, 1, 2, 3, 4, 6)))]
    return parser.change(generator.choice(parser.samples), edits)


def read(parser, text):
    try:
        parser.read(text)
    except parser.refuses as error:
        assert str(error).strip()
