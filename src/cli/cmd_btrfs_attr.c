// SPDX-License-Identifier: GPL-2.0-or-later
/* cmd_btrfs_attr.c - ring3 btrfs chmod, chown, xattr */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd_btrfs_edit.h"
#include "output.h"

/* ---- modes -------------------------------------------------------------- */

/* "ug", "a", "": the permission bits of whom; 07777 for all. */
static mode_t parse_who(const char **p, bool *given)
{
	mode_t who = 0;

	for (;; ++*p) {
		if (**p == 'u')
			who |= S_ISUID | S_IRWXU;
		else if (**p == 'g')
			who |= S_ISGID | S_IRWXG;
		else if (**p == 'o')
			who |= S_ISVTX | S_IRWXO;
		else if (**p == 'a')
			who |= 07777;
		else
			break;
	}
	*given = who;
	return who ? who : 07777;
}

/* "rwX", or "g": as the group has it.  Bits for everybody. */
static bool parse_bits(const char **p, mode_t old, mode_t *out)
{
	mode_t bits = 0;

	if (**p == 'u' || **p == 'g' || **p == 'o') {
		bits = old >> (**p == 'u' ? 6 : **p == 'g' ? 3 : 0) & 7;
		*out = bits << 6 | bits << 3 | bits;
		++*p;
		return true;
	}
	for (; **p && !strchr(",+-=", **p); ++*p) {
		if (**p == 'r')
			bits |= 0444;
		else if (**p == 'w')
			bits |= 0222;
		else if (**p == 'x')
			bits |= 0111;
		else if (**p == 'X')
			bits |= S_ISDIR(old) || old & 0111 ? 0111 : 0;
		else if (**p == 's')
			bits |= S_ISUID | S_ISGID;
		else if (**p == 't')
			bits |= S_ISVTX;
		else
			return false;
	}
	*out = bits;
	return true;
}

/* "u+x", "go=rX-w" up to a comma or the end */
static bool parse_clause(const char **p, mode_t *mode)
{
	bool given;
	mode_t who = parse_who(p, &given), all = who, bits;

	if (!given)
		who &= ~cli_umask();
	if (!**p || !strchr("+-=", **p))
		return false;
	while (**p && **p != ',') {
		char op = *(*p)++;

		if (!strchr("+-=", op) || !parse_bits(p, *mode, &bits))
			return false;
		bits &= who;
		/* a directory keeps what it does to new files */
		if (op == '=')
			*mode &= ~(S_ISDIR(*mode) ? all & 01777 : all);
		*mode = op == '-' ? *mode & ~bits : *mode | bits;
	}
	return true;
}

bool edit_parse_mode(const char *text, mode_t old, mode_t *out)
{
	mode_t mode = old;
	char *end;

	if (*text >= '0' && *text <= '7') {
		unsigned long n = strtoul(text, &end, 8);

		/* as chmod(1): only 5 digits take these from a directory */
		if (S_ISDIR(old) && end - text < 5)
			n |= old & (S_ISUID | S_ISGID);
		*out = (mode_t)n & 07777;
		return !*end && n <= 07777;
	}
	for (;; text++) {
		if (!parse_clause(&text, &mode))
			return false;
		if (!*text)
			break;
	}
	*out = mode & 07777;
	return true;
}

/* What is at @path, and with @recursive all below it. */
static int change(const struct btrfs_image *img, const char *path, bool follow,
		  bool recursive, edit_inode_fn *each, const void *arg)
{
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	int err = edit_lookup(img, path, follow, &in, &st);

	if (err)
		return err;
	err = each(img, in, arg);
	if (!err && recursive && S_ISDIR(st.st.st_mode))
		err = edit_each_below(img, in, 0, each, arg);
	return err ? edit_fail(img, path, err) : 0;
}

/* A symbolic link has no mode of its own. */
static int chmod_inode(const struct btrfs_image *img, struct r3_btrfs_inode in,
		       const void *text)
{
	struct r3_btrfs_attr attr = { .set = R3_BTRFS_SET_MODE };
	struct r3_btrfs_stat st;
	int err = r3_btrfs_stat(img->fs, in, &st);

	if (err || S_ISLNK(st.st.st_mode))
		return err;
	edit_parse_mode(text, st.st.st_mode, &attr.mode);
	return r3_btrfs_setattr(img->fs, in, &attr);
}

