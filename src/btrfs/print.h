/* SPDX-License-Identifier: GPL-2.0-or-later */
/* print.h - records of named fields, for people or as JSON, one a line */
#ifndef BTRFS_PRINT_H
#define BTRFS_PRINT_H

#include "priv.h"

struct btrfs_print {
	FILE *out;
	bool json;
	bool first; /* no comma before the next field */
};

/* A field of a disk struct. */
struct btrfs_field {
	const char *name;
	uint16_t offset;
	uint8_t kind; /* 1, 2, 4, 8: little endian bytes; else PRINT_* */
};
enum { PRINT_OCTAL = 16, PRINT_HEX, PRINT_UUID, PRINT_TIME, PRINT_KEY,
       PRINT_SIGNED };

void btrfs_print_open(struct btrfs_print *p, FILE *out, bool json);
void btrfs_print_close(struct btrfs_print *p); /* ends the line */
void btrfs_print_u64(struct btrfs_print *p, const char *name, uint64_t v);
void btrfs_print_bytes(struct btrfs_print *p, const char *name,
		       const void *bytes, size_t len);
void btrfs_print_text(struct btrfs_print *p, const char *name,
		      const char *text);
void btrfs_print_hex(struct btrfs_print *p, const char *name,
		     const uint8_t *bytes, size_t len);
void btrfs_print_fields(struct btrfs_print *p, const struct btrfs_field *table,
			unsigned count, const void *base, size_t len);
/* A list of records inside the record. */
void btrfs_print_list(struct btrfs_print *p, const char *name);
void btrfs_print_list_end(struct btrfs_print *p);
void btrfs_print_record(struct btrfs_print *p);
void btrfs_print_record_end(struct btrfs_print *p);

#endif
