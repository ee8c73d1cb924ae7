// SPDX-License-Identifier: GPL-2.0-or-later
/* read_value.c - what all sections of a node's file have: keys, words, files */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "near.h"
#include "read.h"

char *read_keep(struct reading *r, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		r->no_memory = true;
	return copy;
}

char *read_absolute(struct reading *r, const char *path)
{
	char out[2 * R3_NODE_PATH_MAX];

	if (*path == '/')
		return read_keep(r, path);
	snprintf(out, sizeof(out), "%s/%s", r->dir, path);
	return read_keep(r, out);
}

void read_check_file(struct reading *r, int line, const char *key,
		     const char *path, int mode)
{
	struct stat st;

	if (stat(path, &st))
		r3_conf_error(r->conf, line, "%s: %s: %s; name a file that "
			      "exists", key, path, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		r3_conf_error(r->conf, line, "%s: %s is a folder; name a file",
			      key, path);
	else if (access(path, mode))
		r3_conf_error(r->conf, line, "%s: %s: %s; %s", key, path,
			      strerror(errno), mode & W_OK ?
			      "it must be readable and writable" :
			      "it must be readable");
}

const struct r3_key *read_find_key(const struct r3_key *keys,
				   const char *name)
{
	for (const struct r3_key *k = keys; k->name; k++) {
		if (!strcmp(k->name, name))
			return k;
	}
	return NULL;
}

static void unknown_key(struct reading *r, const struct r3_conf_entry *e,
			const struct r3_key *keys, const struct r3_key *more,
			const char *where)
{
	struct near n = { .word = e->key };
	char hint[96];

	for (const struct r3_key *k = keys; k->name; k++)
		near_try(&n, k->name);
	for (const struct r3_key *k = more; k && k->name; k++)
		near_try(&n, k->name);
	r3_conf_error(r->conf, e->line, "%s has no key '%s'%s", where, e->key,
		      near_hint(&n, hint, sizeof(hint)));
}

void read_check_unused(struct reading *r, struct r3_conf_section *s,
		       const struct r3_key *keys, const struct r3_key *more,
		       const char *where)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (!s->v[i].used)
			unknown_key(r, &s->v[i], keys, more, where);
	}
}

const struct r3_node_opt *read_opt(const struct r3_node_server *s,
				   const char *key)
{
	for (unsigned i = 0; i < s->opt_count; i++) {
		if (!strcmp(s->opts[i].key, key))
			return &s->opts[i];
	}
	return NULL;
}
