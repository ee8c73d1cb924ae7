#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# pci.sh KERNEL: a node whose driver has a real (QEMU's) NVMe controller on the
# kernel's VFIO, sandboxed; killed under load, and fenced by the supervisor.
set -u
root=$MESON_SOURCE_ROOT
build=$MESON_BUILD_ROOT
blkverify=$build/tests/fault/model/blkverify
ring3=$build/ring3

if [[ -z ${LAB:-} ]]; then
	exec "$root/tests/lab/lab" --kernel "$1" --nvme 64M \
		--modules vfio-pci --timeout 150 \
		--env MESON_SOURCE_ROOT --env MESON_BUILD_ROOT -- bash "$0" "$1"
fi

# ---- in the lab -------------------------------------------------------------
cd "$TMPDIR" || exit 1
export R3_RUNDIR=$PWD/run
number=0
rc=0

is() { # NAME: the condition was the command before
	local got=$?
	number=$((number + 1))
	if [[ $got == 0 ]]; then
		echo "ok $number - $1"
	else
		rc=1
		echo "not ok $number - $1"
		tail -n 30 run/n/log/*.log ./*.log 2>/dev/null | sed 's/^/# /'
	fi
}

# field SERVER KEY: from the status
field() {
	"$ring3" status n --json | python3 -c '
import json, sys
for s in json.load(sys.stdin)["servers"]:
    if s["name"] == sys.argv[1]:
        print(s[sys.argv[2]])' "$1" "$2"
}

cat > n.conf <<END
[node]
name = n
[driver nvme0]
type = nvme
device = pci:$LAB_NVME
END
! "$ring3" up n.conf 2>refused.log && grep -q vfio-pci refused.log
is "a device that is not bound is refused, and the message says what to do"
"$ring3" device bind "$LAB_NVME" >bind.log 2>&1
is "the device is bound to vfio-pci"
"$ring3" up n.conf
is "the node comes up"
pid=$(field nvme0 pid)
grep -qx 'CapEff:	0000000000000000' "/proc/$pid/status" &&
	grep -qx 'Seccomp:	2' "/proc/$pid/status"
is "the driver has no capability and a list of system calls"
"$blkverify" run/n/nvme0.sock seconds=10 size=$((64 << 20)) \
	>verify.json 2>verify.log &
verify=$!
for signal in KILL SEGV KILL; do
	sleep 1.$((RANDOM % 10))
	kill "-$signal" "$(field nvme0 pid)"
done
wait $verify
is "killed three times with requests in flight: nothing lost"
grep -o '"reads.*"reconnects": [0-9]*' verify.json | sed 's/^/# /'
[[ $(field nvme0 restarts) == 3 && $(field nvme0 state) == up ]]
is "it was restarted three times"
"$ring3" down n
is "the node goes down"
echo "inject = wild-lba:2048" >> n.conf
"$ring3" up n.conf
timeout 20 "$blkverify" run/n/nvme0.sock seconds=2 size=$((64 << 20)) \
	>/dev/null 2>&1
sleep 0.5
grep -q "blocked.*device=$LAB_NVME addr=0x7e00.* direction=" \
	run/n/log/supervisor.log && [[ $(field nvme0 dma_faults) -gt 0 ]]
is "DMA outside the space is blocked, and reported by the supervisor"
"$ring3" down n
is "and that node goes down too"
"$ring3" device unbind "$LAB_NVME" >unbind.log 2>&1
is "the device goes back to the kernel's driver"
echo "1..$number"
exit $rc
