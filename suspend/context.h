/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The execution context of a CPU, with enough processor state to resume it on a
 * vCPU that has lost its state. The assembly uses the offsets;
 * processor_linux.c and vcpus.cc check them.
 */
#ifndef XPV_SUSPEND_CONTEXT_H
#define XPV_SUSPEND_CONTEXT_H

/* The registers that setjmp saves: those that a function preserves for its caller. */
#define XPV_CONTEXT_RBX 0
#define XPV_CONTEXT_RBP 8
#define XPV_CONTEXT_R12 16
#define XPV_CONTEXT_R13 24
#define XPV_CONTEXT_R14 32
#define XPV_CONTEXT_R15 40
#define XPV_CONTEXT_RSP 48 /* points to the return address */
#define XPV_CONTEXT_RIP 56
#define XPV_CONTEXT_RFLAGS 64
/* What must be loaded before C code can run. */
#define XPV_CONTEXT_CR0 72
#define XPV_CONTEXT_CR3 80
#define XPV_CONTEXT_CR4 88
#define XPV_CONTEXT_EFER 96
#define XPV_CONTEXT_GDT 104
#define XPV_CONTEXT_IDT 120
#define XPV_CONTEXT_FS_BASE 136
#define XPV_CONTEXT_GS_BASE 144
#define XPV_CONTEXT_KERNEL_GS_BASE 152
#define XPV_CONTEXT_LDT 160
#define XPV_CONTEXT_DS 162
#define XPV_CONTEXT_ES 164
#define XPV_CONTEXT_FS 166
#define XPV_CONTEXT_GS 168
#define XPV_CONTEXT_SIZE 176

#ifndef __ASSEMBLY__
#include "lib/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The operand of LGDT and LIDT. */
struct xpv_descriptor_table {
	uint16_t limit;
	uint64_t base;
	uint16_t unused[3];
} __attribute__((packed));

struct xpv_context {
	uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip, rflags;
	uint64_t cr0, cr3, cr4, efer;
	struct xpv_descriptor_table gdt, idt;
	uint64_t fs_base, gs_base, kernel_gs_base;
	uint16_t ldt, ds, es, fs, gs;
};

/*
 * Save the context, like setjmp: return 0 now, and 1 each time that the context
 * is jumped to. Saves rbx to rflags only. As with setjmp, the caller must not
 * have returned meanwhile; the stack below its frame is lost. Any context.
 */
int xpv_context_save(struct xpv_context *context) __attribute__((returns_twice));
/*
 * Jump to the context, like longjmp, from the same stack or another, with irqs
 * as they were at the save. Does not return. Any context.
 */
void xpv_context_jump(const struct xpv_context *context);
/*
 * The entry point of a vCPU that was initialised with cr0, cr3, cr4, efer and
 * rsp of a context, and with its address in rdi; cr3 and cr4 may lack what only
 * a running CPU can set. Loads the rest, and jumps to the context. Irqs off.
 */
void xpv_context_enter(const struct xpv_context *context);

#ifdef __cplusplus
}
#endif
#endif

#endif
