// SPDX-License-Identifier: GPL-2.0-only
/* The fake hypervisor in a kernel: upcalls are real interrupts on the vector that was set. */

#include <linux/export.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/smp.h>
#include <asm/apic.h>

#include "tests/fake/fake_hypervisor.h"

void xpv_fake_interrupt(struct xpv_vcpu vcpu, unsigned int vector)
{
	/* The fake numbers vCPUs as Linux does. */
	if (vector && cpu_online(vcpu.value))
		apic->send_IPI(vcpu.value, vector);
}

void *xpv_fake_memory(struct xpv_gfn frame)
{
	return pfn_valid(frame.value) ? phys_to_virt(frame.value << PAGE_SHIFT) : NULL;
}

EXPORT_SYMBOL_GPL(xpv_fake_restore);
EXPORT_SYMBOL_GPL(xpv_fake_refuse_fifo);
EXPORT_SYMBOL_GPL(xpv_fake_event);
EXPORT_SYMBOL_GPL(xpv_fake_virq);
EXPORT_SYMBOL_GPL(xpv_fake_sent);
EXPORT_SYMBOL_GPL(xpv_fake_open_ports);
EXPORT_SYMBOL_GPL(xpv_fake_port_vcpu);
EXPORT_SYMBOL_GPL(xpv_fake_toolstack_port);
EXPORT_SYMBOL_GPL(xpv_fake_peer);
EXPORT_SYMBOL_GPL(xpv_fake_map_grant);
EXPORT_SYMBOL_GPL(xpv_fake_unmap_grant);
EXPORT_SYMBOL_GPL(xpv_fake_active_grants);
EXPORT_SYMBOL_GPL(xpv_fake_refuse_grant_version_1);
EXPORT_SYMBOL_GPL(xpv_fake_foreign_grant);
EXPORT_SYMBOL_GPL(xpv_fake_foreign_end);
EXPORT_SYMBOL_GPL(xpv_fake_foreign_answer);
EXPORT_SYMBOL_GPL(xpv_fake_refuse_unmap);
EXPORT_SYMBOL_GPL(xpv_fake_foreign_mapped);
EXPORT_SYMBOL_GPL(xpv_fake_largest_grant_batch);
EXPORT_SYMBOL_GPL(xpv_fake_memory);
EXPORT_SYMBOL_GPL(xpv_fake_set_param);
EXPORT_SYMBOL_GPL(xpv_fake_param);
EXPORT_SYMBOL_GPL(xpv_fake_fail);
EXPORT_SYMBOL_GPL(xpv_fake_set_max_grant_frames);
