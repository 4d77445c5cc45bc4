"""A node that is reached by a shell alone: this machine's, in the way of a tool that takes output for lines of UTF-8."""

import subprocess

from unshim import shell_command


def place_of(package):
    """Return the class of such nodes, for one of the two names that the node's code is imported by."""
    place, keeping = package.place, package.lock_by_shell.keeping

    class AShell(place.Place):
        controller = "tester@controller"
        keeps = ""

        def run(self, argv, stdin, timeout, env):
            command = shell_command.argument_list(argv, env, timeout)
            if self.keeps:
                command = keeping(command, self.keeps)
            lines = shell_command.stdin_lines(stdin)
            done = subprocess.run(
                ["sh", "-c", shell_command.framed(command, with_stdin=stdin is not None)],
                input="".join(f"{line}\n" for line in lines) if lines else "",
                capture_output=True,
                text=True,
                check=False,
            )
            rc, out, err = shell_command.result(done.stdout.splitlines(), done.stderr.splitlines())
            if timeout is not None and rc == shell_command.KILLED:
                raise place.TimedOut
            return rc, out, err

    return AShell
