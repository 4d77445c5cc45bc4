"""The last lines of a run say what failed, also where a playbook's whole output is the failure."""

import importlib.util
from pathlib import Path

SPEC = importlib.util.spec_from_file_location("count_results", Path(__file__).parents[2] / "count_results.py")
count_results = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(count_results)

SUITE = '<testsuites><testsuite><testcase classname="on_docker" name="test_it"><failure>{}</failure></testcase></testsuite></testsuites>'


def test_a_failures_first_and_last_lines_are_shown(tmp_path):
    lines = ["E   AssertionError:", *(f"E     TASK {number}" for number in range(200)), "E     fatal: it is broken"]
    (tmp_path / "carry_over.xml").write_text(SUITE.format("\n".join(["def test_it():", *lines])))
    said = count_results.failures(tmp_path)[0].splitlines()
    assert said[0] == "FAILED carry_over: on_docker.test_it"
    assert said[1] == "E   AssertionError:"
    assert said[-1] == "E     fatal: it is broken"
    assert "... 164 more lines" in said
    assert len(said) < 50


def test_a_short_failure_is_whole(tmp_path):
    lines = [f"E     line {number}" for number in range(39)]
    (tmp_path / "carry_over.xml").write_text(SUITE.format("\n".join(lines)))
    assert count_results.failures(tmp_path)[0].splitlines()[1:] == lines


def test_the_slowest_tests_of_all_files_come_first(tmp_path):
    (tmp_path / "dind").mkdir()
    for path, seconds in (("unit", "0.5"), ("dind/dind", "70.2")):
        (tmp_path / f"{path}.xml").write_text(SUITE.format("").replace("<testcase", f'<testcase time="{seconds}"'))
    assert count_results.slowest(tmp_path, 1) == ["    70 s  dind/dind: test_it"]
