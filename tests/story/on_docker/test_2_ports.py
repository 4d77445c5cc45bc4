"""Docker lets processes without root listen on ports below 1024; the move is compared with this."""

import kiosk


def test_port_80_answers_without_root(lab):
    kiosk.check(lab, "docker")
