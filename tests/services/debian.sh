#!/usr/bin/env bash
# Provides a program for tests, `debian.sh mariadb|chromium FOLDER`: the machine's own, else one from its package sources. Root
# installs it; any other user gets it unpacked below the folder. Only the packages with the programs: nothing sets up a
# service, and nothing starts.
set -euo pipefail
program=$1 folder=$2
log=$folder/apt.log
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() {
  [ ! -f "$log" ] || tail -n 20 "$log" >&2
  printf 'setup: %s; install %s with the package manager of this machine (Debian: apt-get install %s).\n' "$*" "$program" "$debian" >&2
  exit 1
}

is_there() {
  local found
  case $program in
    # Beside the server, what makes its data folder; Debian has a part of that in the client's package.
    mariadb)
      command -v mariadb-install-db >/dev/null && command -v my_print_defaults >/dev/null || return 1
      for found in "$(command -v mariadbd || true)" /usr/sbin/mariadbd; do
        if [ -n "$found" ] && [ -x "$found" ]; then return 0; fi
      done
      return 1
      ;;
    chromium) command -v chromium >/dev/null ;;
  esac
}

case $program in
  mariadb) debian=mariadb-server unpacked=usr/sbin/mariadbd parts=(mariadb-server-core mariadb-client-core) ;;
  # A font, or pages have boxes for letters.
  chromium) debian=chromium unpacked=usr/lib/chromium/chromium parts=(chromium fonts-dejavu-core) ;;
  *) echo "usage: debian.sh mariadb|chromium FOLDER" >&2; exit 2 ;;
esac
if is_there || [ -x "$folder/$unpacked" ]; then exit 0; fi
command -v apt-get >/dev/null || die "no $program for the tests, and no apt-get to fetch it with"

export DEBIAN_FRONTEND=noninteractive
mkdir -p "$folder"
options=(--quiet --quiet)
if [ "$(id -u)" != 0 ]; then
  # Lists and archives of this user's own; what the machine has installed is read from the machine.
  mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
  options+=(-o Dir::State="$folder/apt" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$folder/apt" -o Debug::NoLocking=true)
fi
say "fetching $debian from the package sources of this machine"
# A source that cannot be read need not be the one that has it.
apt-get "${options[@]}" update >"$log" 2>&1 || true
packages=()
for part in "${parts[@]}"; do
  case $part in # Ubuntu has the version in the name
    mariadb-*) packages+=("$(apt-cache "${options[@]}" pkgnames "$part" | sort --version-sort | tail -n 1)") ;;
    *) packages+=("$(apt-cache "${options[@]}" pkgnames "$part" | grep -Fx "$part" || true)") ;;
  esac
  [ -n "${packages[-1]}" ] || die "the package sources of this machine have no $part"
done
install=(apt-get "${options[@]}" --yes install --no-install-recommends)
if [ "$(id -u)" = 0 ]; then
  "${install[@]}" "${packages[@]}" >>"$log" 2>&1 || die "apt-get could not install ${packages[*]}"
  exit 0
fi
"${install[@]}" --reinstall --download-only "${packages[@]}" >>"$log" 2>&1 || die "apt-get could not download ${packages[*]}"
rm -rf "$folder/new"
mkdir "$folder/new"
for archive in "$folder"/apt/archives/*.deb; do
  dpkg-deb --extract "$archive" "$folder/new" || die "$archive could not be unpacked"
done
rm -rf "$folder/usr" "$folder/etc"
mv "$folder/new/usr" "$folder/usr"
[ ! -d "$folder/new/etc" ] || mv "$folder/new/etc" "$folder/etc"
rm -rf "$folder/new" "$folder/apt"
