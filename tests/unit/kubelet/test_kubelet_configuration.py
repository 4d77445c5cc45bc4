"""Settings in the kubelet's YAML files: only what is wanted changes."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from unshim.kubelet_configuration import YamlError, merged, parse, set_endpoint, set_values

NEW = "unix:///run/containerd/containerd.sock"


@pytest.mark.parametrize(
    "before, after",
    [
        ("a: 1\n", "a: 1\n"),
        (
            "# mine\na: 1\ncontainerRuntimeEndpoint: unix:///run/cri-dockerd.sock # why\nb: 2\n",
            f"# mine\na: 1\ncontainerRuntimeEndpoint: {NEW} # why\nb: 2\n",
        ),
        ('containerRuntimeEndpoint: ""\n', f"containerRuntimeEndpoint: {NEW}\n"),
        ("'containerRuntimeEndpoint':   'x'\r\nb: 2\r\n", f"'containerRuntimeEndpoint':   {NEW}\r\nb: 2\r\n"),
        ("containerRuntimeEndpoint:\nb: 2\n", f"containerRuntimeEndpoint: {NEW}\nb: 2\n"),
        ("containerRuntimeEndpoint: >-\n  x\nb: 2\n", f"containerRuntimeEndpoint: {NEW}\nb: 2\n"),
        ("containerRuntimeEndpoint:\n  x\n", f"containerRuntimeEndpoint: {NEW}\n"),
        ("{containerRuntimeEndpoint: x, b: 2}\n", f'{{containerRuntimeEndpoint: "{NEW}", b: 2}}\n'),
        (f"containerRuntimeEndpoint: {NEW}\n", f"containerRuntimeEndpoint: {NEW}\n"),
        ("x:\n  containerRuntimeEndpoint: y\n", "x:\n  containerRuntimeEndpoint: y\n"),
        ("\ufeffcontainerRuntimeEndpoint: y\n", f"\ufeffcontainerRuntimeEndpoint: {NEW}\n"),
        ('{"containerRuntimeEndpoint": "x", "a": 1}', f'{{"containerRuntimeEndpoint": "{NEW}", "a": 1}}'),
        ("containerRuntimeEndpoint: x\ncontainerRuntimeEndpoint: y\n", f"containerRuntimeEndpoint: {NEW}\n" * 2),
    ],
)
def test_only_the_value_changes(before, after):
    assert set_endpoint(before, NEW) == after


@pytest.mark.parametrize(
    "text",
    [
        "x: &x 1\ncontainerRuntimeEndpoint: *x\n",
        "containerRuntimeEndpoint: &x y\nb: *x\n",
        "<<: {containerRuntimeEndpoint: x}\ncontainerRuntimeEndpoint: &x y\nb: *x\n",
    ],
)
def test_another_way_of_writing_is_refused(text):
    with pytest.raises(YamlError):
        set_endpoint(text, NEW)


LOGS = {"containerLogMaxSize": "10M", "containerLogMaxFiles": 3}


@pytest.mark.parametrize(
    "before, after",
    [
        ("", "containerLogMaxSize: 10M\ncontainerLogMaxFiles: 3\n"),
        ("# nothing\n", "# nothing\ncontainerLogMaxSize: 10M\ncontainerLogMaxFiles: 3\n"),
        ("a: 1 # one\n\n# end", "a: 1 # one\n\n# end\ncontainerLogMaxSize: 10M\ncontainerLogMaxFiles: 3\n"),
        ("a:\n  b: 1\r\n", "a:\n  b: 1\r\ncontainerLogMaxSize: 10M\r\ncontainerLogMaxFiles: 3\r\n"),
        ("---\n  a: 1\n", "---\n  a: 1\n  containerLogMaxSize: 10M\n  containerLogMaxFiles: 3\n"),
        ("containerLogMaxFiles: 9\na: [1,\n 2]\n", "containerLogMaxFiles: 3\na: [1,\n 2]\ncontainerLogMaxSize: 10M\n"),
        ('{"a": 1}', '{"containerLogMaxSize": "10M","containerLogMaxFiles": 3,"a": 1}'),
        ('{\n  "a": 1\n}\n', '{\n  "containerLogMaxSize": "10M",\n  "containerLogMaxFiles": 3,\n  "a": 1\n}\n'),
        ("{}", '{"containerLogMaxSize": "10M","containerLogMaxFiles": 3}'),
    ],
)
def test_settings_that_are_not_there_are_added(before, after):
    assert set_values(before, LOGS) == after
    assert set_values(after, LOGS) == after


def test_a_document_that_was_ended_is_refused():
    with pytest.raises(YamlError):
        set_values("a: 1\n...\n", LOGS)


@pytest.mark.parametrize("value", ["100", "1e3", "yes", "", "a b", "a: b", "#x", "10Mi"])
def test_a_string_stays_a_string(value):
    assert parse(set_values("a: 1\n", {"containerLogMaxSize": value})) == {"a": 1, "containerLogMaxSize": value}


def test_what_is_not_yaml_is_told_with_its_place():
    with pytest.raises(YamlError, match="line 3, column 1"):
        parse("a: 1\nb: [\n")


def test_drop_ins_are_laid_over_one_another():
    found = merged([{"a": {"x": 1, "y": 2}, "b": [1], "c": 1}, {"a": {"y": 3}, "b": [2]}, {"c": {"z": 1}}])
    assert found == {"a": {"x": 1, "y": 3}, "b": [2], "c": {"z": 1}}


KEY = st.sampled_from(["apiVersion", "clusterDNS", "containerRuntimeEndpoint", "containerLogMaxSize", "featureGates"])
VALUE = st.one_of(
    st.integers(0, 99),
    st.booleans(),
    st.text("ab:#-'\" é", max_size=8),
    st.lists(st.text("xy", max_size=3), max_size=3),
)
COMMENT = st.text("abc #:'\"-{[é", max_size=12)


@given(
    data=st.dictionaries(KEY, VALUE, max_size=5),
    comments=st.lists(COMMENT, min_size=6, max_size=6),
    wanted=st.fixed_dictionaries({}, optional={"containerRuntimeEndpoint": st.just(NEW), **{k: st.just(v) for k, v in LOGS.items()}}),
    style=st.sampled_from(["lines", "lines at the end", "crlf", "json", "pretty json"]),
)  # fmt: skip
def test_what_is_set_is_read_back_and_the_rest_stays(data, comments, wanted, style):
    if "json" in style:
        text = json.dumps(data, indent=2 if "pretty" in style else None)
        kept = []
    else:
        kept = [f"# {comment}" for comment in comments]
        pairs = [yaml.safe_dump({key: value}, allow_unicode=True) for key, value in data.items()]
        text = "".join(
            f"{comment}\n{pair}" for comment, pair in zip(kept, [*pairs, "", "", "", "", "", ""], strict=False)
        )
        if style == "lines at the end":
            text = text.rstrip("\n")
        text = text.replace("\n", "\r\n") if style == "crlf" else text
    before = parse(text)
    if any(isinstance(before.get(key), list) for key in wanted):
        with pytest.raises(YamlError, match="which it cannot be"):
            set_values(text, wanted)
        return
    after = set_values(text, wanted)
    assert parse(after) == {**before, **wanted}
    assert set_values(after, wanted) == after
    lines = after.splitlines()
    assert all(comment in lines for comment in kept)
    # Taking out again what was put in leaves the text as it was, but for a line break at its end.
    if not (wanted.keys() & before.keys()) and "json" not in style:
        assert after.startswith(text)
        added = after[len(text) :].split()
        assert sorted(added) == sorted(word for key, value in wanted.items() for word in (f"{key}:", str(value)))
