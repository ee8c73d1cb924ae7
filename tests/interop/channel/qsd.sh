#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Our front end against qemu-storage-daemon's vhost-user-blk, every byte
# checked; then the daemon is killed under load and started again.  It knows
# split queues only and no inflight region: what was in flight is submitted
# anew.  TAP, one case a line.
set -u
client=$MESON_BUILD_ROOT/tests/interop/channel/test_channel_blk_client
command -v qemu-storage-daemon >/dev/null || {
	echo "SKIP: no qemu-storage-daemon"
	exit 77
}
dir=$(mktemp -d)
daemon=
trap 'kill $daemon 2>/dev/null; rm -rf "$dir"' EXIT
number=0

start() {
	rm -f "$dir/sock"
	qemu-storage-daemon --blockdev file,node-name=f,filename="$dir/disk" \
		--export vhost-user-blk,id=e,node-name=f,writable=on,addr.type=unix,addr.path="$dir/sock",num-queues=2 \
		2>>"$dir/log" &
	daemon=$!
	for ((i = 0; i < 100; i++)); do
		[[ -S $dir/sock ]] && return
		sleep 0.05
	done
}

result() {
	number=$((number + 1))
	if [[ $1 == 0 ]]; then
		echo "ok $number - $2: $(cat "$dir/out")"
	else
		echo "not ok $number - $2"
		sed 's/^/# /' "$dir/out" "$dir/log"
	fi
}

for features in "" "event_idx" "event_idx indirect"; do
	rm -f "$dir/disk"
	truncate -s 64M "$dir/disk"
	start
	# shellcheck disable=SC2086
	timeout 60 "$client" "$dir/sock" 2 32 20000 $features >"$dir/out" 2>&1
	result $? "qemu-storage-daemon ${features:-plain}"
	kill $daemon
	wait $daemon 2>/dev/null
done

rm -f "$dir/disk"
truncate -s 64M "$dir/disk"
start
timeout 90 "$client" "$dir/sock" 2 32 150000 event_idx >"$dir/out" 2>&1 &
pid=$!
for ((k = 0; k < 5; k++)); do
	sleep 0.3
	kill -0 $pid 2>/dev/null || break
	kill -9 $daemon
	wait $daemon 2>/dev/null
	start
done
wait $pid
result $? "qemu-storage-daemon killed $k times"
echo "1..$number"
