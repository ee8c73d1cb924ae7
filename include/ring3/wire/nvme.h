/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire/nvme.h - an NVMe controller as the PCI bus sees it: registers,
 * commands, completions
 *
 * Sources: NVM Express base specification 1.4 (section numbers below unless
 * said), NVMe 2.0 base specification ("2.0b"), PCIe transport 1.0.  Everything
 * is little endian.  Multi-byte fields are r3_le*: byte arrays, so nothing
 * depends on alignment; the two structs of the data path are aligned to their
 * size, so that compilers move them in whole words.
 */
#ifndef RING3_WIRE_NVME_H
#define RING3_WIRE_NVME_H

#include "ring3/base.h"

#define R3_NVME_PCI_CLASS 0x010802u /* mass storage, NVM, NVMe I/O; 2.1.5 */

/* ---- registers in BAR 0 (3.1) ------------------------------------------- */

enum {
	R3_NVME_CAP = 0x00,	 /* 64 bits, read only */
	R3_NVME_VS = 0x08,	 /* 0x00010400 = 1.4 */
	R3_NVME_INTMS = 0x0c,	 /* not with MSI-X */
	R3_NVME_INTMC = 0x10,
	R3_NVME_CC = 0x14,
	R3_NVME_CSTS = 0x1c,
	R3_NVME_NSSR = 0x20,
	R3_NVME_AQA = 0x24,
	R3_NVME_ASQ = 0x28,	 /* 64 bits */
	R3_NVME_ACQ = 0x30,	 /* 64 bits */
	R3_NVME_CMBLOC = 0x38,
	R3_NVME_CMBSZ = 0x3c,
	R3_NVME_REGS_LEN = 0x50, /* what is used of them */
	R3_NVME_DOORBELLS = 0x1000,
};

#define R3_NVME_VS_1_4 0x00010400u

/* Doorbells (3.1.24, 3.1.25): queue @qid, @cq 0 for its submission tail, 1
 * for its completion head, @dstrd from CAP.  Also the byte offset inside the
 * doorbell buffer and the EventIdx buffer (5.7, where DSTRD counts the same),
 * once R3_NVME_DOORBELLS is subtracted. */
static inline uint32_t r3_nvme_doorbell(unsigned qid, unsigned cq,
					unsigned dstrd)
{
	return R3_NVME_DOORBELLS + (2 * qid + cq) * (4u << dstrd);
}

/* CAP (3.1.1) */
#define R3_NVME_CAP_MQES(cap)	((unsigned)((cap) & 0xffff)) /* entries - 1 */
#define R3_NVME_CAP_CQR(cap)	((unsigned)((cap) >> 16 & 1))
#define R3_NVME_CAP_TO(cap)	((unsigned)((cap) >> 24 & 0xff)) /* 500 ms */
#define R3_NVME_CAP_DSTRD(cap)	((unsigned)((cap) >> 32 & 0xf))
#define R3_NVME_CAP_NSSRS(cap)	((unsigned)((cap) >> 36 & 1))
#define R3_NVME_CAP_CSS(cap)	((unsigned)((cap) >> 37 & 0xff)) /* bit 0: NVM */
#define R3_NVME_CAP_MPSMIN(cap) ((unsigned)((cap) >> 48 & 0xf)) /* 4K << n */
#define R3_NVME_CAP_MPSMAX(cap) ((unsigned)((cap) >> 52 & 0xf))
#define R3_NVME_CAP_MQES_SHIFT	 0
#define R3_NVME_CAP_CQR_SHIFT	 16
#define R3_NVME_CAP_TO_SHIFT	 24
#define R3_NVME_CAP_DSTRD_SHIFT	 32
#define R3_NVME_CAP_NSSRS_SHIFT	 36
#define R3_NVME_CAP_CSS_SHIFT	 37
#define R3_NVME_CAP_MPSMIN_SHIFT 48
#define R3_NVME_CAP_MPSMAX_SHIFT 52

