#!/bin/sh
# Debian in a folder, as an installed machine has it: systemd, udev, logins, a person with sudo; and the Python
# environments that the launcher makes there, since the machine itself will have no network.
#
#   root.sh CODENAME TREE HOME ARCHIVE KEYRING PACKAGES CHECKOUT
#
# To be run in a mount namespace of its own: what it mounts goes with it.
set -eu
codename=$1 tree=$2 home=$3 archive=$4 keyring=$5 packages=$6 checkout=$7

debootstrap --variant=minbase --keyring="$keyring" --include="$packages" "$codename" "$tree" "$archive"

inside() { chroot "$tree" /usr/bin/env "$@"; }

# --- The machine --------------------------------------------------------------------------------------------------
echo vm >"$tree/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 vm\n' >"$tree/etc/hosts"
rm -f "$tree/etc/resolv.conf"
printf 'LANG=C.UTF-8\n' >"$tree/etc/default/locale"
cat >"$tree/etc/fstab" <<'FSTAB'
/dev/ubda / ext4 defaults 0 1
/dev/ubdb /home ext4 defaults 0 2
FSTAB
cat >"$tree/etc/systemd/system/vm-console.service" <<'UNIT'
[Unit]
Description=Commands from outside, over the serial line
After=basic.target systemd-user-sessions.service
RequiresMountsFor=/home

[Service]
ExecStart=/usr/bin/python3 /home/vm/console.py /dev/ttyS0
KillMode=process

[Install]
WantedBy=multi-user.target
UNIT
inside systemctl enable vm-console.service
# No terminals that nobody sits at, and nothing that asks the network.
inside systemctl mask getty.target console-getty.service serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer
inside systemd-machine-id-setup
inside useradd --create-home --home-dir /home/ann --shell /bin/bash --uid 1000 ann
echo 'ann ALL=(ALL:ALL) NOPASSWD: ALL' >"$tree/etc/sudoers.d/ann"
chmod 0440 "$tree/etc/sudoers.d/ann"

# --- What the launcher makes -----------------------------------------------------------------------------------------
mount -t proc proc "$tree/proc"
mount -t tmpfs tmpfs "$tree/tmp"
# The way to the registries is that of the machine that this is built on.
for path in /etc/resolv.conf /etc/hosts /etc/pip.conf; do
  [ -e "$path" ] || continue
  [ -e "$tree$path" ] || { : >"$tree$path" && echo "$tree$path" >>"$tree/tmp/made"; }
  mount --bind "$path" "$tree$path"
done
mount --bind /etc/ssl/certs "$tree/etc/ssl/certs"
mkdir "$tree/tmp/checkout"
cp "$checkout/roadstead" "$checkout/uv.lock" "$checkout/pyproject.toml" "$tree/tmp/checkout"
plain="PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
cd "$tree"
inside -u PIP_FIND_LINKS "$plain" HOME=/home/ann setpriv --reuid=1000 --regid=1000 --clear-groups \
  /tmp/checkout/roadstead --print-python
# The services' own: root has a cache of its own, from which `start` makes it again without a network.
inside -u PIP_FIND_LINKS "$plain" HOME=/root ROADSTEAD_CACHE=/home/ann/.cache/roadstead \
  /tmp/checkout/roadstead --make-environment /tmp/services /usr/bin/python3
made=$(cat "$tree/tmp/made" 2>/dev/null || true)
cd /
umount -R "$tree/etc/ssl/certs" "$tree/etc/resolv.conf" "$tree/etc/hosts" "$tree/tmp" "$tree/proc"
if [ -e /etc/pip.conf ]; then umount "$tree/etc/pip.conf"; fi
for path in $made; do rm -f "$path"; done
rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
mv "$tree/home/ann" "$home"
