#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The NVMe driver on the kernel's real VFIO: one static binary, two kernels.
#
#     vfio.sh [KERNEL...]        runs itself in the lab; prints TAP
#
# QEMU's NVMe controller is a peer that we did not write, and the kernel's own
# driver reads afterwards what ours has written.
set -u
root=$MESON_SOURCE_ROOT
build=$MESON_BUILD_ROOT
blkverify=$build/tests/fault/model/blkverify
blk_image=$build/tests/lab/driver/blk_image
size=$((64 << 20))

if [[ -z ${LAB:-} ]]; then
	number=0
	failed=0
	kernels=("$@")
	((${#kernels[@]})) || kernels=(6.1 6.12)
	out=$(mktemp)
	trap 'rm -f "$out"' EXIT
	for kernel in "${kernels[@]}"; do
		"$root/tests/lab/lab" --kernel "$kernel" --nvme 64M \
			--modules vfio-pci --timeout 240 \
			--env MESON_SOURCE_ROOT --env MESON_BUILD_ROOT \
			-- bash "$0" >"$out" 2>&1
		rc=$?
		if [[ $rc == 77 ]]; then
			tail -n 1 "$out"
			exit 77
		fi
		while IFS= read -r line; do
			case $line in
			'ok '*|'not ok '*)
				number=$((number + 1))
				[[ $line == 'not ok '* ]] && failed=1
				echo "${line%%ok *}ok $number - $kernel: ${line#*ok }"
				;;
			*)	echo "# $line" ;;
			esac
		done <"$out"
		if [[ $rc != 0 ]]; then
			failed=1
			number=$((number + 1))
			echo "not ok $number - $kernel: the job ended with $rc"
		fi
	done
	echo "1..$number"
	exit $failed
fi

# ---- in the lab -------------------------------------------------------------
cd "$TMPDIR"
bdf=$LAB_NVME
sock=$PWD/blk.sock
driver=
rc=0

is() { # NAME: the condition was the command before
	if [[ $? == 0 ]]; then
		echo "ok $1"
	else
		echo "not ok $1"
		rc=1
	fi
}

start() {
	"$build/ring3-driver-nvme" nvme0 device="pci:$bdf" listen="$sock" \
		"$@" 2>>driver.log &
	driver=$!
}

up() {
	start "$@"
	for _ in $(seq 100); do
		# the socket is there before the controller: ask the driver
		"$blk_image" "$sock" flush 2>/dev/null && return 0
		kill -0 $driver 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

down() { # SIGNAL
	kill "-$1" $driver
	wait $driver 2>/dev/null
}

"$build/ring3" device bind "$bdf" >bind.log 2>&1
is "the device is bound to vfio-pci"
up
is "the driver comes up"

"$blkverify" "$sock" seconds=4 size=$size >verify.json 2>verify.log
is "random reads, writes, zeroes and flushes are right"
grep -o '"reads.*"bytes": [0-9]*' verify.json

"$blk_image" "$sock" zero 0 $size
is "write zeroes, the whole disk"
"$blk_image" "$sock" read all.img $size && cmp -n $size all.img /dev/zero
is "it reads as zeros"

"$blkverify" "$sock" seconds=8 size=$size seed=2 >verify.json 2>verify.log &
verify=$!
for _ in 1 2 3; do
	sleep 1.$((RANDOM % 10))
	down KILL
	start # whoever connects waits until it is up
done
wait $verify
is "killed three times with requests in flight: nothing lost"
grep -o '"reads.*"reconnects": [0-9]*' verify.json

dd if=/dev/urandom of=image bs=1M count=16 status=none
"$blk_image" "$sock" write image && "$blk_image" "$sock" flush
is "an image is written"
"$blk_image" "$sock" zero $((4 << 20)) $((1 << 20)) &&
	dd if=/dev/zero of=image bs=1M seek=4 count=1 conv=notrunc status=none
is "a part of it is zeroed"
"$blk_image" "$sock" trim $((32 << 20)) $((8 << 20))
is "what is behind it is trimmed"
"$blk_image" "$sock" read again $((16 << 20)) && cmp image again
is "it reads back"
down TERM
is "the driver ends when asked"

# the same under the supervisor: it holds the device, fences it, and the front
# end's connection outlives the driver
up && "$blk_image" "$sock" zero 0 $size
down TERM
cat >node.conf <<END
[node]
name = vfio
[driver nvme0]
type = nvme
device = pci:$bdf
END
"$build/ring3" up node.conf >node.log 2>&1
is "a node comes up with the device"
"$blkverify" /run/ring3/vfio/nvme0.sock seconds=5 size=$size \
	>verify.json 2>verify.log &
verify=$!
for _ in 1 2 3; do
	sleep 1.$((RANDOM % 10))
	kill -KILL "$("$build/ring3" status --json vfio |
		      grep -o '"pid": *[0-9]*' | tail -n 1 |
		      grep -o '[0-9]*$')"
done
wait $verify && grep -q '"reconnects": 0,' verify.json
is "the driver killed three times: nothing lost, no connection anew"
"$build/ring3" logs -n vfio >>node.log 2>&1
"$build/ring3" down vfio >>node.log 2>&1

up && "$blk_image" "$sock" write image && "$blk_image" "$sock" flush
is "the device is free again, the image is written"
down TERM

up inject=wild-lba:2048
"$blk_image" "$sock" read wild $((2 << 20)) 2>/dev/null
sleep 0.5
grep "blocked device=$bdf addr=0x7e00.* direction=write" driver.log
is "DMA outside the space is blocked, reported with device, address, direction"
down KILL

"$build/ring3" device unbind "$bdf" >>bind.log 2>&1
is "the device goes back to the kernel's driver"
modprobe nvme
for _ in $(seq 300); do # guest time may run fast
	disk=$(ls /sys/bus/pci/devices/$bdf/nvme/nvme*/ 2>/dev/null |
	       grep -o 'nvme[0-9]*n1' | head -n 1)
	[[ -n $disk && -b /dev/$disk ]] && break
	sleep 0.1
done
cmp -n $((16 << 20)) image "/dev/$disk"
is "the kernel reads the same data"
dd if=/dev/urandom of=image bs=1M count=4 conv=notrunc status=none
dd if=image of="/dev/$disk" bs=1M count=4 oflag=direct conv=fsync status=none
"$build/ring3" device bind "$bdf" >>bind.log 2>&1 && up &&
	"$blk_image" "$sock" read again $((16 << 20)) && cmp image again
is "and we read what the kernel has written"
down TERM
if [[ $rc != 0 ]]; then
	cat bind.log driver.log node.log verify.log
	dmesg | tail -n 20
fi
exit $rc
