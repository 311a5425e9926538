#!/usr/bin/env bash
# Unpacks packages of Debian's for an architecture, and installs nothing. For `linux-image-…`, which names the newest kernel,
# it unpacks that.
#   tests/unpack.sh ARCHITECTURE DIRECTORY PACKAGE…
# Exits with 3, and says why, where they cannot be had.
set -euo pipefail
arch=${1:?usage: tests/unpack.sh ARCHITECTURE DIRECTORY PACKAGE…} into=$2
shift 2
missing() { echo "unpack.sh: $1" >&2; exit 3; }
for tool in apt-get dpkg-deb; do command -v $tool >/dev/null || missing "there is no $tool"; done
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
mkdir -p "$place"/{lists/partial,packages} "$into"
# With lists of packages of its own, because this machine's may be of another architecture.
apt=(-o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State::Lists="$place/lists"
  -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Dir::State::status=/dev/null)
apt-get "${apt[@]}" update -qq >/dev/null 2>&1 || true
for package; do
  case $package in
  linux-image-*) package=$(apt-cache "${apt[@]}" depends "$package" 2>/dev/null | awk '/Depends:/ { print $2; exit }') ;;
  esac
  (cd "$place/packages" && apt-get "${apt[@]}" download -qq "$package" >/dev/null 2>&1) ||
    missing "Debian's package ${package:-of a kernel} for $arch cannot be had"
done
for package in "$place"/packages/*.deb; do dpkg-deb -x "$package" "$into"; done
