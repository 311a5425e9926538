#!/usr/bin/env bash
# Builds static programs and makes of each a Debian package and a tarball with install.sh, in target/package/.
#   systemd/package.sh [TARGET…]        all four targets unless some are named
#   x86_64-unknown-linux-musl  aarch64-unknown-linux-musl  armv7-unknown-linux-musleabihf  arm-unknown-linux-musleabihf
# The last is for every 32-bit Pi, the Zero too, and is Debian's armhf; the one before it comes as a tarball only.
#   PROFILE=release               a program that unwinds, and is larger: see Cargo.toml
set -euo pipefail
cd "$(dirname "$0")/.."
targets=("$@")
[ ${#targets[@]} -gt 0 ] ||
  targets=({x86_64,aarch64}-unknown-linux-musl {armv7,arm}-unknown-linux-musleabihf)
out=target/package
profile=${PROFILE:-small}
place=${CARGO_TARGET_DIR:-target}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
command -v cargo-deb >/dev/null || cargo install cargo-deb --version 3.8.0 --locked

# Manual pages and completions come from the program itself, so from one that runs here.
cargo build --quiet
rm -rf "$out/man" "$out/completions"
mkdir -p "$out/man" "$out/completions"
"$place/debug/mini-dag" man "$out/man"
"$place/debug/mini-dag" completions bash >"$out/completions/mini-dag.bash"
"$place/debug/mini-dag" completions zsh >"$out/completions/_mini-dag"
"$place/debug/mini-dag" completions fish >"$out/completions/mini-dag.fish"
{
  printf 'mini-dag (%s-1) unstable; urgency=low\n\n  * See CHANGELOG.md.\n\n' "$version"
  printf ' -- mini-dag maintainers <maintainers@mini-dag.dev>  %s\n' "$(date -R -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}")"
} >"$out/changelog"

for target in "${targets[@]}"; do
  systemd/build.sh "$target" build --profile "$profile"
  built=$place/$target/$profile/mini-dag
  if [ "$target" != armv7-unknown-linux-musleabihf ]; then
    cargo deb --quiet --no-build --no-strip --profile "$profile" --target "$target" --output "$out/"
  fi
  name=mini-dag-$version-$target
  rm -rf "${out:?}/$name"
  mkdir -p "$out/$name"
  cp -r "$built" README.md CHANGELOG.md LICENSE systemd dags "$out/man" "$out/completions" "$out/$name/"
  mv "$out/$name/systemd/install.sh" "$out/$name/"
  rm -r "$out/$name/systemd/debian" "$out/$name/systemd/package.sh" "$out/$name/systemd/build.sh" "$out/$name/systemd/small.ld" "$out/$name"/dags/*.rs
  tar -C "$out" --owner=0 --group=0 --sort=name -czf "$out/$name.tar.gz" "$name"
  rm -r "${out:?}/$name"
done
ls -l "$out"/*.deb "$out"/*.tar.gz
