/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * suspend_jump_and_look(context, found): goes to xpv_context_save() with a
 * pattern in each register that must survive, loses all of them and some
 * stack, jumps back, and tells what it finds: rbx, rbp, r12 to r15, flags,
 * by how much rsp is off, and what xpv_context_save() returned.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/nospec-branch.h>

SYM_FUNC_START(suspend_jump_and_look)
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rsi
	pushq	%rdi
	pushq	%rsp

	/* The flag ID (bit 21) on, to be seen again. */
	pushfq
	btsq	$21, (%rsp)
	popfq
	movq	$0x1111111111111111, %rbx
	movq	$0x2222222222222222, %rbp
	movq	$0x3333333333333333, %r12
	movq	$0x4444444444444444, %r13
	movq	$0x5555555555555555, %r14
	movq	$0x6666666666666666, %r15
	call	xpv_context_save
	testl	%eax, %eax
	jnz	.Ljumped

	pushfq
	btrq	$21, (%rsp)
	popfq
	movq	8(%rsp), %rdi
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	subq	$256, %rsp
	call	xpv_context_jump
	addq	$256, %rsp
	movl	$-1, %eax
.Ljumped:
	movq	16(%rsp), %rsi
	movq	%rbx, 0(%rsi)
	movq	%rbp, 8(%rsi)
	movq	%r12, 16(%rsi)
	movq	%r13, 24(%rsi)
	movq	%r14, 32(%rsi)
	movq	%r15, 40(%rsi)
	pushfq
	popq	48(%rsi)
	movq	(%rsp), %rdx
	subq	$8, %rdx
	subq	%rsp, %rdx
	movq	%rdx, 56(%rsi)
	movslq	%eax, %rax
	movq	%rax, 64(%rsi)

	addq	$24, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	RET
SYM_FUNC_END(suspend_jump_and_look)
