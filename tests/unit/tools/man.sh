#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every manual page is accepted by scdoc, and what it makes by mandoc's lint.
set -u
shopt -s nullglob
pages=("$MESON_SOURCE_ROOT"/man/*.scd)
if ((${#pages[@]} == 0)); then
	echo "SKIP: no manual pages in man/"
	exit 77
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
number=0
for page in "${pages[@]}"; do
	number=$((number + 1))
	name=$(basename "$page" .scd)
	scdoc < "$page" > "$out/$name" 2> "$out/err"
	# scdoc writes more paragraph breaks than needed; that is no mistake.
	mandoc -Tlint -Wwarning "$out/$name" 2>&1 |
		grep -v 'skipping paragraph macro' >> "$out/err"
	if [[ ! -s $out/err ]]; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		sed "s|$out/||; s/^/# /" "$out/err"
	fi
done
echo "1..$number"
