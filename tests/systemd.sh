#!/usr/bin/env bash
# The package on a real systemd: boots a Debian, and has `service.sh` do to the service in it what happens to services.
# In a container; in an emulator, where the kernel is Debian's own and gives every controller to cgroup v2, if it is asked
# for or the package is for another processor. Needs root, debootstrap, and systemd-nspawn or qemu; says so without them.
#   tests/systemd.sh [--emulate] PACKAGE.deb [TARBALL.tar.gz]
set -euo pipefail
cd "$(dirname "$0")/.."
skip() { printf '\n!!!! SKIPPED: tests/systemd.sh: %s\n\n' "$1"; exit 0; }
[ "${1:-}" != --emulate ] || { emulate=1; shift; }
package=$(realpath "${1:?usage: tests/systemd.sh [--emulate] PACKAGE.deb [TARBALL.tar.gz]}")
tarball=${2:+$(realpath "$2")}
[ "$(id -u)" = 0 ] || skip "it needs root"
for tool in debootstrap dpkg-deb; do
  command -v "$tool" >/dev/null || skip "there is no $tool (Debian: debootstrap dpkg)"
done
arch=$(dpkg-deb -f "$package" Architecture)
[ "$arch" = "$(dpkg --print-architecture)" ] && foreign= || foreign=--foreign emulate=1
[ -n "${emulate:-}" ] || command -v systemd-nspawn >/dev/null || skip "there is no systemd-nspawn (Debian: systemd-container)"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
root=$place/root

# Of another architecture, what is unpacked installs itself: as programs for ARM, which a user namespace of its own runs.
install_itself() {
  case $arch in arm64) processor=aarch64 ;; *) processor=arm ;; esac
  command -v qemu-$processor-static >/dev/null || { echo "there is no qemu-$processor-static (Debian: qemu-user-static)"; return 1; }
  unshare --user --map-root-user --mount sh -c 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc' ||
    { echo "this kernel has no binfmt_misc for a user namespace"; return 1; }
  coproc {
    exec unshare --user --mount --pid --fork --kill-child bash -euc 'echo is there; read -r
      tests/binfmt.sh "$0" "$(command -v "qemu-$0-static")" F
      container=lxc exec chroot "$1" /debootstrap/debootstrap --second-stage' $processor "$root" 2>&1
  }
  local namespace=$COPROC_PID to=${COPROC[1]}
  exec 5<&"${COPROC[0]}"
  read -r <&5
  for map in uid_map gid_map; do echo 0 0 65536 >"/proc/$namespace/$map"; done
  echo >&"$to"
  cat <&5
  wait "$namespace"
}
keep=${CARGO_TARGET_DIR:-$PWD/target}/debian
mkdir -p "$keep"
if [ ! -e "$keep/$arch.tar" ]; then
  {
    debootstrap $foreign --arch="$arch" --variant=minbase --include=systemd,systemd-sysv,dbus,procps,sudo bookworm "$root" &&
      { [ -z "$foreign" ] || install_itself; }
  } >"$keep/debootstrap.log" 2>&1 || skip "no Debian for $arch: $(tail -1 "$keep/debootstrap.log")"
  rm -rf "$root"/var/cache/apt/archives/*.deb
  tar -C "$root" -cf "$keep/$arch.tar.new" .
  mv "$keep/$arch.tar.new" "$keep/$arch.tar"
  rm -rf "$root"
fi
mkdir "$root"
tar -C "$root" -xf "$keep/$arch.tar"

mkdir "$root/root/test"
cp README.md tests/service.sh tests/cgroup.sh systemd/lockdown.conf "$package" "$root/root/test/"
[ -z "$tarball" ] || { cp "$tarball" "$root/root/test/tarball.tar.gz"; }
echo raspberrypi >"$root/etc/hostname"
echo '127.0.0.1 localhost raspberrypi' >"$root/etc/hosts"
# The same package once more, as the next version.
dpkg-deb -R "$package" "$place/next"
sed -i 's/^Version: .*/&.1/' "$place/next/DEBIAN/control"
dpkg-deb --root-owner-group -b "$place/next" "$root/root/test/next.deb" >/dev/null
# It says on the console how it goes, and powers off when it is done.
cat >"$root/etc/systemd/system/test.service" <<'UNIT'
[Unit]
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
ExecStart=/bin/sh -c 'exec /root/test/service.sh >/dev/console 2>&1'
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../test.service "$root/etc/systemd/system/multi-user.target.wants/"
ln -s /dev/null "$root/etc/systemd/system/getty.target"

if [ -n "${emulate:-}" ]; then
  ln -s sbin/init "$root/init"
  boot=(tests/emulate.sh "$arch" "$root" 2048 1800)
else
  # With cgroup v2 alone, whatever this host has.
  container() {
    if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then
      umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup
    fi
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec timeout 1200 systemd-nspawn --quiet --register=no --keep-unit \
      --machine="mini-dag-$$" -b -D "$1" --console=read-only systemd.show_status=0 </dev/null 2>&1
  }
  export -f container
  boot=(unshare --mount --propagation private bash -c 'container "$1"' container "$root")
fi
"${boot[@]}" | tr -d '\r' | tee "$keep/console.log" | sed -n '/^ok: Debian/,/^systemd: all is well/p' ||
  [ "${PIPESTATUS[0]}" != 3 ] || skip "nothing could be emulated"
grep -q '^systemd: all is well' "$keep/console.log" || { echo "FAILED: tests/systemd.sh, see $keep/console.log"; exit 1; }
