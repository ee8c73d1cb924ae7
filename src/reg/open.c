// SPDX-License-Identifier: GPL-2.0-or-later
/* open.c - a database and its signature from the file system */
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "reg_priv.h"

static const char *const installed[] = {
	"/lib/firmware/regulatory.db",
	"/usr/lib/firmware/regulatory.db",
};

/* All of a file of at most R3_REG_DB_MAX bytes; malloc()ed. */
static int read_all(const char *path, uint8_t **out, size_t *len,
		    struct r3_reg_err *err)
{
	uint8_t *bytes = malloc(R3_REG_DB_MAX + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got = -1;

	if (bytes && fd >= 0)
		while (n <= R3_REG_DB_MAX &&
		       (got = read(fd, bytes + n, R3_REG_DB_MAX + 1 - n)) > 0)
			n += (size_t)got;
	if (!bytes || fd < 0 || got < 0) {
		int code = bytes ? -errno : -ENOMEM;

		free(bytes);
		if (fd >= 0)
			close(fd);
		return reg_fail(err, code, 0, "%s: %s", path, strerror(-code));
	}
	close(fd);
	if (n > R3_REG_DB_MAX) {
		free(bytes);
		return reg_fail(err, -EFBIG, R3_REG_DB_MAX,
				"%s: more than %u bytes", path, R3_REG_DB_MAX);
	}
	*out = bytes;
	*len = n;
	return 0;
}

static const char *db_path(const struct r3_reg_source *s)
{
	if (s->db)
		return s->db;
	for (unsigned i = 0; i < R3_COUNT(installed); i++)
		if (!access(installed[i], R_OK))
			return installed[i];
	return installed[0];
}

/*
 * FILE.p7s; for regulatory.db-debian, regulatory.db.p7s-debian: Debian's two
 * alternatives each have a signature of their own.
 */
static void sig_path(const char *db, char *out, size_t max)
{
	const char *name = strrchr(db, '/');
	const char *kind = strrchr(name ? name : db, '-');
	int stem = kind ? (int)(kind - db) : (int)strlen(db);

	snprintf(out, max, "%.*s.p7s%s", stem, db, kind ? kind : "");
	if (access(out, F_OK))
		snprintf(out, max, "%s.p7s", db);
}

static int check_sig(const struct r3_reg_source *s, const char *db,
		     const uint8_t *bytes, size_t len, struct r3_reg_err *err)
{
	struct r3_reg_trust *trust;
	uint8_t *sig;
	size_t sig_len;
	char path[4096];
	int code;

	if (!s->sig)
		sig_path(db, path, sizeof(path));
	code = read_all(s->sig ? s->sig : path, &sig, &sig_len, err);
	if (code) {
		if (err && code == -ENOENT && !s->sig)
			snprintf(err->reason, sizeof(err->reason),
				 "no signature beside it (%.120s); --sig names one, --unsigned goes without",
				 path);
		return code;
	}
	code = r3_reg_trust_new(&trust, s->certs, err);
	if (!code) {
		code = r3_reg_verify(trust, bytes, len, sig, sig_len, NULL, 0,
				     err);
		r3_reg_trust_free(trust);
	}
	free(sig);
	return code;
}

static void put_hash(struct r3_reg_db *db)
{
	unsigned char sum[SHA256_DIGEST_LENGTH];

	SHA256(db->bytes, db->len, sum);
	for (unsigned i = 0; i < sizeof(sum); i++)
		snprintf(db->hash + 2 * i, 3, "%02x", sum[i]);
}

int r3_reg_db_open(struct r3_reg_db **out, const struct r3_reg_source *source,
		   struct r3_reg_err *err)
{
	const char *path = db_path(source);
	uint8_t *bytes;
	size_t len;
	int code = read_all(path, &bytes, &len, err);

	if (code)
		return code;
	if (!source->unsigned_ok)
		code = check_sig(source, path, bytes, len, err);
	if (!code)
		code = r3_reg_db_parse(out, bytes, len, err);
	if (!code)
		put_hash(*out);
	free(bytes);
	return code;
}
