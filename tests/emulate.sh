#!/usr/bin/env bash
# Boots a kernel of Debian's in an emulator, whatever this machine is, and shows its console until it is off. ROOT is the
# whole file system, in memory; its /init is the first process. The kernel is kept for the next time.
#   tests/emulate.sh amd64|arm64|armhf ROOT MEGABYTES SECONDS
# The ARM machines have a Pi's kind of processor. Exits with 3, and says why, where something is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
arch=${1:?usage: tests/emulate.sh amd64|arm64|armhf ROOT MEGABYTES SECONDS} root=$2 megabytes=$3 seconds=$4
case $arch in
amd64) machine=(qemu-system-x86_64) kernel=linux-image-amd64 console=ttyS0 ;;
arm64) machine=(qemu-system-aarch64 -M virt -cpu cortex-a53) kernel=linux-image-arm64 console=ttyAMA0 ;;
armhf) machine=(qemu-system-arm -M virt -cpu cortex-a7) kernel=linux-image-armmp console=ttyAMA0 ;;
*) echo "emulate.sh: amd64, arm64 or armhf, not $arch" >&2; exit 2 ;;
esac
for tool in "${machine[0]}" cpio; do
  command -v "$tool" >/dev/null || { echo "emulate.sh: no $tool (Debian: qemu-system-x86 qemu-system-arm cpio)" >&2; exit 3; }
done
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
keep=${CARGO_TARGET_DIR:-$PWD/target}/debian
mkdir -p "$keep"
if [ ! -e "$keep/vmlinuz-$arch" ]; then
  tests/unpack.sh "$arch" "$place" "$kernel"
  cp "$place"/boot/vmlinuz-* "$keep/vmlinuz-$arch"
fi
(cd "$root" && find . | cpio --create --format=newc --quiet) >"$place/initrd"
timeout "$seconds" "${machine[@]}" -accel tcg -m "$megabytes" -nographic -no-reboot -nic none \
  -kernel "$keep/vmlinuz-$arch" -initrd "$place/initrd" -append "console=$console quiet loglevel=2 panic=-1" </dev/null