/* CC (3.1.5) */
#define R3_NVME_CC_EN		0x00000001u
#define R3_NVME_CC_CSS_SHIFT	4  /* 0: NVM command set */
#define R3_NVME_CC_MPS_SHIFT	7  /* page size 4K << n */
#define R3_NVME_CC_AMS_SHIFT	11 /* 0: round robin */
#define R3_NVME_CC_SHN_SHIFT	14 /* shutdown: 1 normal, 2 abrupt */
#define R3_NVME_CC_IOSQES_SHIFT 16 /* log2, 6 */
#define R3_NVME_CC_IOCQES_SHIFT 20 /* log2, 4 */
#define R3_NVME_CC_CSS(cc)	((unsigned)((cc) >> 4 & 7))
#define R3_NVME_CC_MPS(cc)	((unsigned)((cc) >> 7 & 0xf))
#define R3_NVME_CC_AMS(cc)	((unsigned)((cc) >> 11 & 7))
#define R3_NVME_CC_SHN(cc)	((unsigned)((cc) >> 14 & 3))
#define R3_NVME_CC_IOSQES(cc)	((unsigned)((cc) >> 16 & 0xf))
#define R3_NVME_CC_IOCQES(cc)	((unsigned)((cc) >> 20 & 0xf))
enum { R3_NVME_SQES = 6, R3_NVME_CQES = 4 }; /* log2 of the entries' sizes */

/* CSTS (3.1.6) */
#define R3_NVME_CSTS_RDY	0x00000001u
#define R3_NVME_CSTS_CFS	0x00000002u /* fatal status */
#define R3_NVME_CSTS_SHST_SHIFT 2	    /* 0 none, 1 occurring, 2 done */
#define R3_NVME_CSTS_SHST(csts) ((unsigned)((csts) >> 2 & 3))
#define R3_NVME_CSTS_PP		0x00000020u

/* AQA (3.1.8): both 0's based, at most 4096 entries */
#define R3_NVME_AQA_OF(sq_count, cq_count) \
	((uint32_t)((cq_count) - 1) << 16 | (uint32_t)((sq_count) - 1))
#define R3_NVME_AQA_ASQS(aqa) ((unsigned)((aqa) & 0xfff))
#define R3_NVME_AQA_ACQS(aqa) ((unsigned)((aqa) >> 16 & 0xfff))

/* ---- a submission queue entry (4.2, figure 105; NVM commands 6) ---------- */

struct r3_nvme_sqe {
	uint8_t opcode;
	uint8_t flags; /* FUSE bits 1:0, PSDT bits 7:6; 0: PRPs */
	r3_le16 cid;
	r3_le32 nsid;
	r3_le32 cdw2, cdw3;
	r3_le64 mptr;
	r3_le64 prp1, prp2;
	r3_le32 cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
} __attribute__((aligned(64)));
static_assert(sizeof(struct r3_nvme_sqe) == 64, "wire size");

#define R3_NVME_FLAGS_FUSE(flags) ((unsigned)((flags) & 3))
#define R3_NVME_FLAGS_PSDT(flags) ((unsigned)((flags) >> 6))

/* ---- a completion queue entry (4.6) --------------------------------------*/

struct r3_nvme_cqe {
	r3_le32 dw0;
	r3_le32 dw1;
	r3_le16 sqhd;
	r3_le16 sqid;
	r3_le16 cid;
	r3_le16 status; /* bit 0 phase, 8:1 SC, 11:9 SCT, 14 more, 15 DNR */
} __attribute__((aligned(16)));
static_assert(sizeof(struct r3_nvme_cqe) == 16, "wire size");

/* Dword 3 (cid, status with phase) as one access: the controller stores it
 * last with release, the host loads it first with acquire. */
typedef uint32_t __attribute__((may_alias)) r3_nvme_dword_alias;

static inline uint32_t r3_nvme_cqe_load_dw3(const struct r3_nvme_cqe *e)
{
	return __atomic_load_n((const r3_nvme_dword_alias *)(const void *)
			       &e->cid, __ATOMIC_ACQUIRE);
}

static inline void r3_nvme_cqe_store_dw3(struct r3_nvme_cqe *e, uint32_t dw3)
{
	__atomic_store_n((r3_nvme_dword_alias *)(void *)&e->cid, dw3,
			 __ATOMIC_RELEASE);
}

