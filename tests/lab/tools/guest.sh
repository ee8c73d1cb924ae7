#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The demonstration guest by itself, on a disk served by a peer
# (qemu-storage-daemon) that is killed and started again under load: what fails
# here is the guest's fault or QEMU's, not ring3's.
set -u
out=$(mktemp -d)
server=
machine=
stop() {
	[[ $server ]] && kill -KILL "$server" 2>/dev/null
	[[ $machine ]] && kill -KILL "$machine" 2>/dev/null
	rm -rf "$out"
}
trap stop EXIT
number=0

case_is() {
	local rc=$?
	number=$((number + 1))
	if [[ $rc == 0 ]]; then
		echo "ok $number - $1"
	else
		echo "not ok $number - $1"
		tail -n 40 "$out"/* 2>/dev/null | tr -d '\r' | sed 's/^/# /'
	fi
}

serve() {
	rm -f "$out/socket"
	qemu-storage-daemon \
		--blockdev driver=file,node-name=f,filename="$out/disk" \
		--export type=vhost-user-blk,id=e,node-name=f,writable=on,addr.type=unix,addr.path="$out/socket" \
		>"$out/server.log" 2>&1 &
	server=$!
	for _ in {1..100}; do
		[[ -S $out/socket ]] && return
		sleep 0.05
	done
}

# said TEXT SECONDS: wait until the guest's console says it
said() {
	local left=$(($2 * 10))
	until grep -q "$1" "$out/console" 2>/dev/null; do
		left=$((left - 1))
		((left > 0)) && kill -0 "$machine" 2>/dev/null || return 1
		sleep 0.1
	done
}

guest=$("$MESON_SOURCE_ROOT/tools/guest")
[[ -f $guest/root.img && -f $guest/vmlinux && -f $guest/initrd ]]
case_is "kernel, initrd and root file system are made"
start=$(date +%s%N)
"$MESON_SOURCE_ROOT/tools/guest" >/dev/null
took=$((($(date +%s%N) - start) / 1000000))
((took < 2000))
case_is "a second time takes under 2 s"

cp --reflink=auto --sparse=always "$guest/root.img" "$out/disk"
serve
qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
	-accel tcg,thread=multi -cpu max -m 256 \
	-object memory-backend-memfd,id=mem,size=256M,share=on \
	-machine q35,memory-backend=mem \
	-chardev socket,id=c,path="$out/socket",reconnect=1 \
	-device vhost-user-blk-pci,chardev=c -serial "file:$out/console" \
	-kernel "$guest/vmlinux" -initrd "$guest/initrd" \
	-append "console=ttyS0 quiet panic=-1 i8042.noaux i8042.nokbd \
		 tsc=reliable no_timer_check r3.job=fio-verify r3.size=128" \
	>"$out/qemu.log" 2>&1 </dev/null &
machine=$!
said '^R3-BOOT up_s=[0-9.]* root=/dev/vda' 60
case_is "boots from its disk"
for _ in 1 2; do
	said '^R3-PROGRESS.*%' 30
	sleep 0.7
	kill -KILL "$server"
	wait "$server" 2>/dev/null
	serve
done
said '^R3-JOB fio-verify written_mib=128 verified_mib=128 errors=0 rc=0' 120
case_is "writes and verifies while its disk's server is killed twice"
said '^R3-DOWN clean' 30 && wait "$machine"
case_is "powers off"
machine=
/sbin/e2fsck -fn "$out/disk" >"$out/fsck" 2>&1
case_is "leaves a clean file system"
echo "1..$number"
