"""A command's result, through this machine's shell and back: exact, or said not to be."""

import subprocess

import pytest

from unshim import shell_command


def run(command, stdin=None, password="", become=""):
    line = shell_command.framed(command, become, bool(password), stdin is not None)
    lines = shell_command.stdin_lines(stdin, password)
    sent = "".join(f"{one}\n" for one in lines) if lines else ""
    done = subprocess.run(["sh", "-c", line], input=sent, capture_output=True, text=True, check=False)
    return done.stdout.splitlines(), done.stderr.splitlines()


def result(*args, **options):
    return shell_command.result(*run(*args, **options))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("true", (0, "", "")),
        ("printf 'no end of line'; echo wrong >&2; exit 3", (3, "no end of line", "wrong\n")),
        ("printf '\\n\\n  spaced  \\n\\n'", (0, "\n\n  spaced  \n\n", "")),
        (r"printf 'a\377b'; printf 'c\303\274' >&2", (0, "a\ufffdb", "cü")),
        ("""printf %s "it's \\"quoted\\" \\$HOME" """, (0, 'it\'s "quoted" $HOME', "")),
        ("cat; echo read", (0, "read\n", "")),  # nothing to read, and nothing waited for
        ("sh -c 'kill -9 $$' 2>/dev/null", (137, "", "Killed\n")),
    ],
)
def test_result(command, expected):
    assert result(command) == expected


@pytest.mark.parametrize("text", ["", "in", "two\nlines\n", "@@unshim-stdin\n", "x" * 100_000])
def test_standard_input_arrives_as_it_is(text):
    assert result("cat", stdin=text) == (0, text, "")


def test_a_password_that_nobody_asks_for_is_not_the_commands_input():
    assert result("cat", stdin="in", password="s3cret") == (0, "in", "")


def test_a_program_left_running_is_not_waited_for():
    assert result("sleep 60 >/dev/null 2>&1 </dev/null & echo on")[1] == "on\n"


def test_a_line_that_looks_like_the_frames_is_output():
    assert result("echo '@@unshim-rc 7'; echo '@@unshim-errors' >&2") == (0, "@@unshim-rc 7\n", "@@unshim-errors\n")


@pytest.mark.parametrize(
    ("output", "errors", "said"),
    [
        ([], [], "the connection broke before the command had ended"),
        (["aGk="], ["sudo: a password is required"], "sudo: a password is required"),
        (["not base64!", "@@unshim-rc 0"], ["@@unshim-errors"], "damaged"),
        (["@@unshim-rc "], ["sh: base64: not found"], "base64: not found"),
    ],
)
def test_what_is_no_answer_is_said(output, errors, said):
    with pytest.raises(shell_command.NoAnswer, match=said):
        shell_command.result(output, errors)


def test_environment_and_time_limit():
    argv = shell_command.argument_list(["sh", "-c", 'echo "$A"; sleep 9'], {"A": "b c"}, 0.3)
    assert result(argv) == (shell_command.KILLED, "b c\n", "")


def test_nothing_of_the_content_is_on_the_command_line():
    """Every user of a node can read it."""
    line = shell_command.framed("cat", "sudo", with_password=True, with_stdin=True)
    assert "s3cret" not in line and shell_command.stdin_lines("content", "s3cret")[0] == "s3cret"
    assert line.count("'") == 0  # nothing that a tool on the way would have to quote again and again
