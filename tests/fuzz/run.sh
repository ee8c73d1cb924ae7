#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run.sh EXE NAME: fuzz for $R3_FUZZ_S seconds (default 6), starting from the
# corpus.  New inputs are thrown away, save the one that fails: that is kept in
# fuzz-failures/ of the build folder, and printed in base64 by libFuzzer.
set -euo pipefail
exe=$1 name=$2
corpus=$MESON_SOURCE_ROOT/tests/fuzz/corpus/$name
failures=$MESON_BUILD_ROOT/fuzz-failures
if ! compgen -G "$corpus/*" >/dev/null; then
	echo "no corpus in $corpus"
	exit 1
fi
mkdir -p "$failures"
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
options=()
[[ -f $corpus.options ]] && read -ra options < "$corpus.options"
"$exe" -max_total_time="${R3_FUZZ_S:-6}" -timeout=10 -rss_limit_mb=2048 \
	-verbosity=1 -print_final_stats=1 -artifact_prefix="$failures/$name-" \
	"${options[@]}" "$new" "$corpus" >"$new.log" 2>&1 || {
	rc=$?
	tail -n 60 "$new.log"
	rm -f "$new.log"
	exit $rc
}
grep -E '^(Done|stat::number_of_executed_units)' "$new.log" || true
rm -f "$new.log"
