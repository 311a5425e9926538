#!/usr/bin/env bash
# Builds one static program: `systemd/build.sh TARGET [COMMAND…]`. Installs what that needs and is not there.
# COMMAND is what cargo is to do, `build --profile small` unless another is given, such as `test --lib`.
#
# The profiles `small` and `tiny` build the standard library, too: for size, without tables for unwinding, and without
# what prints a backtrace. That asks the stable compiler for what is not stable yet; `--release` does not, where rustup
# has a library for the target.
#
#   x86_64-unknown-linux-musl, aarch64-unknown-linux-musl: cargo; the linker comes with Rust, and a C compiler is
#       needed for the cryptography of `tls` alone (Debian: gcc, gcc-aarch64-linux-gnu)
#   armv7-unknown-linux-musleabihf, arm-unknown-linux-musleabihf: cargo-zigbuild, because no Debian compiler makes code
#       for ARMv6 (PyPI: ziglang, cargo-zigbuild)
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?usage: systemd/build.sh TARGET [COMMAND…]}
shift
[ $# -gt 0 ] || set -- build --profile small
# Nothing of this machine in the program, so that the same source gives the same bytes anywhere. (As a config, because
# RUSTFLAGS would hide the flags in .cargo/config.toml.)
flags="\"--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo\", \"--remap-path-prefix=$PWD=/mini-dag\""
flags+=", \"--remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust=/rust\""
std=()
case " $* " in
*" small "*) flags+=', "-Cforce-unwind-tables=no"' ;;
*" tiny "*) flags+=', "-Cforce-unwind-tables=no", "-Zunstable-options", "-Cpanic=immediate-abort"' ;;
esac
# What is found twice in machine code is made a function, and looked for again in the result (arm64 alone does that).
case " $* " in *" small "* | *" tiny "*) flags+=', "-Cllvm-args=-machine-outliner-reruns=4"' ;; esac
case " $* " in *" small "* | *" tiny "*) std=(-Z build-std=std,panic_abort -Z build-std-features=optimize_for_size) ;; esac
has_target() { rustup target list --installed | grep -qx "$target" || rustup target add "$target" 2>/dev/null; }
build_std() { rustup component add rust-src >&2 || exit 3; export RUSTC_BOOTSTRAP=1; }
[ ${#std[@]} = 0 ] || build_std

case $target in
*-linux-musl)
  has_target || { echo "build.sh: rustup has no $target" >&2; exit 3; }
  if [ "$target" = aarch64-unknown-linux-musl ] && ! command -v aarch64-linux-gnu-gcc >/dev/null; then
    apt-get install -qy gcc-aarch64-linux-gnu libc6-dev-arm64-cross >&2 || exit 3
  fi
  [ ${#std[@]} = 0 ] || flags+=", \"-Clink-arg=--no-eh-frame-hdr\", \"-Clink-arg=$PWD/systemd/small.ld\""
  cargo "$1" "${std[@]}" --target "$target" --config "target.$target.rustflags=[$flags]" "${@:2}"
  ;;
*-linux-musleabihf)
  tools=${MINI_DAG_ZIG:-$PWD/target/zig}
  if [ ! -x "$tools/bin/cargo-zigbuild" ]; then
    python3 -m venv "$tools" && "$tools/bin/pip" install -q ziglang==0.17.1 cargo-zigbuild==0.24.0 || exit 3
  fi
  export PATH=$tools/bin:$PATH
  [ "$1" != build ] || { shift && set -- zigbuild "$@"; }
  if [ ${#std[@]} = 0 ] && ! has_target; then
    # Where the ready-made standard library cannot be had, it is built in any case.
    std=(-Z build-std=std,panic_unwind)
    build_std
  fi
  [ ${#std[@]} = 0 ] || flags+=', "-Clink-self-contained=no"'
  case " $* " in
  *" small "* | *" tiny "*)
    flags+=", \"-Clink-arg=-Wl,-T,$PWD/systemd/small.ld\""
    # Instructions of two bytes where they do: a quarter of the program. ARMv6 has too few of them.
    [ "$target" != armv7-unknown-linux-musleabihf ] || flags+=', "-Ctarget-feature=+thumb-mode"'
    ;;
  esac
  cargo-zigbuild "$1" "${std[@]}" --target "$target" --config "target.$target.rustflags=[$flags]" "${@:2}"
  ;;
*) echo "build.sh: no target of ours: $target" >&2; exit 2 ;;
esac
