// SPDX-License-Identifier: GPL-2.0-or-later
/* conf.c - INI files through inih, every line number kept */
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ring3/conf.h"

/* inih reports a section's header only with its first key: an empty section
 * would be lost, so the headers are also read here, line by line. */
struct reader {
	struct r3_conf *conf;
	FILE *f;
	int line; /* of the text last handed to inih */
	int err;
};

void r3_conf_error(struct r3_conf *conf, int line, const char *fmt, ...)
{
	va_list ap;

	if (line > 0)
		fprintf(stderr, "%s:%d: ", conf->path, line);
	else
		fprintf(stderr, "%s: ", conf->path);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	conf->errors++;
}

static struct r3_conf_section *current(struct r3_conf *conf)
{
	return conf->count ? &conf->v[conf->count - 1] : NULL;
}

static bool name_is_fine(const char *s)
{
	for (; *s; s++) {
		if (!strchr("abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.",
			    *s))
			return false;
	}
	return true;
}

/* "[kind name]", without the brackets. */
static int add_section(struct r3_conf *conf, char *head, int line)
{
	struct r3_conf_section *s;
	char *save, *kind, *name;

	kind = strtok_r(head, " \t", &save);
	name = kind ? strtok_r(NULL, " \t", &save) : NULL;
	if (!kind || strtok_r(NULL, " \t", &save)) {
		r3_conf_error(conf, line,
			      "a section is [KIND] or [KIND NAME], such as "
			      "[driver nvme0]");
		kind = kind ? kind : head;
	} else if (!name_is_fine(kind) || (name && !name_is_fine(name))) {
		r3_conf_error(conf, line,
			      "names are made of letters, digits, '-', '_' and "
			      "'.'");
	}
	for (unsigned i = 0; i < conf->count; i++) {
		if (!strcmp(conf->v[i].kind, kind) &&
		    !strcmp(conf->v[i].name, name ? name : ""))
			r3_conf_error(conf, line,
				      "[%s%s%s] is already at line %d; give "
				      "each section a name of its own",
				      kind, name ? " " : "", name ? name : "",
				      conf->v[i].line);
	}
	if (conf->count == R3_CONF_SECTIONS_MAX) {
		r3_conf_error(conf, line, "more than %d sections",
			      R3_CONF_SECTIONS_MAX);
		return -ENOSPC;
	}
	s = &conf->v[conf->count];
	s->kind = strdup(kind);
	s->name = strdup(name ? name : "");
	s->v = calloc(R3_CONF_ENTRIES_MAX, sizeof(*s->v));
	s->line = line;
	conf->count++;
	return s->kind && s->name && s->v ? 0 : -ENOMEM;
}

/* The rest of a line that has no room in inih's buffer, which would go on in
 * its middle as if it were the next. */
static void skip_line(struct reader *r, size_t room)
{
	int c;

	r3_conf_error(r->conf, r->line, "a line has at most %zu bytes, and "
		      "this one is longer", room);
	while ((c = getc(r->f)) != EOF && c != '\n')
		;
}

/* Hands lines to inih, and keeps the section headers for itself. */
static char *next_line(char *buf, int size, void *stream)
{
	struct reader *r = stream;
	char *p, *end;

	if (r->err || !fgets(buf, size, r->f))
		return NULL;
	r->line++;
	if (!strchr(buf, '\n') && !feof(r->f)) {
		skip_line(r, (size_t)size - 2);
		strcpy(buf, ";\n");
		return buf;
	}
	p = buf + strspn(buf, " \t\xef\xbb\xbf");
	if (*p != '[')
		return buf;
	end = strchr(p, ']');
	if (!end) {
		r3_conf_error(r->conf, r->line,
			      "no ']' at the end of the section's name");
	} else {
		*end = 0;
		r->err = add_section(r->conf, p + 1, r->line);
	}
	strcpy(buf, ";\n"); /* a comment: inih has nothing to do here */
	return buf;
}

static int one_entry(void *user, const char *section, const char *key,
		     const char *value)
{
	struct reader *r = user;
	struct r3_conf_section *s = current(r->conf);
	struct r3_conf_entry *e;

	(void)section;
	if (!s) {
		r3_conf_error(r->conf, r->line,
			      "'%s' stands before the first [section]", key);
		return 1;
	}
	for (unsigned i = 0; i < s->count; i++) {
		if (!strcmp(s->v[i].key, key)) {
			r3_conf_error(r->conf, r->line,
				      "'%s' is already set at line %d; remove "
				      "one of the two",
				      key, s->v[i].line);
			return 1;
		}
	}
	if (s->count == R3_CONF_ENTRIES_MAX) {
		r3_conf_error(r->conf, r->line, "more than %d keys in one "
			      "section", R3_CONF_ENTRIES_MAX);
		return 1;
	}
	e = &s->v[s->count];
	e->key = strdup(key);
	e->value = strdup(value);
	e->line = r->line;
	s->count++;
	if (!e->key || !e->value)
		r->err = -ENOMEM;
	return 1;
}

static int read_all(struct r3_conf *conf, FILE *f)
{
	struct reader r = { .conf = conf, .f = f };
	int line = ini_parse_stream(next_line, &r, one_entry, &r);

	if (r.err)
		return r.err;
	if (ferror(f))
		return -EIO;
	if (line > 0)
		r3_conf_error(conf, line,
			      "neither 'key = value', [section] nor a comment");
	return conf->errors ? -EINVAL : 0;
}

int r3_conf_read(struct r3_conf **out, const char *path)
{
	struct r3_conf *conf = calloc(1, sizeof(*conf));
	struct stat st;
	FILE *f = NULL;
	int err = -ENOMEM;

	if (!conf)
		return -ENOMEM;
	conf->path = strdup(path);
	conf->v = calloc(R3_CONF_SECTIONS_MAX, sizeof(*conf->v));
	if (!conf->path || !conf->v)
		goto fail;
	f = fopen(path, "re");
	if (!f || fstat(fileno(f), &st)) {
		err = -errno;
		goto fail;
	}
	err = S_ISDIR(st.st_mode) ? -EISDIR : -ENODEV;
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		goto fail; /* some, such as /dev/zero, have no end */
	err = -EFBIG;
	if (st.st_size > R3_CONF_FILE_MAX)
		goto fail;
	err = read_all(conf, f);
	if (err)
		goto fail;
	fclose(f);
	*out = conf;
	return 0;

fail:
	if (f)
		fclose(f);
	r3_conf_free(conf);
	return err;
}

void r3_conf_free(struct r3_conf *conf)
{
	if (!conf)
		return;
	for (unsigned i = 0; i < conf->count; i++) {
		struct r3_conf_section *s = &conf->v[i];

		for (unsigned j = 0; j < s->count; j++) {
			free(s->v[j].key);
			free(s->v[j].value);
		}
		free(s->v);
		free(s->kind);
		free(s->name);
	}
	free(conf->v);
	free(conf->path);
	free(conf);
}

const struct r3_conf_entry *r3_conf_get(struct r3_conf_section *s,
					const char *key)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (!strcmp(s->v[i].key, key)) {
			s->v[i].used = true;
			return &s->v[i];
		}
	}
	return NULL;
}