#define R3_NVME_DW3_CID(dw3)	((uint16_t)(dw3))
#define R3_NVME_DW3_PHASE(dw3)	((dw3) >> 16 & 1)
#define R3_NVME_DW3_STATUS(dw3) ((uint16_t)((dw3) >> 17)) /* as below, no P */
#define R3_NVME_DW3_OF(cid, status, phase) \
	((uint32_t)(cid) | (uint32_t)(status) << 17 | (uint32_t)(phase) << 16)

/* Status without the phase bit (4.6.1): SC 7:0, SCT 10:8, CRD 12:11, M 13,
 * DNR 14 */
#define R3_NVME_STATUS(sct, sc)	 ((uint16_t)((sct) << 8 | (sc)))
#define R3_NVME_STATUS_MASK	 0x07ff /* SCT and SC */
#define R3_NVME_STATUS_DNR	 0x4000 /* do not retry */
enum {
	R3_NVME_SUCCESS = R3_NVME_STATUS(0, 0x00),
	R3_NVME_INVALID_OPCODE = R3_NVME_STATUS(0, 0x01),
	R3_NVME_INVALID_FIELD = R3_NVME_STATUS(0, 0x02),
	R3_NVME_CID_CONFLICT = R3_NVME_STATUS(0, 0x03),
	R3_NVME_DATA_TRANSFER_ERROR = R3_NVME_STATUS(0, 0x04),
	R3_NVME_ABORTED_POWER_LOSS = R3_NVME_STATUS(0, 0x05),
	R3_NVME_INTERNAL_ERROR = R3_NVME_STATUS(0, 0x06),
	R3_NVME_ABORTED = R3_NVME_STATUS(0, 0x07), /* by an Abort command */
	R3_NVME_ABORTED_SQ_DELETED = R3_NVME_STATUS(0, 0x08),
	R3_NVME_INVALID_NAMESPACE = R3_NVME_STATUS(0, 0x0b),
	R3_NVME_SEQUENCE_ERROR = R3_NVME_STATUS(0, 0x0c),
	R3_NVME_INVALID_PRP_OFFSET = R3_NVME_STATUS(0, 0x13),
	R3_NVME_NS_WRITE_PROTECTED = R3_NVME_STATUS(0, 0x20),
	R3_NVME_LBA_OUT_OF_RANGE = R3_NVME_STATUS(0, 0x80),
	R3_NVME_CAPACITY_EXCEEDED = R3_NVME_STATUS(0, 0x81),
	R3_NVME_NOT_READY = R3_NVME_STATUS(0, 0x82),
	/* command specific */
	R3_NVME_INVALID_CQ = R3_NVME_STATUS(1, 0x00),
	R3_NVME_INVALID_QID = R3_NVME_STATUS(1, 0x01),
	R3_NVME_INVALID_QUEUE_SIZE = R3_NVME_STATUS(1, 0x02),
	R3_NVME_ABORT_LIMIT = R3_NVME_STATUS(1, 0x03),
	R3_NVME_AER_LIMIT = R3_NVME_STATUS(1, 0x05),
	R3_NVME_INVALID_VECTOR = R3_NVME_STATUS(1, 0x08),
	R3_NVME_INVALID_LOG_PAGE = R3_NVME_STATUS(1, 0x09),
	R3_NVME_INVALID_QUEUE_DELETION = R3_NVME_STATUS(1, 0x0c),
	R3_NVME_FEATURE_NOT_SAVEABLE = R3_NVME_STATUS(1, 0x0d),
	R3_NVME_WRITE_TO_RO_RANGE = R3_NVME_STATUS(1, 0x82),
	/* media */
	R3_NVME_WRITE_FAULT = R3_NVME_STATUS(2, 0x80),
	R3_NVME_UNRECOVERED_READ = R3_NVME_STATUS(2, 0x81),
};

/* ---- admin commands (5) -------------------------------------------------- */

enum {
	R3_NVME_DELETE_SQ = 0x00,
	R3_NVME_CREATE_SQ = 0x01,
	R3_NVME_GET_LOG_PAGE = 0x02,
	R3_NVME_DELETE_CQ = 0x04,
	R3_NVME_CREATE_CQ = 0x05,
	R3_NVME_IDENTIFY = 0x06,
	R3_NVME_ABORT = 0x08,
	R3_NVME_SET_FEATURES = 0x09,
	R3_NVME_GET_FEATURES = 0x0a,
	R3_NVME_ASYNC_EVENT = 0x0c,
	R3_NVME_KEEP_ALIVE = 0x18,
	R3_NVME_DOORBELL_CONFIG = 0x7c,
};

