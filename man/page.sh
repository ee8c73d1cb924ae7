#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# page.sh RING3 PAGE.scd: print a manual page, with @SYNOPSIS@ in it replaced
# by what `ring3 synopsis` says.
set -euo pipefail
synopsis=$("$1" synopsis |
	sed -e 's/[][*_\\<>#]/\\&/g' -e 's/^ring3/*ring3*/' \
	    -e '$!s/$/++/')
while IFS= read -r line; do
	if [[ $line == @SYNOPSIS@ ]]; then
		printf '%s\n' "$synopsis"
	else
		printf '%s\n' "$line"
	fi
done < "$2" | scdoc
