#!/usr/bin/env bash
# Builds one static program: `systemd/build.sh TARGET [cargo options]`. Installs what that needs and is not there.
#
#   x86_64-unknown-linux-musl, aarch64-unknown-linux-musl: cargo build; the linker comes with Rust, and a C compiler is
#       needed for the cryptography of `tls` alone (Debian: gcc, gcc-aarch64-linux-gnu)
#   armv7-unknown-linux-musleabihf, arm-unknown-linux-musleabihf: cargo zigbuild, because no Debian compiler makes code
#       for ARMv6 (PyPI: ziglang, cargo-zigbuild)
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?usage: systemd/build.sh TARGET [cargo options]}
shift
# Nothing of this machine in the program, so that the same source gives the same bytes anywhere.
flags="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$PWD=/mini-dag"
case $target in
*-linux-musl)
  rustup target list --installed | grep -qx "$target" || rustup target add "$target"
  if [ "$target" = aarch64-unknown-linux-musl ] && ! command -v aarch64-linux-gnu-gcc >/dev/null; then
    apt-get install -qy gcc-aarch64-linux-gnu libc6-dev-arm64-cross
  fi
  RUSTFLAGS=$flags cargo build --release --target "$target" "$@"
  ;;
*-linux-musleabihf)
  tools=$PWD/target/zig
  if [ ! -x "$tools/bin/cargo-zigbuild" ]; then
    python3 -m venv "$tools" && "$tools/bin/pip" install -q ziglang==0.17.1 cargo-zigbuild==0.24.0
  fi
  export PATH=$tools/bin:$PATH
  if rustup target list --installed | grep -qx "$target" || rustup target add "$target" 2>/dev/null; then
    RUSTFLAGS=$flags cargo zigbuild --release --target "$target" "$@"
  else
    # Where the ready-made standard library cannot be had, it is built, too.
    rustup component add rust-src
    RUSTFLAGS="$flags -C link-self-contained=no" RUSTC_BOOTSTRAP=1 \
      cargo zigbuild -Z build-std=std,panic_unwind --release --target "$target" "$@"
  fi
  ;;
*) echo "build.sh: no target of ours: $target" >&2; exit 2 ;;
esac