int r3_btrfs_cmd_chmod(const struct r3_args *args)
{
	struct btrfs_image img;
	mode_t mode;
	int err;

	if (!edit_parse_mode(args->pos[1], 0, &mode))
		return r3_cli_usage(args, "'%s' is no mode, as 644 or u+x,g-w",
				    args->pos[1]);
	err = btrfs_open_image_rw(args->pos[0], NULL, &img);
	if (err)
		return err;
	for (unsigned i = 2; !err && i < args->count; i++)
		err = change(&img, args->pos[i], true,
			     r3_cli_opt(args, "recursive"), chmod_inode,
			     args->pos[1]);
	return edit_save(&img, err);
}

/* ---- owners ------------------------------------------------------------- */

/* A number, or a name of this machine. */
static bool parse_id(const char *text, size_t len, bool group, uint32_t *out)
{
	char name[256];
	uint64_t n;

	if (len >= sizeof(name))
		return false;
	memcpy(name, text, len);
	name[len] = 0;
	if (!r3_parse_uint(name, &n)) {
		*out = (uint32_t)n;
		return n < UINT32_MAX;
	}
	if (group) {
		const struct group *g = getgrnam(name);

		*out = g ? g->gr_gid : 0;
		return g;
	} else {
		const struct passwd *u = getpwnam(name);

		*out = u ? u->pw_uid : 0;
		return u;
	}
}

/* "user", "user:group", ":group"; "user:" for the group of the user's login */
static bool parse_owner(const char *text, struct r3_btrfs_attr *attr)
{
	size_t len = strcspn(text, ":");
	const struct passwd *u;

	if (len && !parse_id(text, len, false, &attr->uid))
		return false;
	attr->set |= len ? R3_BTRFS_SET_UID : 0;
	if (!text[len])
		return len;
	text += len + 1;
	u = len && !*text ? getpwuid(attr->uid) : NULL;
	if (u)
		attr->gid = u->pw_gid;
	else if (!parse_id(text, strlen(text), true, &attr->gid))
		return false;
	attr->set |= R3_BTRFS_SET_GID;
	return true;
}

/* As chown(2): a program that would run as another one's no longer does. */
static int chown_inode(const struct btrfs_image *img, struct r3_btrfs_inode in,
		       const void *to)
{
	struct r3_btrfs_attr attr = *(const struct r3_btrfs_attr *)to;
	struct r3_btrfs_stat st;
	int err = r3_btrfs_stat(img->fs, in, &st);

	if (err)
		return err;
	if (S_ISREG(st.st.st_mode) && st.st.st_mode & (S_ISUID | S_ISGID)) {
		attr.set |= R3_BTRFS_SET_MODE;
		attr.mode = st.st.st_mode & ~(mode_t)S_ISUID;
		if (attr.mode & S_IXGRP)
			attr.mode &= ~(mode_t)S_ISGID;
	}
	return r3_btrfs_setattr(img->fs, in, &attr);
}

int r3_btrfs_cmd_chown(const struct r3_args *args)
{
	struct r3_btrfs_attr attr = { 0 };
	struct btrfs_image img;
	int err;

	if (!parse_owner(args->pos[1], &attr))
		return r3_cli_usage(args, "'%s': no such user or group here; "
				    "USER, USER:, USER:GROUP or :GROUP, "
				    "names or numbers", args->pos[1]);
	err = btrfs_open_image_rw(args->pos[0], NULL, &img);
	if (err)
		return err;
	for (unsigned i = 2; !err && i < args->count; i++)
		err = change(&img, args->pos[i], false,
			     r3_cli_opt(args, "recursive"), chown_inode,
			     &attr);
	return edit_save(&img, err);
}

/* ---- xattrs ------------------------------------------------------------- */

struct xattr_show {
	bool json;
	const char *only; /* or NULL: all */
	bool found;
};

static void print_json(const char *name, size_t name_len, const uint8_t *value,
		       size_t len)
{
	printf("{\"name\":");
	r3_btrfs_print_name(stdout, name, name_len, true);
	printf(",\"value\":\"");
	for (size_t i = 0; i < len; i++)
		printf("%02x", value[i]);
	printf("\"}\n");
}

