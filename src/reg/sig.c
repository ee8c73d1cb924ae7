// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sig.c - who signed a database: detached PKCS#7 against trusted certificates
 *
 * The signer is looked up among the trusted certificates, never among the
 * file's ones; one inside must be the very same.  Validity dates are not looked
 * at, as in the kernel: a database must stay usable after its signer's
 * certificate ran out.
 */
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cert.h"
#include "reg_priv.h"

/* DER; decoding one takes OpenSSL longer than all the rest, so it waits until
 * a signature needs it. */
struct blob {
	unsigned char *der; /* NULL: built in */
	const unsigned char *p;
	size_t len;
};

struct r3_reg_trust {
	struct blob v[R3_REG_CERTS_MAX];
	unsigned count;
};

/* Take over @der. */
static int add_der(struct r3_reg_trust *t, unsigned char *der, long len)
{
	const unsigned char *p = der;
	X509 *cert = d2i_X509(NULL, &p, len);
	int err = !cert				    ? -EINVAL :
		  p != der + len		    ? -EINVAL :
		  t->count == R3_REG_CERTS_MAX ? -ENOSPC :
						 0;

	X509_free(cert);
	if (err)
		free(der);
	else
		t->v[t->count++] = (struct blob){ der, der, (size_t)len };
	return err;
}

static unsigned char *copy(const void *bytes, long len)
{
	unsigned char *p = malloc((size_t)len);

	if (p)
		memcpy(p, bytes, (size_t)len);
	return p;
}

/* Every certificate of a PEM text, or the one of a DER. */
static int add_bytes(struct r3_reg_trust *t, const void *bytes, int len)
{
	BIO *bio = BIO_new_mem_buf(bytes, len);
	unsigned before = t->count;
	char *name, *header;
	unsigned char *der, *mine;
	long n;
	int err = bio ? 0 : -ENOMEM;

	while (!err && PEM_read_bio(bio, &name, &header, &der, &n)) {
		if (!strcmp(name, PEM_STRING_X509)) {
			mine = copy(der, n);
			err = mine ? add_der(t, mine, n) : -ENOMEM;
		}
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	BIO_free(bio);
	if (!err && t->count == before && len > 0) {
		mine = copy(bytes, len);
		err = mine ? add_der(t, mine, len) : -ENOMEM;
	}
	ERR_clear_error();
	return err ? err : t->count == before ? -EINVAL : 0;
}

#define CERT_FILE_MAX (64 * 1024)

static int add_file(struct r3_reg_trust *t, const char *path,
		    struct r3_reg_err *err)
{
	char *bytes = malloc(CERT_FILE_MAX);
	FILE *f = bytes ? fopen(path, "re") : NULL;
	size_t n;
	int code = f ? 0 : -errno;

	if (f) {
		n = fread(bytes, 1, CERT_FILE_MAX, f);
		code = add_bytes(t, bytes, (int)n);
		fclose(f);
	}
	free(bytes);
	return code ? reg_fail(err, code, 0, "%s: no certificate could be read",
			       path) :
		      0;
}

static int add_folder(struct r3_reg_trust *t, const char *path,
		      struct r3_reg_err *err)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char file[4096];
	int code = dir ? 0 : -errno;

	while (!code && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		code = add_file(t, file, err);
	}
	if (dir)
		closedir(dir);
	return code;
}

static int add_builtin(struct r3_reg_trust *t)
{
	for (const struct reg_cert *c = reg_certs_builtin; c->len; c++)
		t->v[t->count++] = (struct blob){ NULL, c->der, c->len };
	return 0;
}

int r3_reg_trust_new(struct r3_reg_trust **out, const char *path,
		     struct r3_reg_err *err)
{
	struct r3_reg_trust *t = calloc(1, sizeof(*t));
	struct stat st;
	int code;

	if (!t)
		return -ENOMEM;
	if (!path)
		code = add_builtin(t);
	else if (stat(path, &st))
		code = reg_fail(err, -errno, 0, "%s: %s", path,
				strerror(errno));
	else if (S_ISDIR(st.st_mode))
		code = add_folder(t, path, err);
	else
		code = add_file(t, path, err);
	if (!code && !t->count)
		code = reg_fail(err, -EINVAL, 0, "%s: holds no certificate",
				path ? path : "built in");
	if (code)
		r3_reg_trust_free(t);
	else
		*out = t;
	return code;
}

