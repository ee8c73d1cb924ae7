#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Our front end and our back end, two processes, each form of queue, sleeping
# and spinning, every byte checked.  TAP, one case a line.
set -u
client=$MESON_BUILD_ROOT/tests/interop/channel/test_channel_blk_client
disk=$MESON_BUILD_ROOT/tests/interop/channel/test_channel_ramdisk
dir=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null; rm -rf "$dir"' EXIT
number=0

# one "WORDS OF THE CLIENT" [WORDS OF THE DISK]
one() {
	local rc
	number=$((number + 1))
	rm -f "$dir/sock"
	"$disk" "$dir/sock" 64 ${2:-} >"$dir/log" 2>&1 &
	server=$!
	for ((i = 0; i < 500; i++)); do
		[[ -S $dir/sock ]] && break
		sleep 0.02
	done
	# shellcheck disable=SC2086
	timeout 60 "$client" "$dir/sock" 2 32 40000 $1 >"$dir/out" 2>&1
	rc=$?
	kill $server
	wait $server 2>/dev/null
	if [[ $rc == 0 ]]; then
		echo "ok $number - ${1:-split} ${2:-}: $(cat "$dir/out")"
	else
		echo "not ok $number - ${1:-split} ${2:-}"
		sed 's/^/# /' "$dir/out" "$dir/log"
	fi
}

one ""
one "event_idx"
one "event_idx indirect"
one "packed"
one "packed event_idx"
one "packed event_idx indirect"
one "packed no_inflight"
one "packed event_idx spin" poll
one "event_idx spin" poll
one "packed event_idx" poll
echo "1..$number"
