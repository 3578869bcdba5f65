#!/usr/bin/env bash
# Holds a server against its own description: schemathesis makes requests from the document, right ones
# and wrong ones, and looks at each answer. Sandboxes are of the runtime `oci` and the image `host`.
#
#   tools/api-check.sh install    bring schemathesis, into target/tools
#   tools/api-check.sh run        start a server, and check it; beside the tests' engines, where nothing
#                                 reaches a registry
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly wanted=tools/api-check venv=target/tools/api-check listen=127.0.0.1:18023

install() {
  [ "$(cat "$venv/stamp" 2>/dev/null)" = "$(sha256sum "$wanted/requirements.txt")" ] && return
  rm -rf "$venv"
  python3 -m venv "$venv" &&
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted/requirements.txt" &&
    sha256sum "$wanted/requirements.txt" >"$venv/stamp" && return
  echo "skip: schemathesis cannot be installed" >&2
}

run() {
  local data code=0
  if [ ! -e "$venv/stamp" ] || [ "$(id -u)" != 0 ]; then
    echo "skip: the check of the API needs schemathesis, and makes sandboxes as root" >&2
    return
  fi
  data=$(mktemp -d "${TMPDIR:-/tmp}/shellport-test-XXXXXX")
  target/release/shellport serve --runtime oci --default-image host --data-dir "$data" --listen "$listen" \
    --max-sessions 60 --default-memory 256m --max-memory 512m --max-exec 20s --max-ttl 60m \
    >"$data/log" 2>&1 &
  server=$!
  # shellcheck disable=SC2064
  trap "stop '$data'" EXIT
  for _ in $(seq 100); do [ ! -e "$data/token" ] || ! answers || break; sleep 0.1; done
  export TOKEN API=http://$listen/api/v1
  TOKEN=$(cat "$data/token")
  # The token is in a variable, not among the arguments.
  PYTHONPATH=$wanted SCHEMATHESIS_HOOKS=api_hooks timeout 900 "$venv/bin/schemathesis" \
    --config-file "$wanted/schemathesis.toml" run "$API/openapi.json" \
    --checks all --generation-database none --no-color \
    --phases examples,coverage,fuzzing,stateful --max-examples "${API_CHECK_EXAMPLES:-10}" || code=$?
  return "$code"
}

answers() { curl --silent --fail --max-time 2 "http://$listen/healthz" >/dev/null; }

# A request to the API. The token is not among the arguments, which others can see.
ask() {
  printf 'header = "Authorization: Bearer %s"\n' "$TOKEN" | curl --silent --config - --max-time 60 "$@"
}

# Sandboxes outlive a server: they go before it.
stop() {
  local id
  trap - EXIT
  for id in $(ask "$API/sessions?limit=200" | grep -o '"id":"[^"]*' | cut -d'"' -f4); do
    ask --request DELETE "$API/sessions/$id" || true
  done
  kill "$server" 2>/dev/null || true
  wait "$server" || true
  rm -rf "$1"
}

case ${1:-} in
  install | run) "$1" ;;
  *)
    echo "usage: tools/api-check.sh install|run" >&2
    exit 2
    ;;
esac