void r3_reg_trust_free(struct r3_reg_trust *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < t->count; i++)
		free(t->v[i].der);
	free(t);
}

unsigned r3_reg_trust_count(const struct r3_reg_trust *t)
{
	return t->count;
}

static void name_signer(PKCS7 *p7, STACK_OF(X509) *certs, char *out,
			size_t max)
{
	STACK_OF(X509) *who = PKCS7_get0_signers(p7, certs, PKCS7_NOINTERN);

	if (who && sk_X509_num(who) > 0)
		X509_NAME_get_text_by_NID(
			X509_get_subject_name(sk_X509_value(who, 0)),
			NID_commonName, out, (int)max);
	else if (max)
		out[0] = '\0';
	sk_X509_free(who);
}

/*
 * Parts that no signature covers must be as they always are, or a changed byte
 * there would go unnoticed: one signer, sha256 and RSA, nothing but trusted
 * certificates added, DER.
 */
static bool alg_is(const X509_ALGOR *alg, int a, int b)
{
	const ASN1_OBJECT *oid;
	int type, nid;

	X509_ALGOR_get0(&oid, &type, NULL, alg);
	nid = OBJ_obj2nid(oid);
	return (nid == a || nid == b) &&
	       (type == V_ASN1_NULL || type == V_ASN1_UNDEF);
}

static bool is_plain(const PKCS7 *p7)
{
	const PKCS7_SIGNED *s = p7->d.sign;
	const PKCS7_SIGNER_INFO *i;

	if (!s || ASN1_INTEGER_get(s->version) != 1 || s->crl ||
	    sk_X509_ALGOR_num(s->md_algs) != 1 ||
	    !alg_is(sk_X509_ALGOR_value(s->md_algs, 0), NID_sha256,
		    NID_sha512) ||
	    !s->contents || OBJ_obj2nid(s->contents->type) != NID_pkcs7_data ||
	    sk_PKCS7_SIGNER_INFO_num(s->signer_info) != 1)
		return false;
	i = sk_PKCS7_SIGNER_INFO_value(s->signer_info, 0);
	return ASN1_INTEGER_get(i->version) == 1 && !i->unauth_attr &&
	       alg_is(i->digest_alg, NID_sha256, NID_sha512) &&
	       !X509_ALGOR_cmp(i->digest_alg,
			       sk_X509_ALGOR_value(s->md_algs, 0)) &&
	       alg_is(i->digest_enc_alg, NID_rsaEncryption,
		      NID_sha256WithRSAEncryption);
}

/* A trusted certificate with exactly these bytes. */
static bool is_trusted(X509 *cert, const struct r3_reg_trust *t)
{
	unsigned char *der = NULL;
	int n = i2d_X509(cert, &der);
	bool found = false;

	for (unsigned i = 0; n > 0 && i < t->count && !found; i++)
		found = t->v[i].len == (size_t)n &&
			!memcmp(t->v[i].p, der, (size_t)n);
	OPENSSL_free(der);
	return found;
}

/* Trusted certificates that name this serial number. */
static void decode_candidates(const PKCS7 *p7, const struct r3_reg_trust *t,
			      STACK_OF(X509) *out)
{
	const ASN1_INTEGER *serial =
		sk_PKCS7_SIGNER_INFO_value(p7->d.sign->signer_info, 0)
			->issuer_and_serial->serial;
	size_t n = (size_t)ASN1_STRING_length(serial);

	for (unsigned i = 0; i < t->count; i++) {
		const unsigned char *p = t->v[i].p;
		X509 *cert;

		if (!memmem(p, t->v[i].len, ASN1_STRING_get0_data(serial), n))
			continue;
		cert = d2i_X509(NULL, &p, (long)t->v[i].len);
		if (cert && !sk_X509_push(out, cert))
			X509_free(cert);
	}
}

/*
 * The certificates among which the signer must be: those in the file where
 * there are any, all of which must be trusted, else the trusted ones.
 * NULL: one in the file is not.
 */
static STACK_OF(X509) *signers(const PKCS7 *p7, const struct r3_reg_trust *t)
{
	STACK_OF(X509) *inside = p7->d.sign->cert, *out = sk_X509_new_null();
	int n = inside ? sk_X509_num(inside) : 0;

	for (int i = 0; out && i < n; i++) {
		X509 *cert = sk_X509_value(inside, i);

		if (is_trusted(cert, t) && X509_up_ref(cert) &&
		    sk_X509_push(out, cert))
			continue;
		sk_X509_pop_free(out, X509_free);
		return NULL;
	}
	if (out && !n)
		decode_candidates(p7, t, out);
	return out;
}

