#!/usr/bin/env bash
# Starts the server. As root it needs no engine. For anybody else, where none answers but Podman is
# installed, Podman's service runs beside the server and ends with it; its containers do not.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly server=target/release/shellport

if [ "$(id -u)" = 0 ] || tools/find-engine.sh; then
  exec "$server" serve
fi

directory=$(mktemp -d)
podman_pid='' server_pid=''

finish() {
  trap - EXIT
  [ -z "$podman_pid" ] || kill "$podman_pid" 2>/dev/null || true
  rm -rf "$directory"
}

forward() {
  [ -z "$server_pid" ] || kill -TERM "$server_pid" 2>/dev/null || true
}

podman_options=()
# Without systemd nobody makes cgroups for it, and crun does not take both versions of them at once.
[ -d /run/systemd/system ] || podman_options+=(--cgroup-manager cgroupfs)
[ ! -e /sys/fs/cgroup/unified ] || podman_options+=(--runtime runc)

trap finish EXIT
trap forward INT TERM
# In a session of its own, so that a Ctrl-C lets the server end first.
setsid podman "${podman_options[@]}" system service --time=0 "unix://$directory/podman.sock" \
  >"$directory/podman.log" 2>&1 &
podman_pid=$!
for _ in $(seq 100); do
  [ -S "$directory/podman.sock" ] && break
  if ! kill -0 "$podman_pid" 2>/dev/null; then
    echo "podman system service does not start:" >&2
    cat "$directory/podman.log" >&2
    exit 1
  fi
  sleep 0.1
done

setsid "$server" serve --engine "unix://$directory/podman.sock" &
server_pid=$!
code=0
# A signal interrupts the wait; the second one sees the end.
wait "$server_pid" || code=$?
while kill -0 "$server_pid" 2>/dev/null; do
  code=0
  wait "$server_pid" || code=$?
done
exit "$code"
