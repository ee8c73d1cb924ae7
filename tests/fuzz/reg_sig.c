/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reg_sig.c - fuzz detached PKCS#7 signatures; none fits these four bytes */
#include "ring3/reg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct r3_reg_trust *trust;
	struct r3_reg_err err;
	char signer[64];

	if (!trust)
		assert(!r3_reg_trust_new(&trust, NULL, NULL));
	assert(r3_reg_verify(trust, "RGDB", 4, data, len, signer,
			     sizeof(signer), &err));
	assert(err.reason[0]);
	return 0;
}