/* The signer is named by issuer; OpenSSL compares names without regard to case
 * and blanks, a byte for byte comparison leaves no room. */
static bool issuer_exact(const PKCS7 *p7, const X509 *signer)
{
	PKCS7_SIGNER_INFO *i =
		sk_PKCS7_SIGNER_INFO_value(p7->d.sign->signer_info, 0);
	unsigned char *a = NULL, *b = NULL;
	int na = i2d_X509_NAME(i->issuer_and_serial->issuer, &a);
	int nb = i2d_X509_NAME(X509_get_issuer_name(signer), &b);
	bool same = na > 0 && na == nb && !memcmp(a, b, (size_t)na);

	OPENSSL_free(a);
	OPENSSL_free(b);
	return same;
}

static bool signer_known(PKCS7 *p7, STACK_OF(X509) *certs)
{
	STACK_OF(X509) *who = PKCS7_get0_signers(p7, certs, PKCS7_NOINTERN);
	bool known = who && sk_X509_num(who) > 0 &&
		     issuer_exact(p7, sk_X509_value(who, 0));

	sk_X509_free(who);
	return known;
}

static bool is_der(PKCS7 *p7, const void *bytes, size_t len)
{
	unsigned char *again = NULL;
	int n = i2d_PKCS7(p7, &again);
	bool same = n >= 0 && (size_t)n == len && !memcmp(again, bytes, len);

	OPENSSL_free(again);
	return same;
}

static int check_content(PKCS7 *p7, STACK_OF(X509) *certs, const void *bytes,
			 size_t len, struct r3_reg_err *err)
{
	BIO *content = BIO_new_mem_buf(bytes, (int)len);
	int ok;

	if (!content)
		return reg_fail(err, -ENOMEM, 0, "out of memory");
	ok = PKCS7_verify(p7, certs, NULL, content, NULL,
			  PKCS7_NOVERIFY | PKCS7_NOINTERN | PKCS7_BINARY);
	BIO_free(content);
	if (ok != 1)
		return reg_fail(err, -EKEYREJECTED, 0,
				"the signature does not fit the database: one of them was altered, or they belong to different releases");
	return 0;
}

static int check_p7(PKCS7 *p7, const struct r3_reg_trust *t, const void *bytes,
		    size_t len, char *signer, size_t signer_max,
		    struct r3_reg_err *err)
{
	STACK_OF(X509) *certs;
	int code;

	if (!PKCS7_type_is_signed(p7) || !PKCS7_get_detached(p7))
		return reg_fail(err, -EPROTO, 0,
				"not a detached PKCS#7 signature");
	if (!is_plain(p7))
		return reg_fail(err, -EPROTO, 0,
				"not in the form of a database's signature: one signer, sha256 with RSA");
	certs = signers(p7, t);
	if (!certs || !signer_known(p7, certs))
		code = reg_fail(err, -ENOKEY, 0,
				"signed by none of the %u trusted certificates; --certs names others",
				r3_reg_trust_count(t));
	else
		code = check_content(p7, certs, bytes, len, err);
	if (!code && signer)
		name_signer(p7, certs, signer, signer_max);
	sk_X509_pop_free(certs, X509_free);
	return code;
}

int r3_reg_verify(const struct r3_reg_trust *t, const void *bytes, size_t len,
		  const void *sig, size_t sig_len, char *signer,
		  size_t signer_max, struct r3_reg_err *err)
{
	const unsigned char *p = sig;
	PKCS7 *p7;
	int code;

	if (len > R3_REG_DB_MAX || sig_len > R3_REG_DB_MAX)
		return reg_fail(err, -EPROTO, 0, "too large");
	p7 = d2i_PKCS7(NULL, &p, (long)sig_len);
	if (!p7 || !is_der(p7, sig, sig_len)) {
		code = reg_fail(err, -EPROTO, 0,
				"not a PKCS#7 signature in DER form");
	} else {
		code = check_p7(p7, t, bytes, len, signer, signer_max, err);
	}
	PKCS7_free(p7);
	ERR_clear_error();
	return code;
}
