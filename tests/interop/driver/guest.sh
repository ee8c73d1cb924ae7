#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A stock Linux guest on the driver's socket: it boots from /dev/vda, writes
# and verifies while driver and model are killed, and leaves a clean file
# system in the model's file.
set -u
if [[ $(id -u) != 0 ]]; then
	echo "SKIP: a node needs root"
	exit 77
fi
out=$(mktemp -d -p /var/tmp)
name=driver-guest-$$
trap 'rm -rf "$out" /run/ring3/$name' EXIT
number=0
failed=0

case_is() {
	local rc=$?
	number=$((number + 1))
	if [[ $rc == 0 ]]; then
		echo "ok $number - $1"
	else
		failed=1
		echo "not ok $number - $1"
		tail -n 60 "$out/log" | tr -d '\r' | sed 's/^/# /'
	fi
}

if ! guest=$("$MESON_SOURCE_ROOT/tools/guest" 2>"$out/log"); then
	echo "SKIP: no guest can be made: $(tail -n 1 "$out/log")"
	exit 77
fi
cp --reflink=auto --sparse=always "$guest/root.img" "$out/disk.img"
cat >"$out/node.conf" <<END
[node]
name = $name

[model disk0]
type = nvme
file = $out/disk.img

[driver nvme0]
type = nvme
device = disk0

[guest vm0]
engine = tcg
kernel = $guest/vmlinuz
initrd = $guest/initrd
memory = 256M
cpus = 1
disk = nvme0
cmdline = root=/dev/vda panic=-1 reboot=t quiet r3.size=96
job = fio-verify
END
"$MESON_BUILD_ROOT/ring3" drill --kill nvme0=4 --kill disk0=2 \
	--timeout 200 "$out/node.conf" >"$out/log" 2>&1
case_is "boots from its disk, writes and verifies while servers are killed"
grep -E 'guest booted|fio verify|killed' "$out/log" | sed 's/^/# /'
grep -q ' 0 I/O errors' "$out/log"
case_is "no I/O error"
/sbin/e2fsck -fn "$out/disk.img" >>"$out/log" 2>&1
case_is "its file system is clean"
echo "1..$number"
exit $failed
