"""A unix socket on a node that is not this machine, for one gRPC call: perl sends the request there and brings the answer.

perl is on every Debian and Ubuntu (perl-base is essential) and on most others; containerd brings nothing that speaks CRI, and a
shell cannot open a unix socket.
"""

import socket

from . import commands

NO_CONNECTION = 42  # return codes of ours; the errno follows
TOO_LATE = 43

# Reads until the stream has ended: HTTP/2 frames of kind 0 or 1 with END_STREAM, or 3, RST_STREAM, or 7, GOAWAY, if it leaves out
# our stream (RFC 9113, section 6); or what comes has no frames.
SCRIPT = r"""
use strict; use Socket;
my ($path, $seconds) = @ARGV;
sub fail { printf STDERR "%%d\n", $! + 0; exit %(no_connection)d }
$SIG{ALRM} = sub { exit %(too_late)d };
alarm $seconds;
my $out = join "", <STDIN>;
$out =~ s/\s//g;
$out = pack "H*", $out;
socket my $socket, AF_UNIX, SOCK_STREAM, 0 or fail();
connect $socket, sockaddr_un($path) or fail();
$SIG{PIPE} = "IGNORE";
while (length $out) { my $n = syswrite $socket, $out; last unless defined $n; substr($out, 0, $n) = "" }
my ($got, $at) = ("", 0);
READ: while (sysread $socket, $got, 65536, length $got) {
  while (length($got) - $at >= 9) {
    my ($high, $low, $kind, $flags, $stream) = unpack "CnCCN", substr($got, $at, 9);
    last READ if $high || $low > 16384;
    my $end = $at + 9 + $low;
    last if length($got) < $end;
    $at = $end;
    last READ if ($stream & 0x7fffffff) == 1 && ($kind == 3 || ($kind <= 1 && $flags & 1));
    last READ if $kind == 7 && !(unpack("N", substr($got, $end - $low, 4)) & 0x7fffffff);
  }
}
print unpack("H*", $got), "\n";
""" % {"no_connection": NO_CONNECTION, "too_late": TOO_LATE}


def is_usable():
    """Return whether the node has perl with its module Socket."""
    return (
        commands.find("perl") is not None and commands.run(["perl", "-MSocket", "-e1"], check=False, timeout=30).rc == 0
    )


class Connection(object):
    """What :mod:`grpc_call` uses of a socket. The exchange takes place when the first byte is read; later ones are not sent."""

    def __init__(self):
        self.path = ""
        self.timeout = 10.0
        self.request = b""
        self.answer = None

    def settimeout(self, timeout):
        self.timeout = timeout

    def connect(self, path):
        self.path = path

    def sendall(self, data):
        if self.answer is None:
            self.request += data

    def recv(self, size):
        if self.answer is None:
            self.answer = self._exchange()
        data, self.answer = self.answer[:size], self.answer[size:]
        return data

    def close(self):
        pass

    def _exchange(self):
        seconds = max(1, int(self.timeout + 0.5))
        argv = ["perl", "-e", SCRIPT, self.path, str(seconds)]
        result = commands.run(argv, stdin=self.request.hex() + "\n", timeout=seconds + 30, check=False)
        if result.rc == TOO_LATE:
            raise socket.timeout()
        if result.rc == NO_CONNECTION:
            number = int(result.err.split()[-1])
            raise OSError(number, "connection failed")
        if result.rc != 0:
            raise OSError(0, "perl failed: " + commands.last_lines(result.err, 1))
        return bytes.fromhex(result.out.strip())
