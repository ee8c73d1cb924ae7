// SPDX-License-Identifier: GPL-2.0-or-later
/* cli.c - commands as tables */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ring3/cli.h"

#define PATH_LEN 128 /* "ring3 config check" */

struct parse {
	struct r3_args args;
	char path[PATH_LEN];
	const char *pos[R3_CLI_ARGS_MAX];
	bool help;
};

enum { NO, BEGINS, WHOLE };

/* Does @word stand for @name?  Hyphens don't count: "readonly" is "read-only",
 * as other tools have both. */
static int match(const char *name, const char *word, size_t len)
{
	const char *end = word + len;
	bool any = false;

	for (;; name++, word++, any = true) {
		name += strspn(name, "-");
		while (word < end && *word == '-')
			word++;
		if (word == end || *name != *word)
			break;
	}
	return !any || word < end ? NO : *name ? BEGINS : WHOLE;
}

/* The command meant by @word: its whole name, or the only one it begins. */
static const struct r3_cmd *find_cmd(const struct r3_cmd *table,
				     const char *word, bool *ambiguous)
{
	const struct r3_cmd *found = NULL;

	*ambiguous = false;
	for (const struct r3_cmd *c = table; c->name; c++) {
		int m = match(c->name, word, strlen(word));

		if (m == WHOLE) {
			*ambiguous = false;
			return c;
		}
		if (m == BEGINS) {
			*ambiguous |= found != NULL;
			found = c;
		}
	}
	return *ambiguous ? NULL : found;
}

static int find_opt(const struct r3_cmd *cmd, const char *name, size_t len)
{
	int found = -1;

	for (int i = 0; cmd->opts && cmd->opts[i].name; i++) {
		int m = match(cmd->opts[i].name, name, len);

		if (m == WHOLE)
			return i;
		if (m == BEGINS && cmd->opts[i].help)
			found = found == -1 ? i : -2;
	}
	return found;
}

static int find_letter(const struct r3_cmd *cmd, char letter)
{
	for (int i = 0; cmd->opts && cmd->opts[i].name; i++) {
		if (cmd->opts[i].letter == letter)
			return find_opt(cmd, cmd->opts[i].name,
					strlen(cmd->opts[i].name));
	}
	return -1;
}

static void print_usage(FILE *f, const char *path, const struct r3_cmd *cmd)
{
	fprintf(f, "usage: %s%s%s%s%s\n", path,
		cmd->opts && cmd->opts[0].name ? " [OPTION]..." : "",
		cmd->sub ? " COMMAND" : "", cmd->args ? " " : "",
		cmd->args ? cmd->args : "");
}

static int problem(const struct parse *p, const struct r3_cmd *cmd,
		   const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", p->path);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	print_usage(stderr, p->path, cmd);
	fprintf(stderr, "'%s --help' says more\n", p->path);
	return R3_EXIT_USAGE;
}

int r3_cli_usage(const struct r3_args *args, const char *fmt, ...)
{
	const struct parse *p = R3_CONTAINER(args, struct parse, args);
	va_list ap;

	fprintf(stderr, "%s: ", p->path);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	print_usage(stderr, p->path, args->cmd);
	return R3_EXIT_USAGE;
}

static void keep_opt(struct parse *p, int opt, const char *value)
{
	p->args.value[opt] = value;
	p->args.all[p->args.all_count].opt = (unsigned)opt;
	p->args.all[p->args.all_count++].value = value;
}

/* An option's value: what is joined to it, or else the next word. */
static int one_value(struct parse *p, const struct r3_cmd *cmd, int opt,
		     const char *joined, int argc, char **argv, int *at)
{
	if (joined) {
		keep_opt(p, opt, joined);
		return 0;
	}
	if (*at + 1 >= argc)
		return problem(p, cmd, "'%s' needs a value: %s", argv[*at],
			       cmd->opts[opt].arg);
	keep_opt(p, opt, argv[++*at]);
	return 0;
}

/* "--name", "--name=value" or "--name value" */
static int long_opt(struct parse *p, const struct r3_cmd *cmd, int argc,
		    char **argv, int *at)
{
	const char *word = argv[*at], *eq = strchr(word, '=');
	int opt = find_opt(cmd, word + 2, eq ? (size_t)(eq - word - 2)
					     : strlen(word + 2));

	if (opt == -2)
		return problem(p, cmd, "'%s' could be several options; "
			       "write more of it", word);
	if (opt < 0)
		return problem(p, cmd, "there is no option '%s'", word);
	if (cmd->opts[opt].arg)
		return one_value(p, cmd, opt, eq ? eq + 1 : NULL, argc, argv,
				 at);
	if (eq)
		return problem(p, cmd, "'%.*s' takes no value",
			       (int)(eq - word), word);
	keep_opt(p, opt, "");
	return 0;
}

