#!/usr/bin/env bash
# `cgroup.sh` under a kernel of Debian's in an emulator: there the memory controller is what a Pi's kernel has, whatever
# this host's is. Nothing is installed in it: its root is a handful of this host's tools and the program, in memory.
# Needs qemu-system-x86_64, cpio, and a kernel from /boot or from Debian's packages; says so if one is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
skip() { printf '\n!!!! SKIPPED: %s\n\n' "$1"; exit 0; }
for tool in qemu-system-x86_64 cpio dpkg-deb; do
  command -v $tool >/dev/null || skip "there is no $tool: no kernel was tried with limits of memory"
done
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
kernel=$(find /boot -name 'vmlinuz-*' 2>/dev/null | sort -V | tail -1)
if [ -z "$kernel" ]; then
  package=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends:/ { print $2; exit }')
  (cd "$place" && apt-get download -q "$package" >/dev/null 2>&1 && dpkg-deb -x linux-image*.deb .) ||
    skip "there is no kernel to boot, and none of Debian's can be had"
  kernel=$(find "$place/boot" -name 'vmlinuz-*')
fi
cargo build -q --bin mini-dag

root=$place/root
mkdir -p "$root"/{bin,dev,etc,proc,root,sys,tmp,usr}
ln -s ../bin "$root/usr/bin"
# A program, and the libraries that it is linked to.
put() {
  cp -L "$1" "$root$2"
  { ldd "$1" 2>/dev/null || true; } | grep -o '/[^ )]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
}
for tool in awk bash cat chmod cp date dirname env find grep head ls mkdir mktemp mount rm rmdir sed seq setsid sh sleep \
  tail touch tr wc; do
  put "$(type -P $tool)" /bin/$tool
done
put target/debug/mini-dag /bin/mini-dag
cp tests/cgroup.sh "$root/bin/"
echo 'root:x:0:0::/root:/bin/bash' >"$root/etc/passwd"
cat >"$root/init" <<'INIT'
#!/bin/bash
export PATH=/bin HOME=/root MINI_DAG=/bin/mini-dag
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
cgroup.sh && echo 'vm: passed'
echo o >/proc/sysrq-trigger
sleep 100
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio --create --format=newc --quiet) >"$place/initrd"
timeout 500 qemu-system-x86_64 -m 1024 -accel tcg -nographic -no-reboot -nic none -kernel "$kernel" \
  -initrd "$place/initrd" -append 'console=ttyS0 quiet panic=-1' </dev/null | tee "$place/out"
grep -q '^vm: passed' "$place/out" || { echo "vm: cgroup.sh has failed under ${kernel##*/}"; exit 1; }
! grep SKIPPED "$place/out" || { echo "vm: ${kernel##*/} has no memory controller"; exit 1; }
