"""Which Python a node needs for the controller's ansible-core."""

import pytest

from unshim.ansible_core import python_refusal


@pytest.mark.parametrize(
    ("python", "ansible_core", "needed"),
    [
        ("3.6.8", "2.16.14", ""),
        ("3.6.8", "2.17.0", "3.7"),
        ("3.7.3", "2.18.1", "3.8"),
        ("3.8.10", "2.20.0rc1", "3.9"),
        ("3.9.2", "2.21.5", ""),
        ("3.10.0", "2.21.5", ""),  # and not less than 3.9, as it is in letters
        ("2.7.5", "2.16.0", "3.6"),
        ("", "2.16.0", "3.6"),
    ],
)
def test_a_python_that_is_too_old_is_told(python, ansible_core, needed):
    told = python_refusal("w1", python, ansible_core)
    assert (f"need {needed} or newer there" in told) if needed else told == ""
    assert not needed or told.startswith(f"w1 has Python {python or 'none'}; modules of ansible-core {ansible_core}")