/* "-a", "-ab", "-f value" or "-fvalue"; POSIX, Utility Syntax Guidelines */
static int short_opts(struct parse *p, const struct r3_cmd *cmd, int argc,
		      char **argv, int *at)
{
	for (const char *c = argv[*at] + 1; *c; c++) {
		int opt = find_letter(cmd, *c);

		if (opt < 0)
			return problem(p, cmd, "there is no option '-%c'; "
				       "behind '--' it would be an argument",
				       *c);
		if (cmd->opts[opt].arg)
			return one_value(p, cmd, opt, c[1] ? c + 1 : NULL,
					 argc, argv, at);
		keep_opt(p, opt, "");
	}
	return 0;
}

/* One word that begins with '-'.  *@at may move on to the option's value. */
static int one_opt(struct parse *p, const struct r3_cmd *cmd, int argc,
		   char **argv, int *at)
{
	return argv[*at][1] == '-' ? long_opt(p, cmd, argc, argv, at)
				   : short_opts(p, cmd, argc, argv, at);
}

static bool is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* "send, snapshot, stream": what @word may mean. */
static int ambiguous_cmd(const struct parse *p, const struct r3_cmd *cmd,
			 const char *word)
{
	char names[256] = "";
	size_t len = 0;

	for (const struct r3_cmd *c = cmd->sub; c->name; c++) {
		if (len < sizeof(names) && match(c->name, word, strlen(word)))
			len += (size_t)snprintf(names + len,
						sizeof(names) - len, "%s%s",
						len ? ", " : "", c->name);
	}
	return problem(p, cmd, "'%s' could be one of %s; write more of it",
		       word, names);
}

/* Walk down the tree of commands as far as the words go. */
static int descend(struct parse *p, const struct r3_cmd **cmd, int argc,
		   char **argv, int *at)
{
	bool ambiguous;

	while ((*cmd)->sub && *at < argc) {
		const struct r3_cmd *next;
		size_t len = strlen(p->path);

		if (is_help(argv[*at])) {
			p->help = true;
			return 0;
		}
		if (!strcmp(argv[*at], "help")) { /* of what follows */
			p->help = true;
			++*at;
			continue;
		}
		next = find_cmd((*cmd)->sub, argv[*at], &ambiguous);
		if (!next && ambiguous)
			return ambiguous_cmd(p, *cmd, argv[*at]);
		if (!next)
			return problem(p, *cmd, "there is no command '%s'",
				       argv[*at]);
		snprintf(p->path + len, sizeof(p->path) - len, " %s",
			 next->name);
		*cmd = next;
		++*at;
	}
	if ((*cmd)->sub && !p->help)
		return problem(p, *cmd, "which command?");
	return 0;
}

static int read_words(struct parse *p, const struct r3_cmd *cmd, int argc,
		      char **argv, int at)
{
	bool plain = false;
	int err;

	for (; at < argc; at++) {
		if (!plain && is_help(argv[at])) {
			p->help = true;
			return 0;
		}
		if (!plain && !strcmp(argv[at], "--")) {
			plain = true;
		} else if (!plain && argv[at][0] == '-' && argv[at][1]) {
			err = one_opt(p, cmd, argc, argv, &at);
			if (err)
				return err;
		} else if (p->args.count == R3_CLI_ARGS_MAX) {
			return problem(p, cmd, "too many arguments");
		} else {
			p->pos[p->args.count++] = argv[at];
		}
	}
	if (p->args.count > cmd->max_args)
		return problem(p, cmd, "what is '%s' for?",
			       p->pos[cmd->max_args]);
	if (p->args.count < cmd->min_args)
		return problem(p, cmd, "an argument is missing");
	return 0;
}

/* Each letter of a word may be an option. */
static size_t opts_bound(int argc, char **argv)
{
	size_t n = 1;

	for (int i = 0; i < argc; i++)
		n += strlen(argv[i]);
	return n;
}

int r3_cli_main(const struct r3_cmd *root, int argc, char **argv)
{
	const struct r3_cmd *cmd = root;
	struct parse *p = calloc(1, sizeof(*p));
	int at = 1, ret = R3_EXIT_FAILED;

	if (p)
		p->args.all = calloc(opts_bound(argc, argv),
				     sizeof(*p->args.all));
	if (!p || !p->args.all) {
		fputs("out of memory\n", stderr);
		goto out;
	}
	p->args.pos = p->pos;
	snprintf(p->path, sizeof(p->path), "%s", root->name);
	ret = descend(p, &cmd, argc, argv, &at);
	p->args.cmd = cmd;
	if (!ret && !p->help)
		ret = read_words(p, cmd, argc, argv, at);
	if (!ret && p->help)
		r3_cli_print_help(cmd, p->path);
	else if (!ret)
		ret = cmd->run(&p->args);
	if ((fflush(stdout) || ferror(stdout)) && !ret) {
		fprintf(stderr, "%s: writing the output: %m\n", p->path);
		ret = R3_EXIT_FAILED;
	}
out:
	if (p)
		free(p->args.all);
	free(p);
	return ret;
}

