"""A text that would end the scan, or fill its memory, is refused; whatever is meant is read as ever."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from unshim import yaml_text
from unshim.workloads import manifests, texts

DEEP = {
    "flow sequences": "[" * 100_000,
    "closed flow sequences": "[" * 100_000 + "]" * 100_000,
    "flow mappings": "{a: " * 100_000,
    "block sequences": "- " * 100_000,
    "block keys": "? " * 100_000,
    "block mappings": "".join(" " * depth + "a:\n" for depth in range(2000)),
    "mappings in sequences": "".join(" " * depth + "- a:\n" for depth in range(0, 3000, 2)),
}
LAUGHS = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
BOMBS = {
    "aliases of aliases": "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + LAUGHS,
    "an alias to what it is in": "a: &a [*a]\n",
}


@pytest.mark.parametrize("name", DEEP)
def test_nesting_without_end_does_not_end_the_process(name, tmp_path):
    path = tmp_path / "text"
    path.write_text(DEEP[name])
    # In a process of its own: the parser in C ended it, and no exception told of that.
    code = (
        f"import sys; sys.path.insert(0, {str(Path(yaml_text.__file__).parents[1])!r})\n"
        "from unshim.workloads import manifests, texts\n"
        "text = open(sys.argv[1]).read()\n"
        "print(texts.as_yaml(text), manifests.read(text, 'f.yaml')[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.startswith("[] [Problem(message='It is not valid YAML: it is nested more than 200 deep"), (
        done.stdout[:200]
    )


@pytest.mark.parametrize("name", BOMBS)
def test_aliases_without_end_are_refused_at_once(name):
    began = time.monotonic()
    assert texts.as_yaml(BOMBS[name]) == []
    (problem,) = manifests.read(BOMBS[name], "f.yaml")[1]
    assert "aliases stand for more than 500000 values" in problem.message
    with pytest.raises(yaml_text.TooMuch):
        yaml_text.load(BOMBS[name])
    assert time.monotonic() - began < 5


def test_as_many_values_written_out_are_refused_too():
    with pytest.raises(yaml_text.TooMuch):
        yaml_text.load("- a\n" * 500_001)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "a: {b: [1, 2]}\nc: &x [1]\nd: *x\ne: {<<: {f: 1}}\n",
        "- - - a\n  - b\n",
        "[" * 150 + "]" * 150,
        "".join(" " * depth + "a:\n" for depth in range(150)),
        "a: &a 1\nb: [*a, *a]\n",
    ],
)
def test_what_is_meant_is_read_as_ever(text):
    assert yaml_text.load(text) == yaml.load(text, Loader=yaml_text.Loader)
    assert yaml_text.load_all(text) == list(yaml.load_all(text, Loader=yaml_text.Loader))


def test_anchors_count_in_their_document_only():
    text = "a: &a [1, 2]\nb: *a\n---\na: &a 1\nb: *a\n"
    assert yaml_text.load_all(text) == [{"a": [1, 2], "b": [1, 2]}, {"a": 1, "b": 1}]
