#!/usr/bin/env bash
# Has the kernel run programs for ARM with an interpreter, in the user namespace of whoever calls this and as long as that
# lives (Linux 6.7 and newer). FLAGS are binfmt_misc's: with F, the interpreter works in a chroot without it.
#   tests/binfmt.sh aarch64|arm INTERPRETER [FLAGS]
set -euo pipefail
case ${1:?usage: tests/binfmt.sh aarch64|arm INTERPRETER [FLAGS]} in
aarch64) class='\x02' machine='\xb7' ;;
arm) class='\x01' machine='\x28' ;;
esac
registry=/proc/sys/fs/binfmt_misc
[ -e $registry/register ] || mount -t binfmt_misc none $registry
zeros='\x00\x00\x00\x00\x00\x00\x00\x00\x00' any='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
echo ":$1:M::\x7fELF$class\x01\x01$zeros\x02\x00$machine\x00:$any:$2:${3:-}" >$registry/register
