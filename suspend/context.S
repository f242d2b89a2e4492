/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * setjmp and longjmp for a CPU, and the entry point of a vCPU that has lost its
 * processor state.
 *
 * To the unwinder all three are plain functions: at each instruction the return
 * address is where the stack pointer points to. That holds across the change of
 * stacks too, because rsp is set to the slot from which xpv_context_save() was
 * to return, and the return address is written to that slot again.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include <asm/unwind_hints.h>

#include "suspend/context.h"

	.text

SYM_FUNC_START(xpv_context_save)
	movq	%rbx, XPV_CONTEXT_RBX(%rdi)
	movq	%rbp, XPV_CONTEXT_RBP(%rdi)
	movq	%r12, XPV_CONTEXT_R12(%rdi)
	movq	%r13, XPV_CONTEXT_R13(%rdi)
	movq	%r14, XPV_CONTEXT_R14(%rdi)
	movq	%r15, XPV_CONTEXT_R15(%rdi)
	movq	%rsp, XPV_CONTEXT_RSP(%rdi)
	movq	(%rsp), %rax
	movq	%rax, XPV_CONTEXT_RIP(%rdi)
	pushfq
	popq	%rax
	movq	%rax, XPV_CONTEXT_RFLAGS(%rdi)
	xorl	%eax, %eax
	RET
SYM_FUNC_END(xpv_context_save)

SYM_FUNC_START(xpv_context_jump)
	movq	XPV_CONTEXT_RBX(%rdi), %rbx
	movq	XPV_CONTEXT_RBP(%rdi), %rbp
	movq	XPV_CONTEXT_R12(%rdi), %r12
	movq	XPV_CONTEXT_R13(%rdi), %r13
	movq	XPV_CONTEXT_R14(%rdi), %r14
	movq	XPV_CONTEXT_R15(%rdi), %r15
	movq	XPV_CONTEXT_RIP(%rdi), %rax
	movq	XPV_CONTEXT_RSP(%rdi), %rsp
	movq	%rax, (%rsp)
	pushq	XPV_CONTEXT_RFLAGS(%rdi)
	popfq
	movl	$1, %eax
	RET
SYM_FUNC_END(xpv_context_jump)

SYM_FUNC_START(xpv_context_enter)
	lgdt	XPV_CONTEXT_GDT(%rdi)
	lidt	XPV_CONTEXT_IDT(%rdi)

	/* CR4 first: CR4.PCIDE can be set only while CR3 has PCID 0, and CR3 can have another only after that. */
	movq	XPV_CONTEXT_CR4(%rdi), %rax
	movq	%rax, %cr4
	movq	XPV_CONTEXT_CR3(%rdi), %rax
	movq	%rax, %cr3

	/* Selectors before bases: loading a selector changes the base. */
	lldt	XPV_CONTEXT_LDT(%rdi)
	movl	$__KERNEL_DS, %eax
	movl	%eax, %ss
	movzwl	XPV_CONTEXT_DS(%rdi), %eax
	movl	%eax, %ds
	movzwl	XPV_CONTEXT_ES(%rdi), %eax
	movl	%eax, %es
	movzwl	XPV_CONTEXT_FS(%rdi), %eax
	movl	%eax, %fs
	movzwl	XPV_CONTEXT_GS(%rdi), %eax
	movl	%eax, %gs

	movl	$MSR_FS_BASE, %ecx
	movl	XPV_CONTEXT_FS_BASE(%rdi), %eax
	movl	XPV_CONTEXT_FS_BASE + 4(%rdi), %edx
	wrmsr
	/* From here on per-CPU variables can be used, including the stack protector's. */
	movl	$MSR_GS_BASE, %ecx
	movl	XPV_CONTEXT_GS_BASE(%rdi), %eax
	movl	XPV_CONTEXT_GS_BASE + 4(%rdi), %edx
	wrmsr
	movl	$MSR_KERNEL_GS_BASE, %ecx
	movl	XPV_CONTEXT_KERNEL_GS_BASE(%rdi), %eax
	movl	XPV_CONTEXT_KERNEL_GS_BASE + 4(%rdi), %edx
	wrmsr

	/* Load CS now: the return from the first interrupt will load it from its selector. */
	pushq	$__KERNEL_CS
	leaq	.Lkernel_cs(%rip), %rax
	pushq	%rax
	lretq
.Lkernel_cs:
	ANNOTATE_NOENDBR
	UNWIND_HINT_FUNC
	jmp	xpv_context_jump
SYM_FUNC_END(xpv_context_enter)
