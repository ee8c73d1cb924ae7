// SPDX-License-Identifier: GPL-2.0-or-later
/* symbol.c - names for the addresses of a crash, from the program's symtab */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbol.h"

struct image {
	const uint8_t *p;
	size_t len;
};

static const void *at(const struct image *im, uint64_t off, uint64_t len)
{
	uint64_t end;

	if (!r3_add(off, len, &end) || end > im->len ||
	    !r3_is_aligned(off, 8))
		return NULL;
	return im->p + off;
}

static const Elf64_Shdr *sections(const struct image *im, unsigned *count)
{
	const Elf64_Ehdr *h = at(im, 0, sizeof(*h));

	/* ET_DYN is moved about: its symbols are not at these addresses */
	if (!h || memcmp(h->e_ident, ELFMAG, SELFMAG) ||
	    h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_type != ET_EXEC ||
	    h->e_shentsize != sizeof(Elf64_Shdr))
		return NULL;
	*count = h->e_shnum;
	return at(im, h->e_shoff, (uint64_t)*count * sizeof(Elf64_Shdr));
}

static void name_one(const char *strings, uint64_t len, const Elf64_Sym *s,
		     uint64_t addr, char *out)
{
	if (s->st_name >= len)
		return;
	snprintf(out, SYMBOL_LEN, "%.*s+0x%llx",
		 (int)r3_min(len - s->st_name, SYMBOL_LEN / 2),
		 strings + s->st_name,
		 (unsigned long long)(addr - s->st_value));
}

static void look_through(const struct image *im, const Elf64_Shdr *table,
			 const Elf64_Shdr *names, const uint64_t *addrs,
			 unsigned count, char (*out)[SYMBOL_LEN])
{
	const Elf64_Sym *s = at(im, table->sh_offset, table->sh_size);
	const char *strings = at(im, r3_align_down(names->sh_offset, 8),
				 names->sh_size + names->sh_offset % 8);

	if (!s || !strings)
		return;
	strings += names->sh_offset % 8;
	for (uint64_t i = 0; i < table->sh_size / sizeof(*s); i++, s++) {
		if (ELF64_ST_TYPE(s->st_info) != STT_FUNC)
			continue;
		for (unsigned j = 0; j < count; j++) {
			if (addrs[j] >= s->st_value &&
			    addrs[j] - s->st_value < s->st_size)
				name_one(strings, names->sh_size, s, addrs[j],
					 out[j]);
		}
	}
}

void symbol_names(const char *program, const uint64_t *addrs, unsigned count,
		  char (*names)[SYMBOL_LEN])
{
	int fd = open(program, O_RDONLY | O_CLOEXEC);
	const Elf64_Shdr *sec;
	struct image im;
	struct stat st;
	unsigned n = 0;
	void *p;

	memset(names, 0, (size_t)count * SYMBOL_LEN);
	if (fd < 0)
		return;
	if (fstat(fd, &st) || st.st_size <= 0) {
		close(fd);
		return;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return;
	im = (struct image){ p, (size_t)st.st_size };
	sec = sections(&im, &n);
	for (unsigned i = 0; sec && i < n; i++) {
		if (sec[i].sh_type == SHT_SYMTAB && sec[i].sh_link < n)
			look_through(&im, &sec[i], &sec[sec[i].sh_link],
				     addrs, count, names);
	}
	munmap(p, im.len);
}