static int show_xattr(void *arg, const char *name, size_t name_len,
		      const void *value, size_t len)
{
	struct xattr_show *s = arg;

	if (s->only && (strlen(s->only) != name_len ||
			memcmp(s->only, name, name_len)))
		return 0;
	s->found = true;
	if (s->json) {
		print_json(name, name_len, value, len);
	} else if (s->only) {
		fwrite(value, 1, len, stdout);
	} else {
		r3_btrfs_print_name(stdout, name, name_len, false);
		putchar('\n');
	}
	return 0;
}

/* get and list */
int r3_btrfs_cmd_xattr_show(const struct r3_args *args)
{
	struct xattr_show show = {
		.json = r3_cli_opt(args, "json"),
		.only = args->count > 2 ? args->pos[2] : NULL,
	};
	struct r3_btrfs_inode in;
	struct btrfs_image img;
	int err = btrfs_open_image(args, &img);

	if (err)
		return err;
	err = btrfs_lookup(img.fs, args->pos[1], false, &in);
	if (!err)
		err = r3_btrfs_each_xattr(img.fs, in, show_xattr, &show);
	if (err || !show.only || show.found)
		return btrfs_close_image(&img, err);
	fprintf(stderr, "%s: %s: has no xattr %s\n", img.name, args->pos[1],
		show.only);
	return btrfs_close_image(&img, R3_EXIT_FAILED);
}

/* Two digits a byte; @out holds half of @text. */
static bool parse_hex(const char *text, uint8_t *out, size_t *len)
{
	for (*len = 0; text[0]; text += 2, ++*len) {
		const char digits[] = { text[0], text[1], 0 };

		/* strtoul() would take a sign or a space */
		if (strspn(digits, "0123456789abcdefABCDEF") != 2)
			return false;
		out[*len] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

/* Those of Linux and Btrfs.  A kernel that mounts the image would show others,
 * but neither read nor remove them. */
static bool is_xattr_name(const char *name)
{
	static const char *const begin[] = { "user.", "trusted.", "security.",
					     "btrfs." };

	for (unsigned i = 0; i < R3_COUNT(begin); i++) {
		size_t len = strlen(begin[i]);

		if (!strncmp(name, begin[i], len) && name[len])
			return true;
	}
	return !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

int r3_btrfs_cmd_xattr_set(const struct r3_args *args)
{
	const char *path = args->pos[1], *name = args->pos[2];
	size_t len = strlen(args->pos[3]);
	uint8_t *bytes = malloc(len + 1);
	const void *value = args->pos[3];
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	struct btrfs_image img;
	int err;

	if (!bytes)
		return R3_EXIT_FAILED;
	if (!is_xattr_name(name)) {
		free(bytes);
		return r3_cli_usage(args, "'%s' is no xattr: they are named "
				    "user.*, trusted.*, security.*, btrfs.*, "
				    "system.posix_acl_access or _default",
				    name);
	}
	if (r3_cli_opt(args, "hex")) {
		if (!parse_hex(args->pos[3], bytes, &len)) {
			free(bytes);
			return r3_cli_usage(args, "--hex: two digits a byte");
		}
		value = bytes;
	}
	err = btrfs_open_image_rw(args->pos[0], NULL, &img);
	if (err) {
		free(bytes);
		return err;
	}
	err = edit_lookup(&img, path, false, &in, &st);
	if (!err) {
		err = r3_btrfs_setxattr(img.fs, in, name, strlen(name), value,
					len, 0);
		if (err)
			edit_fail(&img, path, err);
	}
	free(bytes);
	return edit_save(&img, err);
}

int r3_btrfs_cmd_xattr_remove(const struct r3_args *args)
{
	struct r3_btrfs_inode in;
	struct r3_btrfs_stat st;
	struct btrfs_image img;
	int err = btrfs_open_image_rw(args->pos[0], NULL, &img);

	if (err)
		return err;
	err = edit_lookup(&img, args->pos[1], false, &in, &st);
	for (unsigned i = 2; !err && i < args->count; i++) {
		const char *name = args->pos[i];

		err = r3_btrfs_removexattr(img.fs, in, name, strlen(name));
		if (err)
			edit_fail(&img, args->pos[1], err);
	}
	return edit_save(&img, err);
}
