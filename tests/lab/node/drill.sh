#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# drill.sh SIGNAL: the guest of first light writes and verifies while driver and
# model are killed by SIGNAL; no error may reach it.
set -euo pipefail
signal=$1
guest=$("$MESON_SOURCE_ROOT/tools/guest") || {
	echo "SKIP: the guest can't be made (tools/guest)"
	exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export R3_RUNDIR=$work/run
cp --sparse=always "$guest/root.img" "$work/disk.img"
cat > "$work/node.conf" <<END
[node]
name = drill
[model disk0]
type = nvme
file = disk.img
[driver nvme0]
type = nvme
device = disk0
[guest vm0]
engine = tcg
kernel = $guest/vmlinux
initrd = $guest/initrd
memory = 256M
disk = nvme0
cmdline = root=/dev/vda panic=-1 reboot=t quiet r3.size=256
job = fio-verify
END
"$MESON_BUILD_ROOT/ring3" drill --kill nvme0=8 --kill disk0=3 \
	--signal "$signal" --timeout 150 "$work/node.conf"
