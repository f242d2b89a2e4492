/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vCPU as VCPUOP_initialise leaves it (hvm/hvm_vcpu.h, VCPU_HVM_MODE_64B):
 * flat segments of no descriptor table that the guest knows, no IDT, no bases.
 * Whatever the guest forgets to reload it will miss.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

/* struct vcpu_hvm_context */
#define CONTEXT_RSP 40
#define CONTEXT_RDI 64
#define CONTEXT_RIP 72
#define CONTEXT_CR3 96
#define CONTEXT_CR4 104

#define FAKE_CS 0x08
#define FAKE_DS 0x10
#define FAKE_TSS 0x18 /* and one more for each vCPU */

	.data
	.balign 16
fake_gdt:
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
	.rept	8
	.quad	0x0000890000000067, 0
	.endr
fake_gdt_end:
fake_gdt_pointer:
	.word	fake_gdt_end - fake_gdt - 1
	.quad	fake_gdt
fake_no_idt:
	.word	0
	.quad	0

	.text

/* fake_enter(context, vcpu): irqs off. */
SYM_FUNC_START(fake_enter)
	lgdt	fake_gdt_pointer(%rip)
	lidt	fake_no_idt(%rip)
	shll	$4, %esi
	leaq	fake_gdt(%rip), %rax
	movb	$0x89, FAKE_TSS + 5(%rax, %rsi)
	addl	$FAKE_TSS, %esi
	ltr	%si
	xorl	%eax, %eax
	lldt	%ax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$FAKE_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	pushq	$FAKE_CS
	leaq	.Lfake_cs(%rip), %rax
	pushq	%rax
	lretq
.Lfake_cs:
	ANNOTATE_NOENDBR
	UNWIND_HINT_FUNC
	xorl	%eax, %eax
	xorl	%edx, %edx
	movl	$MSR_FS_BASE, %ecx
	wrmsr
	movl	$MSR_GS_BASE, %ecx
	wrmsr
	movl	$MSR_KERNEL_GS_BASE, %ecx
	wrmsr
	movq	CONTEXT_CR4(%rdi), %rax
	movq	%rax, %cr4
	movq	CONTEXT_CR3(%rdi), %rax
	movq	%rax, %cr3
	movq	CONTEXT_RSP(%rdi), %rsp
	movq	CONTEXT_RIP(%rdi), %rax
	movq	CONTEXT_RDI(%rdi), %rdi
	movq	$-1, %rbx
	movq	%rbx, %rbp
	movq	%rbx, %r12
	movq	%rbx, %r13
	movq	%rbx, %r14
	movq	%rbx, %r15
	ANNOTATE_RETPOLINE_SAFE
	jmp	*%rax
SYM_FUNC_END(fake_enter)
