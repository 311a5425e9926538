#!/usr/bin/env bash
# Builds one static program: `systemd/build.sh TARGET [COMMAND…]`. Installs what that needs and is not there.
# COMMAND is what cargo is to do, `build --release` unless another is given, such as `test --lib`.
#
#   x86_64-unknown-linux-musl, aarch64-unknown-linux-musl: cargo; the linker comes with Rust, and a C compiler is
#       needed for the cryptography of `tls` alone (Debian: gcc, gcc-aarch64-linux-gnu)
#   armv7-unknown-linux-musleabihf, arm-unknown-linux-musleabihf: cargo-zigbuild, because no Debian compiler makes code
#       for ARMv6 (PyPI: ziglang, cargo-zigbuild)
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?usage: systemd/build.sh TARGET [COMMAND…]}
shift
[ $# -gt 0 ] || set -- build --release
# Nothing of this machine in the program, so that the same source gives the same bytes anywhere. (As a config, because
# RUSTFLAGS would hide the flags in .cargo/config.toml.)
remap="\"--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo\", \"--remap-path-prefix=$PWD=/mini-dag\""
# `--profile small` unwinds nothing.
small= panic=panic_unwind
[[ " $* " != *" small "* ]] || { small=', "-Cforce-unwind-tables=no"' panic=panic_abort; }
flags() { printf 'target.%s.rustflags=[%s]' "$target" "$1"; }
has_std() { rustup target list --installed | grep -qx "$target" || rustup target add "$target" 2>/dev/null; }

case $target in
*-linux-musl)
  has_std || { echo "build.sh: rustup has no $target" >&2; exit 3; }
  if [ "$target" = aarch64-unknown-linux-musl ] && ! command -v aarch64-linux-gnu-gcc >/dev/null; then
    apt-get install -qy gcc-aarch64-linux-gnu libc6-dev-arm64-cross >&2 || exit 3
  fi
  if [ -n "$small" ]; then
    small+=", \"-Clink-arg=--no-eh-frame-hdr\", \"-Clink-arg=$PWD/systemd/small.ld\""
  fi
  cargo "$@" --target "$target" --config "$(flags "$remap$small")"
  ;;
*-linux-musleabihf)
  tools=${MINI_DAG_ZIG:-$PWD/target/zig}
  if [ ! -x "$tools/bin/cargo-zigbuild" ]; then
    python3 -m venv "$tools" && "$tools/bin/pip" install -q ziglang==0.17.1 cargo-zigbuild==0.24.0 || exit 3
  fi
  export PATH=$tools/bin:$PATH
  [ "$1" != build ] || { shift && set -- zigbuild "$@"; }
  if has_std; then
    cargo-zigbuild "$@" --target "$target" --config "$(flags "$remap$small")"
  else
    # Where the ready-made standard library cannot be had, it is built, too.
    rustup component add rust-src >&2 || exit 3
    RUSTC_BOOTSTRAP=1 cargo-zigbuild "$@" -Z build-std=std,$panic --target "$target" \
      --config "$(flags "$remap$small, \"-Clink-self-contained=no\"")"
  fi
  ;;
*) echo "build.sh: no target of ours: $target" >&2; exit 2 ;;
esac
