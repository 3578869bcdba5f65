#!/usr/bin/env bash
# The tests' own dockerd, Podman service and registries, beside whatever engines the machine has.
#
#   tools/engines.sh up            start what is not running; print the variables that name it all
#   tools/engines.sh env           print those variables again
#   tools/engines.sh status        say what runs
#   tools/engines.sh exec CMD...   run a command beside the engines, with those variables set
#   tools/engines.sh down          stop everything and remove what it left, but for the image caches
#
# Everything lives in one directory, SHELLPORT_TEST_DIR (target/test-engines), and in a network and
# mount namespace of its own: a second dockerd on a machine would rewrite the firewall of the first,
# and what lives in a namespace is gone with it. Sockets and bind mounts work across; the registries
# and the containers' addresses are reached from inside, which is what `exec` is for.
#
# An engine that cannot be started is left out, with a line on stderr that says why.
set -euo pipefail

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(realpath -m "${SHELLPORT_TEST_DIR:-$tools/../target/test-engines}")
digest=$(printf '%s' "$dir" | sha256sum)
id=${digest:0:8}
# A socket's path may have 107 bytes and Podman's run directory 50.
run=$dir/run
[ ${#run} -le 40 ] || run=${XDG_RUNTIME_DIR:-/run}/shellport-test-$id
cgroup=shellport-test-$id
readonly tools dir id run cgroup

readonly docker_sock=$run/docker.sock
readonly podman_sock=$run/podman.sock
# Of the namespace's own loopback, so nothing else can have them.
readonly registry=127.0.0.1:35780
readonly auth_registry=127.0.0.1:35781
readonly auth_user=shellport

say() { echo "$*" >&2; }
have() { command -v "$1" >/dev/null; }

# ---- processes -------------------------------------------------------------------------------------

# A process is known by its id and its start time, so that a reused id is never taken for it; a
# zombie has none, because it is dead whatever its parent does.
started_at() { awk '$3 != "Z" {print $22}' "/proc/$1/stat" 2>/dev/null || true; }

remember() { echo "$2 $(started_at "$2")" >"$run/$1.pid"; }

# Prints the id of the process called NAME while it lives.
pid_of() {
  local pid start
  read -r pid start 2>/dev/null <"$run/$1.pid" || return 1
  [ -n "$start" ] && [ "$(started_at "$pid")" = "$start" ] && echo "$pid"
}

alive() { pid_of "$1" >/dev/null; }

# spawn NAME CMD...: starts a daemon in the namespaces.
spawn() {
  local name=$1
  shift
  setsid nsenter --target "$(pid_of namespace)" --net --mount -- "$@" \
    >"$dir/$name.log" 2>&1 </dev/null 9>&- &
  remember "$name" $!
}

# wait_until SECONDS CMD...: tries five times a second.
wait_until() {
  local tries=$(($1 * 5))
  shift
  while ! "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.2
  done
}

gone() { ! alive "$1"; }

# stop NAME: asks, waits ten seconds, then kills.
stop() {
  local pid
  pid=$(pid_of "$1") || { rm -f "$run/$1.pid"; return 0; }
  kill "$pid" 2>/dev/null || true
  if ! wait_until 10 gone "$1"; then
    kill -KILL "$pid" 2>/dev/null || true
    wait_until 5 gone "$1" || say "$1 (pid $pid) does not die"
  fi
  rm -f "$run/$1.pid"
}

# ---- namespaces ------------------------------------------------------------------------------------

# Directories that engines share machine-wide; inside, each is an empty one of our own.
readonly private_dirs=(/dev/shm /etc/docker /run/containerd /run/containers /run/docker /run/netns /run/runc)

start_namespace() {
  alive namespace && return
  # Whatever is here is from before a crash or a reboot.
  rm -rf "$run"
  mkdir -p "$run" "${private_dirs[@]}"
  # shellcheck disable=SC2016 # for the inner shell
  setsid unshare --net --mount --propagation slave -- sh -ec '
    ready=$1; shift
    ip link set lo up
    for d in "$@"; do mount -t tmpfs -o mode=1777 shellport-test "$d"; done
    : >"$ready"
    exec sleep infinity
  ' sh "$run/namespace.ready" "${private_dirs[@]}" >"$dir/namespace.log" 2>&1 </dev/null 9>&- &
  remember namespace $!
  wait_until 10 test -e "$run/namespace.ready"
}

# Another network, for containers without a daemon: their firewall is not to be Podman's.
start_oci_namespace() {
  alive oci-namespace && return
  spawn oci-namespace unshare --net sh -c 'ip link set lo up && exec sleep infinity'
}

# within CMD...: runs a command in the namespaces, in the same working directory.
within() {
  # shellcheck disable=SC2016 # for the inner shell
  nsenter --target "$(pid_of namespace)" --net --mount -- \
    sh -c 'cd "$1" && shift && exec "$@"' sh "$PWD" "$@"
}

# ---- engines ---------------------------------------------------------------------------------------

# api SOCKET METHOD PATH [curl options]: one call of the Docker API, which Podman speaks too.
api() {
  local socket=$1 method=$2 path=$3
  shift 3
  curl --silent --show-error --fail --max-time 120 --unix-socket "$socket" -X "$method" "$@" \
    "http://engine/v1.41$path"
}

ping() { curl --silent --fail --max-time 2 --unix-socket "$1" http://engine/_ping; }

# answers NAME SOCKET: waits until an engine speaks or is dead.
answers() {
  local name=$1 socket=$2
  ready_or_dead() { gone "$name" || ping "$socket"; }
  wait_until 40 ready_or_dead && alive "$name" && return
  skip "$name" "$(tail -n 1 "$dir/$name.log")"
  stop "$name"
  return 1
}

skip() { say "skip: no $1: $2"; }

start_docker() {
  alive dockerd && return
  have dockerd || { skip dockerd "it is not installed"; return; }
  echo '{}' >"$run/daemon.json"
  spawn dockerd dockerd --config-file "$run/daemon.json" \
    --data-root "$dir/docker" --exec-root "$run/docker" --pidfile "$run/docker.pidfile" \
    --host "unix://$docker_sock" --log-level warn \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$cgroup"
  answers dockerd "$docker_sock" || return 0
  empty "$docker_sock" # what a crash kept
  load docker "$docker_sock"
}

start_podman() {
  alive podman && return
  have podman || { skip podman "it is not installed"; return; }
  mkdir -p "$dir/podman"
  printf '[engine]\nevents_logger = "file"\n' >"$run/containers.conf"
  printf '[storage]\ndriver = "overlay"\nrunroot = "%s"\ngraphroot = "%s"\n' \
    "$run/podman" "$dir/podman/root" >"$run/storage.conf"
  printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$registry" "$auth_registry" >"$run/registries.conf"
  # runc, because crun refuses a machine that has both versions of cgroups.
  spawn podman env CONTAINERS_CONF="$run/containers.conf" CONTAINERS_STORAGE_CONF="$run/storage.conf" \
    CONTAINERS_REGISTRIES_CONF="$run/registries.conf" REGISTRY_AUTH_FILE="$run/no-auth.json" \
    podman --root "$dir/podman/root" --runroot "$run/podman" --tmpdir "$run/podman-tmp" \
    --network-config-dir "$dir/podman/networks" --cgroup-manager cgroupfs --runtime runc \
    system service --time=0 "unix://$podman_sock"
  answers podman "$podman_sock" || return 0
  empty "$podman_sock" # what a crash kept
  load podman "$podman_sock"
}

has_images() {
  local name
  for name in busybox user service debian; do
    api "$1" GET "/images/shellport-test/$name:1/json" || return 1
  done
}

# load ENGINE SOCKET: gives an engine the images, once for each version of them.
load() {
  local stamp=$dir/$1.images
  if [ "$(cat "$stamp" 2>/dev/null)" != "$images" ] || ! has_images "$2" >/dev/null 2>&1; then
    api "$2" POST /images/load -H 'Content-Type: application/x-tar' -T "$images/images.tar" >/dev/null
    echo "$images" >"$stamp"
  fi
  # What the tests pull must not be there already.
  local ref
  for ref in "$registry" "$auth_registry"; do
    api "$2" DELETE "/images/$ref/shellport-test/pull:1?force=true" >/dev/null 2>&1 || true
  done
}

# ---- registries ------------------------------------------------------------------------------------

# registry_config ADDRESS [AUTH]: both serve one store.
registry_config() {
  printf 'version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\n'
  printf 'storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\n' "$dir/registry"
  printf 'http: {addr: "%s", secret: shellport-tests}\n' "$1"
  [ $# -lt 2 ] || printf 'auth: {htpasswd: {realm: shellport, path: %s}}\n' "$2"
}

start_registries() {
  alive registry && alive auth-registry && return
  have docker-registry || { skip docker-registry "it is not installed"; return; }
  if [ ! -s "$dir/password" ]; then
    (umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$dir/password")
  fi
  htpasswd -inB "$auth_user" <"$dir/password" >"$run/htpasswd"
  registry_config "$registry" >"$run/registry.yml"
  registry_config "$auth_registry" "$run/htpasswd" >"$run/auth-registry.yml"
  spawn registry docker-registry serve "$run/registry.yml"
  spawn auth-registry docker-registry serve "$run/auth-registry.yml"
  local address
  for address in "$registry" "$auth_registry"; do
    wait_until 20 within curl --silent --max-time 2 "http://$address/v2/" ||
      { skip docker-registry "nothing answers on $address"; return; }
  done
  push
}

# Puts every image into the registries' store, once for each version of them.
push() {
  [ "$(cat "$dir/registry.images" 2>/dev/null)" != "$images" ] || return 0
  local name archive
  for name in busybox user service debian pull; do
    archive=images
    [ "$name" != pull ] || archive=pull
    within skopeo copy --quiet --insecure-policy --dest-tls-verify=false \
      "docker-archive:$images/$archive.tar:shellport-test/$name:1" \
      "docker://$registry/shellport-test/$name:1"
  done
  echo "$images" >"$dir/registry.images"
}

# ---- images ----------------------------------------------------------------------------------------

# Sets $images, the directory of the images' archives, and makes them when there are none.
make_images() {
  local key old
  key=$(sha256sum <"$tools/images.sh")
  images=$dir/images-${key:0:12}
  [ ! -e "$images/pull.tar" ] || return 0
  for old in "$dir"/images-*; do
    [ "$old" = "$images" ] || rm -rf "$old"
  done
  say "making the test images (once)"
  "$tools/images.sh" "$images"
}

# ---- up, env, status -------------------------------------------------------------------------------

write_env() {
  {
    echo "export SHELLPORT_TEST_DIR='$dir'"
    alive dockerd && echo "export SHELLPORT_TEST_DOCKER='unix://$docker_sock'"
    alive oci-namespace && echo "export SHELLPORT_TEST_OCI_NAMESPACE='/proc/$(pid_of oci-namespace)/ns/net'"
    alive podman && echo "export SHELLPORT_TEST_PODMAN='unix://$podman_sock'"
    if alive registry && alive auth-registry; then
      echo "export SHELLPORT_TEST_REGISTRY='$registry'"
      echo "export SHELLPORT_TEST_AUTH_REGISTRY='$auth_registry'"
      echo "export SHELLPORT_TEST_AUTH_USER='$auth_user'"
      echo "export SHELLPORT_TEST_AUTH_PASSWORD='$(cat "$dir/password")'"
    fi
  } >"$dir/env" || true
  chmod 600 "$dir/env"
}

up() {
  if [ "$(id -u)" != 0 ]; then
    skip dockerd "not root"
    skip podman "not root"
  elif ! start_namespace; then
    skip dockerd "no namespace: $(tail -n 1 "$dir/namespace.log")"
    skip podman "no namespace"
  else
    make_images
    # What runs already under these names is no leak of the tests to come.
    [ -e "$run/before" ] || { pgrep -x shellport; pgrep -x shellport-agent; pgrep -x slirp4netns; pgrep -x fuse-overlayfs; } >"$run/before" || true
    start_oci_namespace
    start_docker
    start_podman
    start_registries
  fi
  write_env
  cat "$dir/env"
}

status() {
  local name pid
  for name in namespace oci-namespace dockerd podman registry auth-registry; do
    if pid=$(pid_of "$name"); then echo "$name: up, pid $pid"; else echo "$name: down"; fi
  done
}

run_beside() {
  if [ -e "$dir/env" ]; then
    # shellcheck source=/dev/null
    . "$dir/env"
  fi
  if alive namespace; then within "$@"; else "$@"; fi
}

# ---- down ------------------------------------------------------------------------------------------

# empty SOCKET: removes an engine's containers, networks and volumes; all of them are the tests'.
empty() {
  local container
  ping "$1" >/dev/null 2>&1 || return 0
  for container in $(api "$1" GET '/containers/json?all=true' | grep -oE '"Id":"[0-9a-f]{64}"' | cut -d'"' -f4); do
    api "$1" DELETE "/containers/$container?force=true&v=true" >/dev/null || true
  done
  api "$1" POST /networks/prune >/dev/null || true
  api "$1" POST /volumes/prune >/dev/null || true
}

# Prints the processes that live in the mount namespace: daemons, shims, and what tests left.
inhabitants() {
  local namespace=$1 link
  for link in /proc/[0-9]*/ns/mnt; do
    [ "$(readlink "$link" 2>/dev/null)" != "$namespace" ] || echo "${link//[^0-9]/}"
  done
}

# Kills what is left in the namespaces and, first, the children of it that have namespaces of their
# own: a container outlives the shim above it.
clear_namespace() {
  local holder namespace pid
  holder=$(pid_of namespace) || return 0
  namespace=$(readlink "/proc/$holder/ns/mnt")
  for pid in $(inhabitants "$namespace"); do
    pkill -KILL -P "$pid" || true
  done
  for pid in $(inhabitants "$namespace"); do
    [ "$pid" = "$holder" ] || kill -KILL "$pid" 2>/dev/null || true
  done
  kill -KILL "$holder" 2>/dev/null || true
  wait_until 5 gone namespace || true
}

# Cgroups that hold a process, or another engine's, cannot be removed and stay.
remove_cgroups() {
  local parent
  for parent in "$cgroup" libpod_parent; do
    find /sys/fs/cgroup -depth -type d -path "*/$parent*" -exec rmdir {} + 2>/dev/null || true
  done
}

down() {
  [ -d "$run" ] || return 0
  empty "$docker_sock"
  empty "$podman_sock"
  local name
  for name in oci-namespace podman dockerd auth-registry registry; do
    stop "$name"
  done
  clear_namespace
  [ "$(id -u)" != 0 ] || remove_cgroups
  rm -rf "$run" "$dir/env"
}

# Two at once would take each other's engines for dead.
lock() {
  mkdir -p "$dir"
  exec 9>"$dir/lock"
  flock --wait 600 9
}

case ${1:-} in
  up) lock; up ;;
  down) lock; down ;;
  env) cat "$dir/env" ;;
  status) status ;;
  exec) shift; run_beside "$@" ;;
  *) say "usage: tools/engines.sh up|env|status|exec CMD...|down"; exit 2 ;;
esac
