/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cert.h - the certificates of data/reg/certs, put in by embed.py */
#ifndef REG_CERT_H
#define REG_CERT_H

struct reg_cert {
	const unsigned char *der;
	unsigned len; /* 0 ends the table */
};

extern const struct reg_cert reg_certs_builtin[];

#endif
