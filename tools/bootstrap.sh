#!/usr/bin/env bash
# Checks for what `make serve` or `make test` needs. As root on Debian or Ubuntu it installs the
# packages that are missing; anywhere else it names everything missing in one line and ends with 1.
set -euo pipefail

readonly purpose=${1:-serve}
# Debian keeps dockerd, debootstrap and iptables in sbin, which an ordinary user's PATH may lack.
PATH=$HOME/.cargo/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

# What must be there, and the Debian package that brings it: a command, or a path when it is no
# command of PATH.
serve_needs=(
  cc:gcc
  /usr/include/stdlib.h:libc6-dev
  make:make
  curl:curl
  /usr/include/seccomp.h:libseccomp-dev
)
# Shellport makes containers by itself; these give them networks.
engine_needs=(
  /usr/lib/podman/netavark:netavark
  iptables:iptables
)
test_needs=(
  "${serve_needs[@]}"
  flock:util-linux
  pgrep:procps
  ip:iproute2
  iptables:iptables
  runc:runc
  crun:crun
  newuidmap:uidmap
  slirp4netns:slirp4netns
  fuse-overlayfs:fuse-overlayfs
  mkfs.ext4:e2fsprogs
  losetup:mount
  dockerd:docker.io
  podman:podman
  /usr/lib/podman/netavark:netavark
  /usr/lib/podman/aardvark-dns:aardvark-dns
  busybox:busybox-static
  docker-registry:docker-registry
  htpasswd:apache2-utils
  skopeo:skopeo
  umoci:umoci
  debootstrap:debootstrap
  /usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring
  python3:python3
  /usr/share/python-wheels:python3-venv
  chromium:chromium
)

have() {
  case $1 in
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

# Prints the packages behind whatever is missing.
missing_packages() {
  local need
  for need in "$@"; do
    have "${need%%:*}" || echo "${need#*:}"
  done
}

# The images are made from a busybox that needs no libraries; Debian's other package has the same
# command.
busybox_is_static() {
  have busybox && ! ldd "$(command -v busybox)" >/dev/null 2>&1
}

# Rust and Node are not taken from Debian, whose versions are too old.
missing_toolchains() {
  have cargo || echo "Rust with cargo"
  local major=0
  if have node; then
    major=$(node --version)
    major=${major#v}
    major=${major%%.*}
  fi
  [ "$major" -ge 20 ] || echo "Node 20 or newer"
  have npm || echo "npm"
}

can_install() {
  [ "$(id -u)" = 0 ] && have apt-get && grep -qE '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release
}

# Debian starts the daemons that it installs. The tests start their own, so the machine gets none.
start_nothing() {
  local policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] && return
  # shellcheck disable=SC2064 # the path is to be fixed now
  trap "rm -f $policy" EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

main() {
  local needs packages toolchains
  case $purpose in
    serve)
      needs=("${serve_needs[@]}")
      # Anybody else can only have what is there; the server says what is not.
      [ "$(id -u)" != 0 ] || "$(dirname "${BASH_SOURCE[0]}")/find-engine.sh" || needs+=("${engine_needs[@]}")
      ;;
    test) needs=("${test_needs[@]}") ;;
    *) echo "usage: tools/bootstrap.sh serve|test" >&2; exit 2 ;;
  esac

  mapfile -t packages < <(missing_packages "${needs[@]}")
  if [ "$purpose" = test ] && have busybox && ! busybox_is_static; then
    packages+=(busybox-static)
  fi
  mapfile -t toolchains < <(missing_toolchains)

  # Nothing is installed while a toolchain is absent: the command cannot go on anyway.
  if [ ${#toolchains[@]} -eq 0 ] && [ ${#packages[@]} -gt 0 ] && can_install; then
    echo "installing: ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    start_nothing
    apt-get -qq install -y --no-install-recommends "${packages[@]}" >/dev/null
    mapfile -t packages < <(missing_packages "${needs[@]}")
  fi

  if [ $((${#toolchains[@]} + ${#packages[@]})) -gt 0 ]; then
    local list
    printf -v list '%s, ' "${toolchains[@]}" "${packages[@]}"
    echo "missing for make $purpose: ${list%, }" >&2
    exit 1
  fi
}

main
