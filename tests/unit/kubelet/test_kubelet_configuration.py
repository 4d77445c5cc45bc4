"""containerRuntimeEndpoint in the kubelet's YAML files."""

import pytest

from unshim.kubelet_configuration import YamlError, parse, set_endpoint

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
        ("'containerRuntimeEndpoint':   'x'\r\nb: 2\r\n", f"'containerRuntimeEndpoint': {NEW}\r\nb: 2\r\n"),
        (f"containerRuntimeEndpoint: {NEW}\n", f"containerRuntimeEndpoint: {NEW}\n"),
        ("x:\n  containerRuntimeEndpoint: y\n", "x:\n  containerRuntimeEndpoint: y\n"),
    ],
)
def test_only_the_value_changes(before, after):
    assert set_endpoint(before, NEW) == after


@pytest.mark.parametrize("text", ["containerRuntimeEndpoint: >\n  x\n", "{containerRuntimeEndpoint: x}\n"])
def test_another_way_of_writing_is_refused(text):
    with pytest.raises(YamlError):
        set_endpoint(text, NEW)


def test_what_is_not_yaml_is_told_with_its_place():
    with pytest.raises(YamlError, match="line 3, column 1"):
        parse("a: 1\nb: [\n")