const char *r3_cli_opt(const struct r3_args *args, const char *name)
{
	for (unsigned i = 0; args->cmd->opts && args->cmd->opts[i].name; i++) {
		if (!strcmp(args->cmd->opts[i].name, name))
			return args->value[i];
	}
	assert(!"an option that is not in the command's table");
	return NULL;
}

void r3_cli_print_help(const struct r3_cmd *cmd, const char *path)
{
	print_usage(stdout, path, cmd);
	printf("%s\n", cmd->summary);
	for (const struct r3_cmd *c = cmd->sub; c && c->name; c++)
		printf("  %-12s %s\n", c->name, c->summary);
	if (cmd->sub)
		printf("'%s COMMAND --help' says more\n", path);
	for (const struct r3_opt *o = cmd->opts; o && o->name; o++) {
		char left[64];

		if (!o->help)
			continue;
		snprintf(left, sizeof(left), "%c%c%s --%s%s%s",
			 o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
			 o->letter ? "," : " ", o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
		printf("  %-26s %s\n", left, o->help);
	}
}

static void synopsis(const struct r3_cmd *cmd, const char *path)
{
	char sub[PATH_LEN];

	for (const struct r3_cmd *c = cmd->sub; c && c->name; c++) {
		snprintf(sub, sizeof(sub), "%s %s", path, c->name);
		synopsis(c, sub);
	}
	if (cmd->sub)
		return;
	printf("%s", path);
	for (const struct r3_opt *o = cmd->opts; o && o->name; o++) {
		if (o->help)
			printf(" [--%s%s%s]", o->name, o->arg ? " " : "",
			       o->arg ? o->arg : "");
	}
	printf("%s%s\n", cmd->args ? " " : "", cmd->args ? cmd->args : "");
}

void r3_cli_print_synopsis(const struct r3_cmd *root)
{
	synopsis(root, root->name);
}

/* Every path of commands there is, as patterns of a case. */
static void bash_paths(const struct r3_cmd *cmd, const char *path)
{
	char sub[PATH_LEN];

	for (const struct r3_cmd *c = cmd->sub; c && c->name; c++) {
		snprintf(sub, sizeof(sub), "%s/%s", path, c->name);
		printf("|%s", sub);
		bash_paths(c, sub);
	}
}

/* One case for each path: its commands, its options, those with a value. */
static void bash_cases(const struct r3_cmd *cmd, const char *path)
{
	char sub[PATH_LEN];

	printf("\t'%s') subs='", path);
	for (const struct r3_cmd *c = cmd->sub; c && c->name; c++)
		printf("%s ", c->name);
	printf("' opts='");
	for (const struct r3_opt *o = cmd->opts; o && o->name; o++) {
		if (o->help)
			printf("--%s ", o->name);
	}
	printf("--help' vals=' ");
	for (const struct r3_opt *o = cmd->opts; o && o->name; o++) {
		if (o->arg && o->letter)
			printf("-%c ", o->letter);
		if (o->arg)
			printf("--%s ", o->name);
	}
	printf("' ;;\n");
	for (const struct r3_cmd *c = cmd->sub; c && c->name; c++) {
		snprintf(sub, sizeof(sub), "%s/%s", path, c->name);
		bash_cases(c, sub);
	}
}

/* Where there is nothing to offer, "-o default" offers the names of files.
 * The shell's own "path" and "words" are special in zsh. */
int r3_cli_print_completion(const struct r3_cmd *root, const char *shell)
{
	bool zsh = !strcmp(shell, "zsh");

	if (!zsh && strcmp(shell, "bash"))
		return -EINVAL;
	if (zsh)
		printf("autoload -U +X bashcompinit && bashcompinit\n");
	printf("_%s() {\n"
	       "\tlocal at= subs= opts= vals= i\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]}\n"
	       "\tlocal before=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tcase $at/${COMP_WORDS[i]} in\n\t\t-", root->name);
	bash_paths(root, "");
	printf(") at=$at/${COMP_WORDS[i]} ;;\n\t\tesac\n\tdone\n"
	       "\tcase $at in\n");
	bash_cases(root, "");
	printf("\tesac\n\tCOMPREPLY=()\n"
	       "\tcase $vals in *\" $before \"*) return ;; esac\n"
	       "\tcase $cur in -*) subs=$opts ;; esac\n"
	       "\tCOMPREPLY=($(compgen -W \"$subs\" -- \"$cur\"))\n}\n"
	       "complete -o default -F _%s %s\n", root->name, root->name);
	return 0;
}
