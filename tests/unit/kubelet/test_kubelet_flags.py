"""How systemd reads the kubelet's files, and that changing one word leaves every other byte alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshim.kubelet_flags import (
    FlagError,
    apply_edits,
    edit_words,
    parse_environment_file,
    parse_unit,
    split_words,
)


@pytest.mark.parametrize(
    "text, expected",
    [
        ('A="x y"\n', {"A": "x y"}),
        ("A='x y'", {"A": "x y"}),
        ("A=x y  \n", {"A": "x y"}),
        ('A="x" "y"\n', {"A": "xy"}),
        ("# A=1\n;B=2\nC=3\n", {"C": "3"}),
        ("A=1 # no comment\n", {"A": "1 # no comment"}),
        ('A="x"\r\nB=y\r\n', {"A": "x", "B": "y"}),
        ("A=x \\\n  y\n", {"A": "x   y"}),
        ('A="x \\\n y"\n', {"A": "x  y"}),
        (r'A="a\"b\\c\d"', {"A": 'a"b\\c\\d'}),
        ("A=\nB=1\n", {"A": "", "B": "1"}),
        ("A=it's\n", {"A": "it's"}),
        ("  A = 1\n", {"A": "1"}),
        ("no assignment\nA=1\n", {"A": "1"}),
        ("# a comment \\\nB=1\nA=2\n", {"A": "2"}),
    ],
)
def test_environment_file(text, expected):
    found = parse_environment_file("f", text)
    assert {assignment.name: assignment.text for assignment in found} == expected


@pytest.mark.parametrize("text, line", [('A="x\n', 1), ("B=1\nA='x\n", 2), ('A=1\n\nC="x" "y\n', 3)])
def test_a_quote_that_is_never_closed_is_named_with_its_line(text, line):
    with pytest.raises(FlagError) as caught:
        parse_environment_file("/etc/default/kubelet", text)
    assert (caught.value.path, caught.value.line) == ("/etc/default/kubelet", line)
    assert str(caught.value).startswith(f"/etc/default/kubelet:{line}: ")


def test_unit_file_with_continuations_and_comments_between():
    text = "[Unit]\nDescription=x\n[Service]\nExecStart=/usr/bin/kubelet \\\n  --a=1 \\\n# gone \\\n  --b\n;ExecStart=no\nExecStartPre=-/bin/true\n"
    found = [d for d in parse_unit("u", text) if d.section == "Service"]
    assert [d.name for d in found] == ["ExecStart", "ExecStartPre"]
    assert [w.text for w in split_words("u", 1, found[0].value, False)] == ["/usr/bin/kubelet", "--a=1", "--b"]


@pytest.mark.parametrize(
    "value, of_variable, words",
    [
        ("a 'b c' d", False, ["a", "b c", "d"]),
        ('--x="b c"d', False, ["--x=b cd"]),
        (r"a\ b", True, ["a b"]),
        (r"a\x41\102b", False, ["aABb"]),
        (r"a\qb", False, [r"a\qb"]),
        ("a 'b c", True, ["a", "b c"]),
        (r"a\tb", False, ["a\tb"]),
        ("", False, []),
        ("''", False, [""]),
    ],
)
def test_words(value, of_variable, words):
    directive = parse_unit("u", f"[S]\nA={value}\n")[0]
    assert [word.text for word in split_words("u", 2, directive.value, of_variable)] == words


def take_out(text, index):
    assignment = parse_environment_file("f", text)[0]
    words = split_words("f", 1, assignment.value, True)
    return apply_edits(text, edit_words(text, words, dict.fromkeys(index)))


@pytest.mark.parametrize(
    "index, expected",
    [
        ([0], 'A="b  c"  # x\r\n'),
        ([1], 'A="a c"  # x\r\n'),
        ([2], 'A="a b"  # x\r\n'),
        ([0, 1, 2], 'A=""  # x\r\n'),
        ([1, 2], 'A="a"  # x\r\n'),
        ([0, 2], 'A="b"  # x\r\n'),
    ],
)
def test_taking_words_out(index, expected):
    # The unquoted rest of the line is part of the value for systemd, so it counts as words too; here it is cut off.
    assert take_out('A="a b  c"\r\n', index) == expected.replace("  # x", "")


def test_a_comment_between_continued_lines_stays():
    text = "[Service]\nExecStart=k \\\n  --a \\\n  # why b\n  --b\n"
    directive = parse_unit("u", text)[0]
    words = split_words("u", 2, directive.value, False)
    after = apply_edits(text, edit_words(text, words, {1: None}))
    assert "# why b" in after
    assert [w.text for w in split_words("u", 2, parse_unit("u", after)[0].value, False)] == ["k", "--b"]


WORD = st.text("abcXYZ019-_./:=,@", min_size=1, max_size=12)
GAP = st.sampled_from([" ", "  ", "\t", " \\\n  "])
QUOTE = st.sampled_from(['"', "'", ""])


@given(
    words=st.lists(WORD, min_size=1, max_size=8),
    gaps=st.lists(GAP, min_size=8, max_size=8),
    quote=QUOTE,
    head=st.sampled_from(["", "# comment\n", "OTHER='x y'\n", "\r\n"]),
    tail=st.sampled_from(["", "\n", "\r\n", "\nNEXT=1\n"]),
    data=st.data(),
)
def test_whatever_is_taken_out_the_rest_is_read_as_before(words, gaps, quote, head, tail, data):
    if quote == "'":
        gaps = [gap if "\\" not in gap else " " for gap in gaps]  # single quotes keep a backslash
    value = "".join(word + gap for word, gap in zip(words, gaps, strict=False))[: -len(gaps[len(words) - 1])]
    text = f"{head}A={quote}{value}{quote}{tail}"
    gone = data.draw(st.sets(st.integers(0, len(words) - 1)))
    replaced = data.draw(st.dictionaries(st.integers(0, len(words) - 1), WORD, max_size=2))
    changes = {**dict.fromkeys(gone), **replaced}

    def read(source):
        (assignment,) = [a for a in parse_environment_file("f", source) if a.name == "A"]
        return split_words("f", 1, assignment.value, True)

    assert [word.text for word in read(text)] == words
    after = apply_edits(text, edit_words(text, read(text), changes))
    expected = [changes.get(i, word) for i, word in enumerate(words)]
    assert [word.text for word in read(after)] == [word for word in expected if word is not None]
    assert after.startswith(f"{head}A={quote}")
    assert after.endswith(f"{quote}{tail}")


@given(st.text("ab=\"'\\\n\r #;$[]-", max_size=40))
def test_any_text_is_read_or_refused_with_a_line(text):
    for parse in (parse_environment_file, parse_unit):
        try:
            found = parse("f", text)
        except FlagError as error:
            assert error.line >= 1
            continue
        for item in found:
            assert all(0 <= c.start < c.end <= len(text) for c in item.value)
            assert 0 <= item.append_at <= len(text)
