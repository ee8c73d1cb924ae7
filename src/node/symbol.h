/* SPDX-License-Identifier: GPL-2.0-or-later */
/* symbol.h - names for the addresses of a crash */
#ifndef NODE_SYMBOL_H
#define NODE_SYMBOL_H

#include "ring3/base.h"

#define SYMBOL_LEN 80

/**
 * symbol_names() - "function+0x12" for each address, or ""
 * @program: path of a static ELF program that is not relocated
 * @count:   at most 32
 *
 * Bounded by the size of the program.  A program that can't be read gives no
 * names.
 */
void symbol_names(const char *program, const uint64_t *addrs, unsigned count,
		  char (*names)[SYMBOL_LEN]);

#endif