/* Create CQ (5.3), Create SQ (5.4), Delete (5.5, 5.6): cdw10 is QID | size - 1
 * << 16; prp1 the queue, contiguous. */
#define R3_NVME_QUEUE_CDW10(qid, count) \
	((uint32_t)(qid) | (uint32_t)((count) - 1) << 16)
#define R3_NVME_QUEUE_PC     0x1u /* cdw11: physically contiguous */
#define R3_NVME_CQ_IEN	     0x2u /* cdw11: interrupts; vector << 16 */
#define R3_NVME_SQ_PRIO_SHIFT 1	  /* cdw11; CQID << 16 */

/* Abort (5.1): cdw10 SQID | CID << 16; dw0 bit 0 of the answer: 1 = not
 * aborted. */
#define R3_NVME_ABORT_CDW10(sqid, cid) \
	((uint32_t)(sqid) | (uint32_t)(cid) << 16)

/* Identify (5.15): cdw10 bits 7:0 CNS */
enum {
	R3_NVME_CNS_NS = 0x00,
	R3_NVME_CNS_CTRL = 0x01,
	R3_NVME_CNS_ACTIVE_NS = 0x02,  /* 1024 nsids above cdw1.nsid */
	R3_NVME_CNS_NS_DESC = 0x03,    /* namespace identification list */
	R3_NVME_IDENTIFY_LEN = 4096,
};

/* Features (5.21.1): cdw10 bits 7:0; bits 10:8 of Get: select */
enum {
	R3_NVME_FEAT_ARBITRATION = 0x01,
	R3_NVME_FEAT_POWER = 0x02,
	R3_NVME_FEAT_TEMPERATURE = 0x04,
	R3_NVME_FEAT_ERROR_RECOVERY = 0x05,
	R3_NVME_FEAT_WRITE_CACHE = 0x06, /* bit 0: on */
	R3_NVME_FEAT_QUEUES = 0x07,	 /* NSQR | NCQR << 16, both - 1 */
	R3_NVME_FEAT_COALESCING = 0x08,
	R3_NVME_FEAT_VECTOR = 0x09,
	R3_NVME_FEAT_ATOMICITY = 0x0a,
	R3_NVME_FEAT_ASYNC_EVENTS = 0x0b,
};
#define R3_NVME_FEAT_QUEUES_NSQ(dw) (((dw) & 0xffff) + 1)
#define R3_NVME_FEAT_QUEUES_NCQ(dw) (((dw) >> 16) + 1)
#define R3_NVME_FEAT_QUEUES_OF(nsq, ncq) \
	((uint32_t)((nsq) - 1) | (uint32_t)((ncq) - 1) << 16)

/* Log pages (5.14) */
enum {
	R3_NVME_LOG_ERROR = 0x01,
	R3_NVME_LOG_SMART = 0x02, /* 512 bytes */
	R3_NVME_LOG_FIRMWARE = 0x03,
	R3_NVME_LOG_CHANGED_NS = 0x04,
	R3_NVME_LOG_EFFECTS = 0x05,
};

/* Doorbell Buffer Config (5.7): prp1 the shadow doorbell buffer, prp2 the
 * EventIdx buffer, each one page of CC.MPS.  The host stores a doorbell's
 * value in its slot of the first, and writes the register only when the
 * store passed the EventIdx that the controller left in the second (the rule
 * of virtio 1.2 2.7.10).  Admin queue doorbells are not included. */
