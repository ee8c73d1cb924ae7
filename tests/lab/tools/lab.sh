#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The lab itself: what the command did comes back, and nothing else does.
# Prints TAP, one case a line.
set -u
lab=$MESON_SOURCE_ROOT/tests/lab/lab
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export TMPDIR=$out
mkdir "$out/kept"
number=0

# case NAME: the condition was the command before
case_is() {
	local rc=$?
	number=$((number + 1))
	if [[ $(tail -n 1 "$out/out") == SKIP:* ]]; then
		echo "ok $number - $1 # $(tail -n 1 "$out/out")"
	elif [[ $rc == 0 ]]; then
		echo "ok $number - $1"
	else
		echo "not ok $number - $1"
		sed 's/^/# /' "$out/out" "$out/err" | tail -n 40
	fi
}

# lab_run WANTED-EXIT-CODE ARGUMENT...
lab_run() {
	local wanted=$1 rc
	shift
	"$lab" "$@" >"$out/out" 2>"$out/err" </dev/null
	rc=$?
	[[ $rc == "$wanted" ]] || { echo "# exit code $rc"; return 1; }
}

lab_run 42 --results "$out/kept" -- bash -c '
	echo first; echo second >&2
	seq 200000
	touch /x /tmp/y
	ls /tmp/y && echo data > $LAB_RESULTS/data
	exit 42'
case_is "exit code comes back"
[[ $(sed -n 1,2p "$out/out") == $'first\nsecond' ]]
case_is "both outputs, in order"
[[ $(grep -cx '[0-9]*' "$out/out") == 200000 ]]
case_is "1.3 MB of output, whole"
[[ $(<"$out/kept/data") == data ]]
case_is "results come back"
[[ $(grep -c 'Read-only file system' "$out/out") == 1 && ! -e /x ]]
case_is "the host's files are read-only, /tmp is not"

lab_run 137 -- sh -c 'kill -KILL $$'
case_is "a killed command: 128 + signal"

lab_run 124 --timeout 2 -- sh -c 'trap "" TERM; echo here; sleep 1000'
case_is "over the time limit: 124, even when it ignores SIGTERM"
[[ $(<"$out/out") == here ]]
case_is "over the time limit: output is kept"

lab_run 125 -- sh -c 'echo 1 > /proc/sys/kernel/sysrq
	echo c > /proc/sysrq-trigger; sleep 1000'
case_is "a crashed kernel: 125"
grep -q 'sysrq triggered crash' "$out/err"
case_is "a crashed kernel: its last words are shown"

[[ $(grep -c 'once more' "$out/err") == 0 ]]
case_is "a crashed kernel: the command is not done twice"

lab_run 125 --append rdinit=/nothing -- true &&
	[[ $(grep -c 'once more' "$out/err") == 1 ]]
case_is "a kernel that crashes before the command: once more, then 125"

lab_run 125 --modules no-such-module -- true
case_is "an unknown module: 125, at once"

for kernel in 6.1 6.12; do
	lab_run 0 --kernel $kernel --nvme 64M --nvme 1M --e1000e \
		--modules nvme,e1000e,vfio-pci,vfio_iommu_type1 -- bash -xec '
		[[ $(uname -r) == $LAB_KERNEL.* ]]
		sizes=$(for address in $LAB_NVME; do
			cat /sys/bus/pci/devices/$address/nvme/nvme*/nvme*/size
		done)
		[[ $(echo $sizes) == "131072 2048" ]]
		[[ $(< /sys/class/net/eth0/operstate) ]]
		[[ -c /dev/vfio/vfio ]]
		set -- $LAB_NVME $LAB_NIC
		[[ $# == 3 ]]
		for address; do
			readlink /sys/bus/pci/devices/$address/iommu_group
		done
		modprobe dummy
		[[ -d /sys/module/dummy ]]'
	case_is "$kernel: NVMe, e1000e, IOMMU groups, VFIO, more modules"
done
echo "1..$number"
