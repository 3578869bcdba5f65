#!/usr/bin/env bash
# Fails when the tests left anything behind: a container or a labelled network in the tests' engines,
# a process, a cgroup, a bridge, a loop device, or a socket or mount under the temporary directory. Run before tools/engines.sh down.
#
#   tools/leaks.sh             look
#   tools/leaks.sh remember    note what is there before the tests, which is not theirs
set -euo pipefail

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(realpath -m "${SHELLPORT_TEST_DIR:-$tools/../target/test-engines}")
temporary=${TMPDIR:-/tmp}
before=$tools/../target/left-before
readonly tools dir temporary before

if [ -e "$dir/env" ]; then
  # shellcheck source=/dev/null
  . "$dir/env"
fi

get() {
  curl --silent --show-error --fail --max-time 30 --unix-socket "${1#unix://}" -G "http://engine/v1.41$2" "${@:3}"
}

# Prints NAME-like members of a JSON list as lines.
names() { grep -oE "\"$1\":(\\[)?\"[^\"]*\"" | cut -d: -f2- | tr -d '["' || true; }

in_engine() {
  local name=$1 socket=$2
  get "$socket" /containers/json --data-urlencode 'all=true' | names Names | sed "s|^|container in $name: |"
  get "$socket" /networks --data-urlencode 'filters={"label":["shellport.instance"]}' |
    names Name | sed "s|^|network in $name: |"
}

# What ran before the engines came up belongs to someone else. A zombie is no leak of ours: its
# parent has yet to look.
processes() {
  local pid
  for pid in $(pgrep -x shellport; pgrep -x shellport-agent; pgrep -x slirp4netns; pgrep -x fuse-overlayfs); do
    grep -qx "$pid" "$dir/run/before" 2>/dev/null && continue
    grep -qs '^State:.Z' "/proc/$pid/status" && continue
    echo "process: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-160)"
  done
}

# The engines have mounts of their own, seen from inside.
mounts() {
  {
    cat /proc/self/mountinfo
    "$tools/engines.sh" exec cat /proc/self/mountinfo
  } | awk -v prefix="$temporary/shellport" 'index($5, prefix) == 1 {print "mount: " $5}' | sort -u
}

# Only those of this run: what an earlier one left is not this one's fault.
sockets() {
  local newer=()
  [ ! -e target/tests-started ] || newer=(-newer target/tests-started)
  find "$temporary" -maxdepth 5 -path "$temporary/shellport*" -type s "${newer[@]}" -printf 'socket: %p\n' 2>/dev/null || true
}

# Those of containers without a daemon; the engines' own have another name.
cgroups() {
  find /sys/fs/cgroup -maxdepth 3 -type d -name 'shellport-*' ! -name 'shellport-test-*' -printf 'cgroup: %p\n' 2>/dev/null || true
}

# Of containers without a daemon.
bridges() {
  [ -n "${SHELLPORT_TEST_OCI_NAMESPACE:-}" ] || return 0
  nsenter --net="$SHELLPORT_TEST_OCI_NAMESPACE" ip -o link | grep -o 'shellport[0-9]*' | sort -u | sed 's/^/bridge: /' || true
}

# Of containers whose files are limited.
devices() { losetup --noheadings --output BACK-FILE | grep "^$temporary/shellport" | sed 's/^/loop device: /' || true; }

if [ "${1:-}" = remember ]; then
  { cgroups; devices; } >"$before"
  exit
fi

found=$(
  [ -z "${SHELLPORT_TEST_DOCKER:-}" ] || in_engine docker "$SHELLPORT_TEST_DOCKER"
  [ -z "${SHELLPORT_TEST_PODMAN:-}" ] || in_engine podman "$SHELLPORT_TEST_PODMAN"
  processes
  mounts
  cgroups
  bridges
  devices
  sockets
)
if [ -e "$before" ]; then
  found=$(grep -vxFf "$before" <<<"$found" || true)
fi
if [ -n "$found" ]; then
  echo "left behind by the tests:" >&2
  echo "$found" >&2
  exit 1
fi
echo "nothing left behind"
