#!/bin/sh
# Installs mini-dag from an unpacked tarball: the program, its unit, user and directories, manual pages and completions.
# Needs root. Starts and enables nothing. Again over an older version: a daemon that runs becomes the new program,
# and its tasks go on. `./install.sh --remove` takes everything away again but DAG files, config and state.
set -eu
cd "$(dirname "$0")"
[ "$(id -u)" = 0 ] || { echo "install.sh: run it as root" >&2; exit 1; }
prefix=/usr/local
unit=/etc/systemd/system/mini-dag.service
files="$prefix/bin/mini-dag $unit /etc/sysusers.d/mini-dag.conf /etc/tmpfiles.d/mini-dag.conf
$prefix/share/bash-completion/completions/mini-dag $prefix/share/zsh/site-functions/_mini-dag
$prefix/share/fish/vendor_completions.d/mini-dag.fish"
has_systemd() { [ -d /run/systemd/system ]; }

if [ "${1:-}" = --remove ]; then
    if has_systemd; then systemctl disable --now mini-dag.service || true; fi
    rm -f $files "$prefix"/share/man/man1/mini-dag.1 "$prefix"/share/man/man1/mini-dag-*.1
    if has_systemd; then systemctl daemon-reload; fi
    echo "removed; /etc/mini-dag and /var/lib/mini-dag are still there"
    exit 0
fi

was_running=no
if has_systemd && systemctl is-active --quiet mini-dag.service; then was_running=yes; fi
# Under another name first: the program that runs is not written over.
install -D -m 0755 mini-dag "$prefix/bin/mini-dag.new"
mv -f "$prefix/bin/mini-dag.new" "$prefix/bin/mini-dag"
install -D -m 0644 systemd/sysusers.conf /etc/sysusers.d/mini-dag.conf
install -D -m 0644 systemd/tmpfiles.conf /etc/tmpfiles.d/mini-dag.conf
mkdir -p "$(dirname "$unit")"
sed "s|/usr/bin/mini-dag|$prefix/bin/mini-dag|" systemd/mini-dag.service > "$unit"
if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers /etc/sysusers.d/mini-dag.conf
else
    getent passwd mini-dag >/dev/null ||
        useradd --system --user-group --home-dir /var/lib/mini-dag --shell /usr/sbin/nologin mini-dag
fi
install -d -m 0750 -o root -g mini-dag /etc/mini-dag /etc/mini-dag/dags
[ -e /etc/mini-dag/mini-dag.json ] || install -m 0640 -g mini-dag systemd/mini-dag.json /etc/mini-dag/mini-dag.json
mkdir -p "$prefix/share/man/man1"
cp man/*.1 "$prefix/share/man/man1/"
install -D -m 0644 completions/mini-dag.bash "$prefix/share/bash-completion/completions/mini-dag"
install -D -m 0644 completions/_mini-dag "$prefix/share/zsh/site-functions/_mini-dag"
install -D -m 0644 completions/mini-dag.fish "$prefix/share/fish/vendor_completions.d/mini-dag.fish"
if has_systemd; then
    systemctl daemon-reload
    if [ "$was_running" = yes ]; then
        mini-dag reload --exec --state /var/lib/mini-dag || systemctl restart mini-dag.service
    fi
fi
echo "installed; DAG files go to /etc/mini-dag/dags, and"
echo "  systemctl enable --now mini-dag"
echo "starts it now and at every boot"
