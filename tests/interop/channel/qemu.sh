#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Linux in QEMU as front end of our back end, one disk with packed and one with
# split queues: written, read back and compared; the split one's back end is
# killed under load and started again, QEMU connects to it anew.  TAP.
set -u
lab=$MESON_SOURCE_ROOT/tests/lab/lab
disk=$MESON_BUILD_ROOT/tests/interop/channel/test_channel_ramdisk
dir=$(mktemp -d)
one= two= run=
trap 'kill $one $two $run 2>/dev/null; rm -rf "$dir"' EXIT

"$disk" "$dir/packed" 64 >"$dir/log1" 2>&1 &
one=$!
# its data lies in a file, so that the next life has it
truncate -s 64M "$dir/data"
start_split() {
	"$disk" "$dir/split" 64 split file="$dir/data" >>"$dir/log2" 2>&1 &
	two=$!
}
start_split
for ((i = 0; i < 100; i++)); do
	[[ -S $dir/packed && -S $dir/split ]] && break
	sleep 0.05
done

# Once the guest has begun with the second disk, its back end dies a few times.
job=$(cat <<'END'
set -e
dd if=/dev/urandom of=/tmp/data bs=1M count=32 2>/dev/null
for d in vda vdb; do
	echo "$d features $(cat /sys/block/$d/device/features)"
done
dd if=/tmp/data of=/dev/vda bs=64k oflag=direct 2>/dev/null
dd if=/dev/vda of=/tmp/back bs=1M count=32 iflag=direct 2>/dev/null
cmp /tmp/data /tmp/back && echo "packed same"
for i in 1 2 3 4 5 6 7 8; do
	dd if=/tmp/data of=/dev/vdb bs=16k oflag=direct 2>/dev/null
	dd if=/dev/vdb of=/tmp/back bs=16k count=2048 iflag=direct 2>/dev/null
	cmp /tmp/data /tmp/back && echo "split same $i"
done
dmesg | grep -ci 'i/o error' || true
END
)
: >"$dir/out"
args="-object memory-backend-memfd,id=m,size=1G,share=on"
args+=" -machine memory-backend=m"
for d in packed split; do
	args+=" -chardev socket,id=c$d,path=$dir/$d,reconnect=1"
	args+=" -device vhost-user-blk-pci,chardev=c$d,num-queues=2,packed=$([[ $d == packed ]] && echo on || echo off)"
done
"$lab" --modules virtio_blk --timeout 220 \
	--qemu "$args" -- sh -c "$job" >"$dir/out" 2>"$dir/err" &
run=$!
for ((i = 0; i < 2000; i++)); do
	grep -q "packed same" "$dir/out" && break
	kill -0 $run 2>/dev/null || break
	sleep 0.1
done
for ((k = 0; k < 4; k++)); do
	sleep 0.7
	kill -9 $two
	wait $two 2>/dev/null
	start_split
done
wait $run
rc=$?
if [[ $rc == 77 ]]; then
	tail -n 1 "$dir/out"
	exit 77
fi
number=0
for want in "packed same" "split same 1" "split same 8" "^0$"; do
	number=$((number + 1))
	if [[ $rc == 0 ]] && grep -q "$want" "$dir/out"; then
		echo "ok $number - $want"
	else
		echo "not ok $number - $want"
		sed 's/^/# /' "$dir/out" "$dir/err" "$dir/log1" "$dir/log2" |
			tail -n 40
	fi
done
echo "1..$number"
