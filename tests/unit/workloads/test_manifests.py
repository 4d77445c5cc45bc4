"""Manifests as people keep them: several in a file, lists, charts' output, and broken ones."""

import pytest

from unshim.workloads.manifests import read

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {}\n"


def keys(text):
    documents, problems = read(text, "a.yml")
    return [document.key for document in documents], [(problem.line, problem.message) for problem in problems]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("# nothing\n---\n---\n# still nothing\n...\n", []),
        (POD % "a", ["Pod/default/a"]),
        ("---\n" + POD % "a" + "---\n" + POD % "b", ["Pod/default/a", "Pod/default/b"]),
        ("\ufeff" + POD % "a", ["Pod/default/a"]),
        ((POD % "a").replace("\n", "\r\n"), ["Pod/default/a"]),
        ("%YAML 1.1\n---\n" + POD % "a", ["Pod/default/a"]),
        (
            "# Source: chart/templates/a.yaml\n" + POD % "a" + "---\n# Source: chart/templates/none.yaml\n",
            ["Pod/default/a"],
        ),
        ('{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "j", "namespace": "n"}}', ["Pod/n/j"]),
        ('[{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "j"}}]', ["Pod/default/j"]),
        (
            "apiVersion: v1\nkind: PodList\nitems: [{apiVersion: v1, kind: Pod, metadata: {name: l}}]\n",
            ["Pod/default/l"],
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: l}}]}\n",
            ["Pod/default/l"],
        ),
        ("image: {repository: x}\nreplicas: 3\n", []),  # values of a chart
        ("kind: Pod\n", []),
        ("just a text\n", []),
        ("apiVersion: v1\nkind: Pod\n", ["Pod/default/(no name)"]),
        ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: g-}\n", ["Pod/default/g-"]),
        ("apiVersion: v1\nkind: Pod\nmetadata: [1]\nspec: 3\n", ["Pod/default/(no name)"]),
    ],
)
def test_what_is_in_a_file(text, found):
    assert keys(text) == (found, [])


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (POD % "a" + "---\nkind: [\n---\n" + POD % "b", 7, "It is not valid YAML"),
        (POD % "a" + "---\na: b\n c: d\n---\n" + POD % "b", 7, "mapping values are not allowed"),
        (POD % "a" + "---\na:\n\t- b\n---\n" + POD % "b", 7, "It is not valid YAML"),
        (POD % "a" + "---\nimage: {{ .Values.image }}\n---\n" + POD % "b", 6, "scan what helm template prints"),
        (POD % "a" + "---\na: !Ref b\n---\n" + POD % "b", 6, "could not determine a constructor for the tag"),
        (POD % "a" + "---\na: *nowhere\n---\n" + POD % "b", 6, "found undefined alias"),
        (POD % "a" + "---\na: 2026-99-99\n---\n" + POD % "b", 5, "cannot be read as YAML"),
        (POD % "a" + "---\na: \x07\n---\n" + POD % "b", 6, "a character that YAML does not allow"),
    ],
)
def test_what_is_broken_is_named_by_line_and_hides_nothing_else(text, line, says):
    found, problems = keys(text)
    assert found == ["Pod/default/a", "Pod/default/b"]
    assert [(where, says in message) for where, message in problems] == [(line, True)], problems


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
        "a: &a [*a]\n",
        "a: &a {b: *a, c: *a, d: *a}\n",
        "[" * 400 + "]" * 400,
        "[" * 5000 + "]" * 5000,
    ],
)
def test_a_file_made_to_fill_the_memory_is_refused(text):
    documents, problems = read(text, "bomb.yml")
    assert documents == [] and len(problems) == 1


def test_lines_are_those_of_the_values():
    text = (
        "---\n"
        + POD % "a"
        + "---\nkind: List\napiVersion: v1\nitems:\n  - apiVersion: v1\n    kind: Pod\n    spec:\n      containers:\n        - name: x\n          env:\n            - {name: A,\n               value: b}\n"
    )
    documents, _ = read(text, "a.yml")
    line_of = documents[1].line_of
    assert line_of(("spec", "containers", 0, "env", 0, "value")) == 17
    assert line_of(("spec", "containers", 0, "env", 0, "valueFrom", "x")) == 16
    assert line_of(("spec", "containers", 7)) == 13
    assert line_of(("status",)) == 10
    assert documents[0].line_of(("metadata", "name")) == 4
