#!/usr/bin/env bash
# Installs into target/bench/peers what `make bench` compares Shellport with: terminado from PyPI,
# WeTTY, node-pty and ws from npm, in the versions that backend/server/benches/peers names. What
# cannot be installed is told and left out.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly wanted=backend/server/benches/peers
readonly peers=target/bench/peers
mkdir -p "$peers"

# installed NAME FILE...: whether NAME was installed as these files say.
installed() {
  local name=$1
  shift
  [ "$(cat "$peers/$name.stamp" 2>/dev/null)" = "$(sha256sum "$@")" ]
}

remember() {
  local name=$1
  shift
  sha256sum "$@" >"$peers/$name.stamp"
}

from_npm() {
  local files=("$wanted/package.json" "$wanted/package-lock.json") headers
  installed npm "${files[@]}" && return
  cp "${files[@]}" "$peers"
  # node-pty is compiled; the headers of the node that is here need not be fetched.
  headers=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  [ ! -e "$headers/include/node/node.h" ] || export npm_config_nodedir=$headers
  npm ci --prefix "$peers" --no-audit --no-fund --loglevel=error &&
    remember npm "${files[@]}"
}

from_pypi() {
  installed pypi "$wanted/requirements.txt" && return
  python3 -m venv "$peers/venv" &&
    "$peers/venv/bin/pip" install --quiet --disable-pip-version-check \
      --requirement "$wanted/requirements.txt" &&
    remember pypi "$wanted/requirements.txt"
}

from_npm || {
  echo "skip: WeTTY and node-pty cannot be installed" >&2
  rm -rf "$peers/node_modules"
}
from_pypi || {
  echo "skip: terminado cannot be installed" >&2
  rm -rf "$peers/venv"
}
