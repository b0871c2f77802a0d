#!/usr/bin/env bash
# Runs what depends on the version of TFX (tests/run.sh tfx) with TFX 1.21, on a machine whose own C library is too old for it: in a
# Debian 13 that debootstrap makes below the state folder, from the package sources of this machine. Needs root.
#   tests/debian13.sh [COMMAND...]
# Folders of the project have the same paths in there, so that a store and artifacts that this machine's TFX 1.16 has made are found.
set -euo pipefail
cd "$(dirname "$0")/.."
state=${TFX_STATE:-$PWD/.state}
root=$state/debian13
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
if [ "$(id -u)" != 0 ]; then say "tests/debian13.sh needs root, for chroot"; exit 1; fi
if [ ! -x "$root/usr/bin/make" ]; then
  tests/services/debian.sh debootstrap "$state/services/debootstrap"
  debootstrap=$state/services/debootstrap/start
  [ -x "$debootstrap" ] || debootstrap=debootstrap
  sources=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true)
  mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] *\)\?\(http[^ ]*\).*/\2/p' <<<"$sources" | sed -n 1p)
  [ -n "$mirror" ] || { say "no package source of this machine is in /etc/apt/sources.list or below sources.list.d"; exit 1; }
  say "making a Debian 13 in ${root#"$PWD/"}"
  "$debootstrap" --variant=minbase --include=ca-certificates,git,make,procps,python3,python3-venv trixie "$root" "$mirror" >"$state/debian13.log" 2>&1 ||
    { tail -n 20 "$state/debian13.log" >&2; exit 1; }
fi
# What this machine knows of the network, and of the certificates that it trusts.
cp /etc/resolv.conf /etc/hosts "$root/etc/"
if [ -e /etc/pip.conf ]; then cp /etc/pip.conf "$root/etc/"; fi
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
mounted=()
trap 'for folder in "${mounted[@]}"; do umount --lazy "$folder"; done' EXIT
mount_into() { # folder
  mkdir -p "$root$1"
  mount --rbind "$1" "$root$1"
  mount --make-rslave "$root$1"
  mounted=("$root$1" "${mounted[@]}")
}
mount_into /proc
mount_into /dev
mount_into "$PWD"
case $state in "$PWD"/*) ;; *) mount_into "$state" ;; esac
old=$state/debian13-old
if [ ! -e "$old-made/done" ]; then
  say "one run of the taxi pipeline with this machine's TFX"
  rm -rf "$old" "$old-made"
  "$state/airflow/bin/python" -m tests.old_home "$old" >"$state/debian13-old.log" 2>&1 || { tail -n 20 "$state/debian13-old.log" >&2; exit 1; }
  cp -a "$old" "$old-made"
  touch "$old-made/done"
fi
# As it was made, where it was made: the tests go on in it.
rm -rf "$old"
cp -a "$old-made" "$old"
environment=(HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  TFX_STATE="$state/debian13-state" OLD_HOME="$old" CI="${CI:-}"
  SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt)
for name in $(compgen -e | grep -E '^(UV|PIP)_.*INDEX' || true); do environment+=("$name=${!name}"); done
[ $# != 0 ] || set -- make test-tfx
chroot "$root" env -i "${environment[@]}" bash -c 'cd "$0" && exec "$@"' "$PWD" "$@"
