"""Docker's log options in the kubelet's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshim.log_rotation import Rotation, from_docker, from_human_size, quantity


@pytest.mark.parametrize(
    "text, size",
    [
        ("10m", 10_000_000), ("1g", 10**9), ("500k", 500_000), ("1.5M", 1_500_000), ("100", 100), ("20 MB", 20_000_000),
        ("10MiB", 10_000_000), ("2T", 2 * 10**12), ("0", 0), ("-1", None), ("", None), ("ten", None), ("1x", None), ("10m ", None),
    ],
)  # fmt: skip
def test_sizes_are_decimal_as_docker_reads_them(text, size):
    assert from_human_size(text) == size


@pytest.mark.parametrize(
    "size, text",
    [(10_000_000, "10M"), (10**9, "1G"), (500_000, "500k"), (1_500_000, "1500k"), (100, "100"), (20 * 2**20, "20Mi")],
)
def test_quantities(size, text):
    assert quantity(size) == text


def bytes_of(text):
    units = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    digits = text.rstrip("kMGTPi" + "K")
    return int(digits) * units.get(text[len(digits) :], 1)


@given(st.integers(1, 10**16))
def test_a_quantity_loses_no_byte(size):
    assert bytes_of(quantity(size)) == size


@pytest.mark.parametrize(
    "settings, rotation",
    [
        ({}, Rotation("json-file")),
        ({"log-driver": "", "log-opts": None}, Rotation("json-file")),
        ({"log-opts": {"max-size": "10m", "max-file": "3"}}, Rotation("json-file", 10_000_000, 3)),
        ({"log-opts": {"max-size": "10m"}}, Rotation("json-file", 10_000_000, 1)),
        ({"log-opts": {"max-file": "3"}}, Rotation("json-file", None, 3)),
        ({"log-driver": "local"}, Rotation("local", 20_971_520, 5)),
        ({"log-driver": "local", "log-opts": {"max-size": "1g"}}, Rotation("local", 10**9, 5)),
        ({"log-driver": "journald"}, Rotation("journald")),
        (
            {"log-opts": {"max-size": "lots", "max-file": "0"}},
            Rotation("json-file", odd={"max-size": "lots", "max-file": "0"}),
        ),
    ],
)
def test_rotation_of_docker(settings, rotation):
    assert from_docker(settings) == rotation
