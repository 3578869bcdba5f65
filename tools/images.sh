#!/usr/bin/env bash
# Makes the tests' images, without an engine and without a registry, as archives that every engine
# can load: images.tar (what the engines get) and pull.tar (what only the registries get).
#
#   shellport-test/busybox:1   busybox and its applets; users root and app (1000)
#   shellport-test/user:1      USER app, ENV FOO=bar, WORKDIR /srv
#   shellport-test/service:1   its command is not a shell: it writes a line a second to /tmp/service.log
#   shellport-test/debian:1    Debian with bash, apt, and a package repository of its own in /srv/apt
#   shellport-test/pull:1      six layers of several megabytes
#
# usage: tools/images.sh DIRECTORY   (as root)
set -euo pipefail

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
umask 022
out=$(realpath -m "$1")
readonly out
mkdir -p "$out"
work=$(mktemp -d "$out/work.XXXXXX")
readonly work
trap 'rm -rf "$work"' EXIT

arch() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
  esac
}

# layer NAME: packs $work/NAME into the archive directory and prints the layer's digest.
layer() {
  local file digest
  file=$work/$1.tar
  tar --sort=name --mtime=@0 --numeric-owner -C "$work/$1" -cf "$file" .
  digest=$(sha256sum <"$file")
  digest=${digest%% *}
  mv "$file" "$archive/$digest.tar"
  echo "$digest"
}

# image TAG CONFIG DIGEST...: adds an image of these layers, with this JSON as its configuration.
image() {
  local tag=$1 config=$2 diffs layers json digest
  shift 2
  printf -v diffs '"sha256:%s",' "$@"
  printf -v layers '"%s.tar",' "$@"
  json=$(printf '{"architecture":"%s","os":"linux","created":"2026-01-01T00:00:00Z","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]}}' \
    "$(arch)" "$config" "${diffs%,}")
  digest=$(printf '%s' "$json" | sha256sum)
  digest=${digest%% *}
  printf '%s' "$json" >"$archive/$digest.json"
  manifests+=("{\"Config\":\"$digest.json\",\"RepoTags\":[\"shellport-test/$tag\"],\"Layers\":[${layers%,}]}")
}

new_archive() {
  archive=$work/archive-$1
  manifests=()
  mkdir "$archive"
}

close_archive() {
  local list
  printf -v list '%s,' "${manifests[@]}"
  printf '[%s]' "${list%,}" >"$archive/manifest.json"
  tar -C "$archive" -cf "$out/$1.tar.part" .
  mv "$out/$1.tar.part" "$out/$1.tar"
}

make_busybox() {
  local tree=$work/busybox applet
  mkdir -p "$tree"/{bin,dev,etc,home/app,proc,root,srv,sys,tmp,usr/bin,var/tmp}
  cp "$(command -v busybox)" "$tree/bin/busybox"
  for applet in $(busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$tree/bin/$applet"
  done
  ln -s ../../bin/env "$tree/usr/bin/env"
  printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n' >"$tree/etc/passwd"
  printf 'root:x:0:\napp:x:1000:\n' >"$tree/etc/group"
  chmod 700 "$tree/root"
  chmod 1777 "$tree/tmp" "$tree/var/tmp"
  chown 1000:1000 "$tree/home/app"
}

make_service() {
  mkdir -p "$work/service/usr/local/bin"
  cat >"$work/service/usr/local/bin/service" <<'SERVICE'
#!/bin/sh
# Writes a line a second, for a day at most, and says when it is told to stop.
trap 'echo stopped >>/tmp/service.log; exit 0' TERM INT
n=0
while [ "$n" -lt 86400 ]; do
  n=$((n + 1))
  echo "tick $n $*" >>/tmp/service.log
  sleep 1 &
  wait $!
done
SERVICE
  chmod 755 "$work/service/usr/local/bin/service"
}

# A package that needs what a real one needs: it makes a user and a directory that belongs to it.
make_package() {
  local tree=$work/package repo=$1 deb
  mkdir -p "$tree/DEBIAN" "$tree/usr/bin" "$repo"
  printf '#!/bin/sh\necho hello from a package\n' >"$tree/usr/bin/shellport-hello"
  cat >"$tree/DEBIAN/control" <<'CONTROL'
Package: shellport-hello
Version: 1.0
Architecture: all
Maintainer: Shellport tests <tests@shellport.invalid>
Description: what the tests install
CONTROL
  cat >"$tree/DEBIAN/postinst" <<'POSTINST'
#!/bin/sh
set -e
id hello >/dev/null 2>&1 || useradd --system --home-dir /var/lib/hello hello
mkdir -p /var/lib/hello
chown hello: /var/lib/hello
chmod 2750 /var/lib/hello
POSTINST
  chmod 755 "$tree/usr/bin/shellport-hello" "$tree/DEBIAN/postinst"
  deb=$repo/shellport-hello_1.0_all.deb
  dpkg-deb --root-owner-group -b "$tree" "$deb" >/dev/null
  {
    cat "$tree/DEBIAN/control"
    echo "Filename: ./$(basename "$deb")"
    echo "Size: $(stat -c %s "$deb")"
    echo "SHA256: $(sha256sum <"$deb" | cut -d' ' -f1)"
  } >"$repo/Packages"
}

make_debian() {
  local tree=$work/debian
  debootstrap --variant=minbase bookworm "$tree" >"$out/debootstrap.log" 2>&1 ||
    { tail -n 3 "$out/debootstrap.log" >&2; return 1; }
  rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/* "${tree:?}"/dev/* \
    "$tree"/usr/share/{doc,info,locale,man}/*
  chroot "$tree" useradd --create-home --uid 1000 --shell /bin/bash app
  make_package "$tree/srv/apt"
  echo 'deb [trusted=yes] file:/srv/apt ./' >"$tree/etc/apt/sources.list"
  # The host's name and resolver are the engine's to write.
  : >"$tree/etc/hostname"
  : >"$tree/etc/resolv.conf"
}

readonly path_env='"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"'

new_archive images
make_busybox
make_service
busybox=$(layer busybox)
image busybox:1 "{\"Env\":[$path_env],\"Cmd\":[\"/bin/sh\"]}" "$busybox"
image user:1 "{\"User\":\"app\",\"Env\":[$path_env,\"FOO=bar\"],\"WorkingDir\":\"/srv\",\"Cmd\":[\"/bin/sh\"]}" "$busybox"
image service:1 "{\"Env\":[$path_env],\"Entrypoint\":[\"/usr/local/bin/service\"],\"Cmd\":[\"from\",\"cmd\"]}" \
  "$busybox" "$(layer service)"
make_debian
image debian:1 "{\"Env\":[$path_env],\"Cmd\":[\"bash\"]}" "$(layer debian)"
close_archive images

busybox_tar=$archive/$busybox.tar
new_archive pull
cp "$busybox_tar" "$archive/"
blobs=()
for n in 1 2 3 4 5; do
  mkdir -p "$work/blob$n/srv"
  # Random, so that no engine can make it smaller or have it already.
  head -c 3000000 /dev/urandom >"$work/blob$n/srv/blob$n"
  blobs+=("$(layer "blob$n")")
done
image pull:1 "{\"Env\":[$path_env],\"Cmd\":[\"/bin/sh\"]}" "$busybox" "${blobs[@]}"
close_archive pull
