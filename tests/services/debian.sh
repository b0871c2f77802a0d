#!/usr/bin/env bash
# Provides a program for tests, `debian.sh mariadb|chromium|redis|docker|debootstrap FOLDER`: the machine's own, else one from its package sources, unpacked
# below the folder with all that it needs and the machine lacks, and run by FOLDER/start. Nothing is installed, set up or started,
# for root neither. Where it cannot, it says so in one line that names the cure, and ends with 3.
set -euo pipefail
program=$1 folder=$2
log=$folder/apt.log
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
give_up() {
  [ ! -s "$log" ] || tail -n 20 "$log" >&2
  rm -rf "$folder/new" "$folder/apt"
  say "no $program: $*. Tests that need it are skipped (in CI that is a failure); install it with the package manager of this machine (Debian: apt-get install $debian)."
  exit 3
}
case $program in
  mariadb) debian=mariadb-server unpacked=usr/sbin/mariadbd parts=(mariadb-server-core mariadb-client-core) ;;
  # A font, or pages have boxes for letters.
  chromium) debian=chromium unpacked=usr/lib/chromium/chromium parts=(chromium fonts-dejavu-core) ;;
  redis) debian=redis-server unpacked=usr/bin/redis-server parts=(redis-server) ;;
  docker) debian=docker.io unpacked=usr/sbin/dockerd parts=(docker.io) ;;
  debootstrap) debian=debootstrap unpacked=usr/sbin/debootstrap parts=(debootstrap) ;;
  *) echo "usage: debian.sh mariadb|chromium|redis|docker|debootstrap FOLDER" >&2; exit 2 ;;
esac

# A program that is there and does not start, for want of a library, is not there.
starts() { "$@" --version >/dev/null 2>&1; }
is_there() {
  case $program in
    # Beside the server, what makes its data folder; Debian has a part of that in the client's package.
    mariadb)
      command -v mariadb-install-db >/dev/null && command -v my_print_defaults >/dev/null &&
        starts "$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mariadbd || echo mariadbd)"
      ;;
    chromium) command -v chromium >/dev/null && starts chromium ;;
    redis) starts redis-server ;;
    docker) starts dockerd ;;
    debootstrap) starts debootstrap ;;
  esac
}
if is_there; then
  rm -f "$folder/start"
  exit 0
fi
if starts "$folder/start"; then exit 0; fi
command -v apt-get >/dev/null || give_up "this machine has no apt-get to fetch it with"

mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
# Lists and archives of this folder's own; what the machine has installed is read from the machine.
options=(--quiet --quiet -o Dir::State="$folder/apt" -o Dir::Cache="$folder/apt" -o Debug::NoLocking=true
  -o APT::Sandbox::User=root)
say "fetching $debian from the package sources of this machine, into $folder"
# A source that cannot be read need not be the one that has it.
apt-get "${options[@]}" update >"$log" 2>&1 || true
packages=()
for part in "${parts[@]}"; do
  case $part in # Ubuntu has the version in the name
    mariadb-*) packages+=("$(apt-cache "${options[@]}" pkgnames "$part" | sort --version-sort | tail -n 1)") ;;
    *) packages+=("$(apt-cache "${options[@]}" pkgnames "$part" | grep -Fx "$part" || true)") ;;
  esac
  [ -n "${packages[-1]}" ] || give_up "the package sources of this machine have no $part"
done
# What one of them needs and is not installed comes along; what is merely nice to have does not.
apt-get "${options[@]}" --yes --no-install-recommends --reinstall --download-only install "${packages[@]}" >>"$log" 2>&1 ||
  give_up "apt-get could not download ${packages[*]} and what they need"
rm -rf "$folder/new"
# One folder for libraries, as on a machine where /lib is a link: Debian 12 still has packages with files in /lib.
mkdir -p "$folder/new/usr/lib"
ln -s usr/lib "$folder/new/lib"
for archive in "$folder"/apt/archives/*.deb; do
  case ${archive##*/} in libc6_* | libc-bin_*) continue ;; esac # beside the machine's own loader, no other can work
  dpkg-deb --fsys-tarfile "$archive" | tar --extract --keep-directory-symlink --no-same-owner --directory="$folder/new" ||
    give_up "${archive##*/} could not be unpacked"
done
rm -rf "$folder/usr" "$folder/etc"
mv "$folder/new/usr" "$folder/usr"
[ ! -d "$folder/new/etc" ] || mv "$folder/new/etc" "$folder/etc"
rm -rf "$folder/new" "$folder/apt"

# What runs the program where it lies. Its libraries are wherever packages would have linked them from.
cat >"$folder/fonts.conf" <<END
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>$folder/usr/share/fonts</dir>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <cachedir>$folder/fonts</cachedir>
</fontconfig>
END
cat >"$folder/start" <<END
#!/bin/sh
export LD_LIBRARY_PATH="$(find "$folder/usr/lib" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd:)"
export FONTCONFIG_FILE="$folder/fonts.conf"
export DEBOOTSTRAP_DIR="$folder/usr/share/debootstrap"
exec "$folder/$unpacked" "\$@"
END
chmod +x "$folder/start"
"$folder/start" --version >>"$log" 2>&1 || give_up "what was unpacked does not start"
