/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test.h - what every cmocka test includes, in the order cmocka wants */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* Name the row in the output before its assertions can fail. */
#define ROW(name) print_message("  row: %s\n", (name))

#endif
