// SPDX-License-Identifier: GPL-2.0-or-later
/* print.c - records of named fields, for people or as JSON, one a line */
#include "print.h"

/* Bytes of the UTF-8 character at @s, 0 when it is none. */
static unsigned utf8_len(const uint8_t *s, size_t left)
{
	unsigned n = *s < 0x80 ? 1 : *s >= 0xc2 && *s < 0xe0 ? 2 :
		     (*s & 0xf0) == 0xe0 ? 3 : *s >= 0xf0 && *s < 0xf5 ? 4 : 0;

	if (!n || n > left)
		return 0;
	for (unsigned i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) ||
	    (*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void print_one(FILE *out, uint8_t c, bool json)
{
	if (json)
		fprintf(out, "\\u%04x", c);
	else
		fprintf(out, "\\x%02x", c);
}

void r3_btrfs_print_name(FILE *out, const char *name, size_t len, bool json)
{
	const uint8_t *s = (const uint8_t *)name;

	if (json)
		putc('"', out);
	for (size_t i = 0; i < len;) {
		unsigned n = utf8_len(s + i, len - i);

		/* U+0080 to U+009F move a terminal's cursor too */
		if (!n || s[i] < 0x20 || s[i] == 0x7f ||
		    (!json && n == 2 && s[i] == 0xc2 && s[i + 1] < 0xa0)) {
			print_one(out, s[i], json);
			n = 1;
		} else {
			if (s[i] == '\\' || (json && s[i] == '"'))
				putc('\\', out);
			fwrite(s + i, 1, n, out);
		}
		i += n;
	}
	if (json)
		putc('"', out);
}

static void name_of(struct btrfs_print *p, const char *name)
{
	if (p->json)
		fprintf(p->out, "%s\"%s\":", p->first ? "" : ",", name);
	else
		fprintf(p->out, "%s%s=", p->first ? "" : " ", name);
	p->first = false;
}

void btrfs_print_open(struct btrfs_print *p, FILE *out, bool json)
{
	*p = (struct btrfs_print){ out, json, true };
	if (json)
		putc('{', out);
}

void btrfs_print_close(struct btrfs_print *p)
{
	fputs(p->json ? "}\n" : "\n", p->out);
}

void btrfs_print_u64(struct btrfs_print *p, const char *name, uint64_t v)
{
	name_of(p, name);
	fprintf(p->out, "%llu", (unsigned long long)v);
}

void btrfs_print_bytes(struct btrfs_print *p, const char *name,
		       const void *bytes, size_t len)
{
	name_of(p, name);
	r3_btrfs_print_name(p->out, bytes, len, p->json);
}

void btrfs_print_text(struct btrfs_print *p, const char *name,
		      const char *text)
{
	btrfs_print_bytes(p, name, text, strlen(text));
}

void btrfs_print_hex(struct btrfs_print *p, const char *name,
		     const uint8_t *bytes, size_t len)
{
	name_of(p, name);
	fputs(p->json ? "\"" : "", p->out);
	for (size_t i = 0; i < len; i++)
		fprintf(p->out, "%02x", bytes[i]);
	fputs(p->json ? "\"" : "", p->out);
}

void btrfs_print_list(struct btrfs_print *p, const char *name)
{
	name_of(p, name);
	putc('[', p->out);
	p->first = true;
}

void btrfs_print_list_end(struct btrfs_print *p)
{
	putc(']', p->out);
	p->first = false;
}

void btrfs_print_record(struct btrfs_print *p)
{
	if (!p->first)
		fputs(p->json ? "," : " ", p->out);
	putc(p->json ? '{' : '(', p->out);
	p->first = true;
}

void btrfs_print_record_end(struct btrfs_print *p)
{
	putc(p->json ? '}' : ')', p->out);
	p->first = false;
}

static uint64_t get(const uint8_t *at, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)at[i] << (8 * i);
	return v;
}

static unsigned kind_size(unsigned kind)
{
	switch (kind) {
	case PRINT_OCTAL:
		return 4;
	case PRINT_HEX:
	case PRINT_SIGNED:
		return 8;
	case PRINT_UUID:
		return 16;
	case PRINT_TIME:
		return 12;
	case PRINT_KEY:
		return 17;
	}
	return kind;
}

static void print_field(struct btrfs_print *p, const struct btrfs_field *f,
			const uint8_t *at)
{
	char text[64];

	switch (f->kind) {
	case PRINT_OCTAL:
		snprintf(text, sizeof(text), "0%o", (unsigned)get(at, 4));
		btrfs_print_text(p, f->name, text);
		break;
	case PRINT_HEX:
		snprintf(text, sizeof(text), "0x%llx",
			 (unsigned long long)get(at, 8));
		btrfs_print_text(p, f->name, text);
		break;
	case PRINT_SIGNED:
		name_of(p, f->name);
		fprintf(p->out, "%lld", (long long)get(at, 8));
		break;
	case PRINT_UUID:
		btrfs_uuid_text(at, text);
		btrfs_print_text(p, f->name, text);
		break;
	case PRINT_TIME:
		snprintf(text, sizeof(text), "%lld.%09u",
			 (long long)get(at, 8), (unsigned)get(at + 8, 4));
		btrfs_print_text(p, f->name, text);
		break;
	case PRINT_KEY:
		btrfs_print_text(p, f->name, btrfs_key_text(btrfs_key_get(
			(const struct btrfs_disk_key *)at)).s);
		break;
	default:
		btrfs_print_u64(p, f->name, get(at, f->kind));
	}
}

void btrfs_print_fields(struct btrfs_print *p, const struct btrfs_field *table,
			unsigned count, const void *base, size_t len)
{
	for (unsigned i = 0; i < count; i++) {
		if (table[i].offset + kind_size(table[i].kind) <= len)
			print_field(p, &table[i],
				    (const uint8_t *)base + table[i].offset);
	}
}
