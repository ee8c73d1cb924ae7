#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# inside.sh: device.sh's half in the lab.  Prints TAP.
set -u
ring3=$MESON_BUILD_ROOT/ring3
out=$TMPDIR/out
read -r disk other <<<"$LAB_NVME"
number=0 failed=0

# check NAME: the condition was the command before
check() {
	local rc=$?
	number=$((number + 1))
	[[ $rc == 0 ]] && echo "ok $number - $1" && return
	failed=1
	echo "not ok $number - $1"
	sed 's/^/# /' "$out"
}

# says EXIT-CODE PATTERN ARGUMENT...: what `ring3 device ARGUMENT...` answers
says() {
	local want=$1 pattern=$2 rc
	shift 2
	"$ring3" device "$@" >"$out" 2>&1
	rc=$?
	echo "exit code $rc, wanted $want and: $pattern" >>"$out"
	[[ $rc == "$want" ]] && head -n -1 "$out" | grep -Eq -- "$pattern"
}

driver_of() {
	basename "$(readlink "/sys/bus/pci/devices/$1/driver")"
}

says 0 "^$disk +1b36:0010 +[0-9]+ +nvme +Non-Volatile memory" list
check "list: the disk, its group, its driver"
says 0 '"class": "010802"' list --json
check "list: as JSON"
says 0 'BAR 0 +memory 64-bit, 16 KiB at 0x' show "$disk"
check "show: BAR"
says 0 'MSI-X: 65 vectors, on, table in BAR 0 at 0x2000' show "$disk"
check "show: MSI-X"
says 4 'no such device|No such device' show 0000:77:00.0
check "show: no such device"
says 2 'like 0000:00:03.0' show disk
check "show: no address"
PYTHONDONTWRITEBYTECODE=1 python3 -c '
import sys
sys.path.insert(0, sys.argv[1] + "/tests/interop/device")
import lspci
lspci.check_machine(sys.argv[2])' "$MESON_SOURCE_ROOT" "$ring3" >"$out" 2>&1
check "show: every device as lspci decodes it"

says 1 'is a bridge' bind 0000:00:00.0
check "bind: not a bridge"
says 4 'no such device' bind 0000:77:00.0
check "bind: no such device"
says 0 "would write 'vfio-pci'" bind --dry-run "$disk" &&
	[[ $(driver_of "$disk") == nvme ]]
check "bind: a dry run changes nothing"

# A disk in use: swap needs no file system.
node=$(basename /sys/bus/pci/devices/"$disk"/nvme/nvme*/nvme*n1)
mkswap -q "/dev/$node" >/dev/null 2>&1 || busybox mkswap "/dev/$node" >/dev/null
swapon "/dev/$node" 2>"$out" || busybox swapon "/dev/$node" 2>"$out"
says 1 "/dev/$node is swap" bind "$disk" && [[ $(driver_of "$disk") == nvme ]]
check "bind: not a disk that is swapped to"
swapoff "/dev/$node" 2>/dev/null || busybox swapoff "/dev/$node"

ip link set eth0 up 2>/dev/null || busybox ip link set eth0 up
busybox ip addr add 10.0.2.15/24 dev eth0
busybox ip route add default via 10.0.2.2
says 1 'eth0 has the default route' bind "$LAB_NIC"
check "bind: not the NIC with the default route"
says 0 'taken away by --force' bind --force "$LAB_NIC" &&
	[[ $(driver_of "$LAB_NIC") == vfio-pci ]]
check "bind: unless forced"
says 0 "the kernel's again .driver e1000e" unbind "$LAB_NIC" &&
	[[ $(driver_of "$LAB_NIC") == e1000e ]]
check "unbind: the NIC has its driver back"

says 0 'vfio-pci.s now' bind "${disk#0000:}" &&
	[[ $(driver_of "$disk") == vfio-pci ]]
check "bind: the disk, by its short address"
says 0 'already' bind "$disk"
check "bind: again"
[[ $(driver_of "$other") == nvme ]]
check "bind: the other disk has kept its driver"

CMOCKA_MESSAGE_OUTPUT=STDOUT \
	"$MESON_BUILD_ROOT/tests/lab/device/test_device_vfio" "$disk" >"$out" 2>&1
rc=$?
grep -E '^\[ +(OK|FAILED)' "$out" | sort -u >"$TMPDIR/cases"
while read -r line; do
	[[ $line == *OK* ]]
	check "vfio: ${line##* }"
done <"$TMPDIR/cases"
[[ $rc == 0 && $(grep -c OK "$TMPDIR/cases") -ge 8 ]]
check "vfio: all of it"

group=$(basename "$(readlink "/sys/bus/pci/devices/$disk/iommu_group")")
exec 9<>"/dev/vfio/$group"
says 1 'has its group open' unbind "$disk" && [[ $(driver_of "$disk") == vfio-pci ]]
check "unbind: not while a process has it open"
exec 9>&-
says 0 "the kernel's again .driver nvme" unbind "$disk"
check "unbind: the kernel's NVMe driver takes it back"
for _ in {1..50}; do
	node=$(basename /sys/bus/pci/devices/"$disk"/nvme/nvme*/nvme*n1)
	[[ -b /dev/$node ]] && break
	sleep 0.1
done
dd if="/dev/$node" of=/dev/null bs=1M count=4 2>"$out"
check "unbind: and reads from it"
says 0 "kernel's already" unbind "$disk"
check "unbind: again"
echo "1..$number"
exit $failed
