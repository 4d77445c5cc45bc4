#!/usr/bin/env bash
# docker.sh start|stop: have a Docker Engine answer; stop it only if an earlier start here was what started it.
set -euo pipefail
# shellcheck source=molecule/_lab/host/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

record=$STATE_DIR/docker-started-by

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

wait_for_engine() {
    local tries=0
    until answers; do
        tries=$((tries + 1))
        [ "$tries" -le 300 ] || return 1
        # dockerd that has ended will not answer: say so now, not after a minute.
        [ ! -e "$STATE_DIR/dockerd.pid" ] || kill -0 "$(cat "$STATE_DIR/dockerd.pid")" || return 1
        sleep 0.2
    done
}

start_engine() {
    local how
    if [ -d /run/systemd/system ]; then
        how=systemctl
        systemctl start docker
    elif [ -x /etc/init.d/docker ] && command -v service >/dev/null && service docker start; then
        how=service
    else
        # Also where the start script fails: it raises ulimits, which needs CAP_SYS_RESOURCE.
        how=dockerd
        mkdir -p "$LOG_DIR"
        setsid dockerd >"$LOG_DIR/dockerd.log" 2>&1 </dev/null &
        echo "$!" >"$STATE_DIR/dockerd.pid"
    fi
    echo "$how" >"$record"
    wait_for_engine
}

# Ask it to end and wait until it has: a start right after would find its socket and pid file still in use.
end_process() {
    kill "$1" 2>/dev/null || return 0
    while kill -0 "$1" 2>/dev/null; do sleep 0.2; done
}

stop_engine() {
    case $(cat "$record") in
        systemctl) systemctl stop docker.socket docker.service ;;
        service) service docker stop ;;
        dockerd) end_process "$(cat "$STATE_DIR/dockerd.pid")" ;;
    esac
    rm -f "$record" "$STATE_DIR/dockerd.pid"
}

case ${1:-} in
    start)
        if answers; then exit 0; fi
        [ "$(id -u)" -eq 0 ] || die "no Docker Engine answers, and only root can start one"
        mkdir -p "$STATE_DIR"
        with_progress "start the Docker Engine" start_engine
        ;;
    stop)
        [ -e "$record" ] || exit 0
        # Somebody else may have come to rely on it meanwhile.
        others=$(docker ps --quiet | wc -l)
        if [ "$others" -gt 0 ]; then
            say "the Docker Engine stays: $others containers still run on it"
            exit 0
        fi
        with_progress "stop the Docker Engine" stop_engine
        ;;
    *)
        die "usage: docker.sh start|stop"
        ;;
esac
