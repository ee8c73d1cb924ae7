// SPDX-License-Identifier: GPL-2.0-or-later
/* conf.c - configuration files: what is read, and what is said of errors */
#include <fcntl.h>
#include <sys/mman.h>

#include "test.h"
#include "ring3/conf.h"

static char path[] = "/tmp/ring3-conf-XXXXXX";

/* Read @text as a file; what went to standard error goes to @said. */
static int read_text(const char *text, struct r3_conf **out, char *said,
		     size_t room)
{
	int fd = mkstemp(strcpy(path, "/tmp/ring3-conf-XXXXXX"));
	int saved = dup(2), log = memfd_create("stderr", 0), err;
	ssize_t n;

	assert_true(fd >= 0 && saved >= 0 && log >= 0);
	assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	dup2(log, 2);
	err = r3_conf_read(out, path);
	dup2(saved, 2);
	n = pread(log, said, room - 1, 0);
	said[n < 0 ? 0 : n] = 0;
	close(saved);
	close(log);
	unlink(path);
	return err;
}

static void reads_sections_and_lines(void **state)
{
	struct r3_conf *conf;
	const struct r3_conf_entry *e;
	char said[4096];

	(void)state;
	assert_int_equal(read_text("# a comment\n"
				   "[node]\nname = first ; why not\n\n"
				   "[driver nvme0]\ndevice=disk0\n[empty one]",
				   &conf, said, sizeof(said)),
			 0);
	assert_string_equal(said, "");
	assert_int_equal(conf->count, 3);
	assert_string_equal(conf->v[0].kind, "node");
	assert_string_equal(conf->v[0].name, "");
	e = r3_conf_get(&conf->v[0], "name");
	assert_string_equal(e->value, "first");
	assert_int_equal(e->line, 3);
	assert_true(e->used);
	assert_string_equal(conf->v[1].name, "nvme0");
	assert_int_equal(conf->v[1].line, 5);
	assert_null(r3_conf_get(&conf->v[1], "name"));
	assert_string_equal(conf->v[2].kind, "empty");
	assert_int_equal(conf->v[2].count, 0);
	r3_conf_free(conf);
}

#define LONG                                                 \
	"0123456789012345678901234567890123456789012345678"  \
	"0123456789012345678901234567890123456789012345678"

static void names_file_and_line(void **state)
{
	static const struct {
		const char *name, *text, *line, *says;
	} rows[] = {
		{ "key before any section", "a = 1\n", ":1: ",
		  "before the first [section]" },
		{ "no value", "[node]\nname\n", ":2: ", "key = value" },
		{ "open bracket", "[node\n", ":1: ", "no ']'" },
		{ "nothing in it", "[]\n", ":1: ", "[KIND NAME]" },
		{ "three words", "[a b c]\n", ":1: ", "[KIND NAME]" },
		{ "slash in a name", "[driver a/b]\n", ":1: ",
		  "names are made of" },
		{ "section twice", "[a b]\n[a b]\n", ":2: ",
		  "already at line 1" },
		{ "a long line", "[a b]\nx = " LONG LONG "\ny = 1\n", ":2: ",
		  "this one is longer" },
		{ "key twice", "[a b]\nx = 1\nx = 2\n", ":3: ",
		  "already set at line 2" },
	};

	(void)state;
	for (size_t i = 0; i < R3_COUNT(rows); i++) {
		struct r3_conf *conf;
		char said[4096], want[64];

		ROW(rows[i].name);
		assert_int_equal(read_text(rows[i].text, &conf, said,
					   sizeof(said)),
				 -EINVAL);
		snprintf(want, sizeof(want), "%s%s", path, rows[i].line);
		assert_int_equal(strncmp(said, want, strlen(want)), 0);
		assert_non_null(strstr(said, rows[i].says));
	}
}

static void says_when_there_is_no_file(void **state)
{
	struct r3_conf *conf;

	(void)state;
	assert_int_equal(r3_conf_read(&conf, "/nonexistent/x.conf"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_sections_and_lines),
		cmocka_unit_test(names_file_and_line),
		cmocka_unit_test(says_when_there_is_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