static inline bool r3_nvme_doorbell_needed(uint16_t event, uint16_t now,
					   uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

/*
 * Vendor specific, ring3's emulated controller only (its model number begins
 * with R3_NVME_MODEL): interrupts on demand.  After Set Features with dword 11
 * = 1, and with doorbell buffers configured, the dword at R3_NVME_QUIET_OFF + 4
 * * CQID of the shadow doorbell buffer says whether the host wants an interrupt
 * for what is posted to that queue (not 0) or is looking anyway (0).  The host
 * stores 1, looks at the queue once more, then sleeps: the rule by which
 * virtqueues suppress notifications (virtio 1.2, 2.7.7).
 */
enum { R3_NVME_FEAT_QUIET = 0xc0, R3_NVME_QUIET_OFF = 2048 };
#define R3_NVME_MODEL "ring3"

/* ---- Identify Controller (5.15.2.2, figure 251): the fields used --------- */

struct r3_nvme_id_power { /* power state descriptor, figure 252 */
	r3_le16 mp;	  /* centiwatts */
	uint8_t rest[30];
};

struct r3_nvme_id_ctrl {
	r3_le16 vid, ssvid;
	char sn[20];  /* ASCII, padded with blanks */
	char mn[40];
	char fr[8];
	uint8_t rab;
	uint8_t ieee[3];
	uint8_t cmic;
	uint8_t mdts; /* log2 of the largest transfer in CAP.MPSMIN pages; 0:
			 no limit */
	r3_le16 cntlid;
	r3_le32 ver;
	r3_le32 rtd3r, rtd3e;
	r3_le32 oaes;
	r3_le32 ctratt;
	r3_le16 rrls;
	uint8_t rsvd102[9];
	uint8_t cntrltype; /* 1: I/O controller */
	uint8_t fguid[16];
	r3_le16 crdt1, crdt2, crdt3;
	uint8_t rsvd134[122];
	r3_le16 oacs; /* bit 8: Doorbell Buffer Config */
	uint8_t acl;  /* Abort commands at once, 0's based */
	uint8_t aerl; /* async event requests at once, 0's based */
	uint8_t frmw;
	uint8_t lpa;
	uint8_t elpe; /* error log entries, 0's based */
	uint8_t npss; /* power states, 0's based */
	uint8_t avscc;
	uint8_t apsta;
	r3_le16 wctemp, cctemp; /* kelvins */
	uint8_t rsvd270[242];
	uint8_t sqes; /* 3:0 required, 7:4 largest; 0x66 */
	uint8_t cqes; /* 0x44 */
	r3_le16 maxcmd;
	r3_le32 nn;   /* the highest nsid */
	r3_le16 oncs; /* optional NVM commands, below */
	r3_le16 fuses;
	uint8_t fna;
	uint8_t vwc;  /* bit 0: has a volatile write cache */
	r3_le16 awun, awupf;
	uint8_t icsvscc;
	uint8_t nwpc;
	r3_le16 acwu;
	uint8_t rsvd534[2];
	r3_le32 sgls;
	r3_le32 mnan;
	uint8_t rsvd544[224];
	char subnqn[256]; /* UTF-8, ended by 0 */
	uint8_t rsvd1024[1024];
	struct r3_nvme_id_power psd[32];
	uint8_t vs[1024];
};
static_assert(sizeof(struct r3_nvme_id_ctrl) == 4096, "wire size");
static_assert(offsetof(struct r3_nvme_id_ctrl, mdts) == 77, "wire");
static_assert(offsetof(struct r3_nvme_id_ctrl, cntrltype) == 111, "wire");
static_assert(offsetof(struct r3_nvme_id_ctrl, oacs) == 256, "wire");
static_assert(offsetof(struct r3_nvme_id_ctrl, sqes) == 512, "wire");
static_assert(offsetof(struct r3_nvme_id_ctrl, vwc) == 525, "wire");
static_assert(offsetof(struct r3_nvme_id_ctrl, sgls) == 536, "wire");
static_assert(offsetof(struct r3_nvme_id_ctrl, subnqn) == 768, "wire");
static_assert(offsetof(struct r3_nvme_id_ctrl, psd) == 2048, "wire");

enum { /* oacs */
	R3_NVME_OACS_DOORBELL_CONFIG = 1 << 8,
};
enum { /* oncs */
	R3_NVME_ONCS_COMPARE = 1 << 0,
	R3_NVME_ONCS_WRITE_UNCORRECTABLE = 1 << 1,
	R3_NVME_ONCS_DSM = 1 << 2,
	R3_NVME_ONCS_WRITE_ZEROES = 1 << 3,
};

/* ---- Identify Namespace (5.15.2.1, figure 249) --------------------------- */

struct r3_nvme_lbaf {
	r3_le16 ms;   /* metadata bytes */
	uint8_t lbads; /* log2 of the block size, 9 and up */
	uint8_t rp;
};

struct r3_nvme_id_ns {
	r3_le64 nsze, ncap, nuse; /* blocks */
	uint8_t nsfeat;		  /* bit 0: thin; bit 4: optimal I/O fields */
	uint8_t nlbaf;		  /* 0's based */
	uint8_t flbas;		  /* 3:0 index of lbaf in use */
	uint8_t mc, dpc, dps;
	uint8_t nmic, rescap, fpi;
	uint8_t dlfeat; /* 2:0: 1 = deallocated blocks read as 0 */
	r3_le16 nawun, nawupf, nacwu;
	r3_le16 nabsn, nabo, nabspf;
	r3_le16 noiob;
	uint8_t nvmcap[16];
	r3_le16 npwg, npwa, npdg, npda, nows;
	uint8_t rsvd74[18];
	r3_le32 anagrpid;
	uint8_t rsvd96[3];
	uint8_t nsattr; /* bit 0: write protected */
	r3_le16 nvmsetid, endgid;
	uint8_t nguid[16];
	uint8_t eui64[8];
	struct r3_nvme_lbaf lbaf[16];
	uint8_t rsvd192[192];
	uint8_t vs[3712];
};
static_assert(sizeof(struct r3_nvme_id_ns) == 4096, "wire size");
static_assert(offsetof(struct r3_nvme_id_ns, dlfeat) == 33, "wire");
static_assert(offsetof(struct r3_nvme_id_ns, npwg) == 64, "wire");
static_assert(offsetof(struct r3_nvme_id_ns, nsattr) == 99, "wire");
static_assert(offsetof(struct r3_nvme_id_ns, lbaf) == 128, "wire");

/* Namespace identification descriptor (figure 250), a list ended by len 0 */
enum { R3_NVME_NIDT_EUI64 = 1, R3_NVME_NIDT_NGUID = 2, R3_NVME_NIDT_UUID = 3 };
struct r3_nvme_ns_desc {
	uint8_t type, len;
	uint8_t rsvd[2];
};

/* SMART / health (5.14.1.2): the fields used of 512 bytes */
struct r3_nvme_smart {
	uint8_t critical;
	r3_le16 temperature; /* kelvins */
	uint8_t spare, spare_threshold, used;
	uint8_t rsvd6[26];
	uint8_t counters[160]; /* ten of 16 bytes */
	uint8_t rsvd192[320];
};
static_assert(sizeof(struct r3_nvme_smart) == 512, "wire size");

/* ---- NVM commands (6) ---------------------------------------------------- */

enum {
	R3_NVME_FLUSH = 0x00, /* 6.8 */
	R3_NVME_WRITE = 0x01, /* 6.15 */
	R3_NVME_READ = 0x02,  /* 6.9 */
	R3_NVME_WRITE_ZEROES = 0x08, /* 6.17 */
	R3_NVME_DSM = 0x09,   /* 6.7 */
};

/* Read, Write, Write Zeroes: cdw10, 11 = first block; cdw12: */
#define R3_NVME_RW_NLB(cdw12) (((cdw12) & 0xffff) + 1) /* blocks */
#define R3_NVME_RW_DEAC	      (1u << 25) /* write zeroes: may deallocate */
#define R3_NVME_RW_FUA	      (1u << 30)
#define R3_NVME_RW_LR	      (1u << 31)
enum { R3_NVME_RW_MAX_BLOCKS = 65536 };

/* Dataset management (6.7): cdw10 7:0 ranges - 1; cdw11 bit 2 deallocate */
#define R3_NVME_DSM_AD 0x4u
enum { R3_NVME_DSM_RANGES_MAX = 256 };
struct r3_nvme_dsm_range {
	r3_le32 attributes;
	r3_le32 count; /* blocks */
	r3_le64 lba;
};
static_assert(sizeof(struct r3_nvme_dsm_range) == 16, "wire size");

#endif
