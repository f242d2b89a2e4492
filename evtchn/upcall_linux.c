// SPDX-License-Identifier: GPL-2.0-only
/*
 * How Xen's upcall reaches each vCPU: a vector of its own from the x86
 * vector domain, or, where that cannot be had, the platform PCI device's
 * interrupt line, which serves vCPU 0 alone.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <asm/hw_irq.h>
#include <asm/irqdomain.h>

#include "evtchn/linux.h"
#include "hypervisor/hypervisor.h"

static char *upcall = "auto";
module_param(upcall, charp, 0444);
MODULE_PARM_DESC(upcall, "How events arrive: vector (one for each vCPU), intx (platform PCI interrupt, vCPU 0 only) or auto (default)");

/*
 * Any value that is not 0 tells the toolstack that this guest has drivers
 * which suspend through the store. Xen raises no interrupt for it on a vCPU
 * that has a vector.
 */
#define VIA_VECTORS 1

static struct irq_domain *vector_domain;
static struct fwnode_handle *node;
static DEFINE_PER_CPU(unsigned int, vector_irq_of);
static int online_state, dead_state;
static unsigned int intx_irq; /* 0: vectors are in use */
static uint64_t intx_via;

bool xpv_upcalls_on_one_cpu(void)
{
	return intx_irq != 0;
}

static irqreturn_t vector_interrupt(int irq, void *unused)
{
	xpv_upcall(smp_processor_id());
	return IRQ_HANDLED;
}

static irqreturn_t intx_interrupt(int irq, void *unused)
{
	return xpv_upcall(0) ? IRQ_HANDLED : IRQ_NONE;
}

static struct irq_chip vector_chip = {
	.name = "xpv-upcall",
	.irq_ack = irq_chip_ack_parent,
	.irq_set_affinity = irq_chip_set_affinity_parent,
	.irq_retrigger = irq_chip_retrigger_hierarchy,
	.flags = IRQCHIP_SKIP_SET_WAKE,
};

static int vector_domain_alloc(struct irq_domain *domain, unsigned int irq, unsigned int count, void *argument)
{
	struct irq_alloc_info *info = argument;
	int error = irq_domain_alloc_irqs_parent(domain, irq, count, argument);

	if (error)
		return error;
	irq_domain_set_info(domain, irq, info->hwirq, &vector_chip, NULL, handle_edge_irq, NULL, "edge");
	return 0;
}

static const struct irq_domain_ops vector_domain_ops = {
	.alloc = vector_domain_alloc,
	.free = irq_domain_free_irqs_common,
};

/*
 * A managed irq: bound to the CPU for good, shut down and started with it by
 * Linux. Shutting down here, when the CPU begins to go, would be too early:
 * its ports have not been moved away yet.
 */
static int vector_make(unsigned int cpu)
{
	struct irq_affinity_desc affinity = { .is_managed = 1 };
	struct irq_alloc_info info = { .mask = cpumask_of(cpu), .hwirq = cpu };
	int irq, error;

	cpumask_copy(&affinity.mask, cpumask_of(cpu));
	irq = __irq_domain_alloc_irqs(vector_domain, -1, 1, cpu_to_node(cpu), &info, false, &affinity);
	if (irq < 0)
		return irq;
	error = request_irq(irq, vector_interrupt, IRQF_NO_THREAD | IRQF_NOBALANCING, "xpv upcall", &vector_irq_of);
	if (error) {
		irq_dispose_mapping(irq);
		return error;
	}
	per_cpu(vector_irq_of, cpu) = irq;
	return 0;
}

static int tell_vector(unsigned int cpu)
{
	struct irq_cfg *config = irqd_cfg(irq_get_irq_data(per_cpu(vector_irq_of, cpu)));

	if (!config || !config->vector)
		return -ENODEV;
	return xpv_upcall_set_vector(cpu, config->vector);
}

static int bring_up(unsigned int cpu)
{
	int error = xpv_upcall_prepare(cpu);

	if (error)
		return error;
	if (!per_cpu(vector_irq_of, cpu)) {
		error = vector_make(cpu);
		if (error)
			return error;
	}
	error = tell_vector(cpu);
	if (!error)
		xpv_channels_raise_pending();
	return error;
}

/* Its ports have been moved away, but Xen may have told it of events before. */
static int bury(unsigned int cpu)
{
	xpv_upcall_dead(cpu);
	xpv_channels_raise_pending();
	return 0;
}

static void nothing(struct work_struct *unused)
{
}
static DECLARE_WORK(visit, nothing);

static void vectors_free(void)
{
	unsigned int cpu;

	/* Every interrupt that is on its way to a CPU has arrived when the CPU ran a task. */
	cpus_read_lock();
	for_each_online_cpu(cpu) {
		schedule_work_on(cpu, &visit);
		flush_work(&visit);
	}
	cpus_read_unlock();

	for_each_possible_cpu(cpu) {
		unsigned int irq = per_cpu(vector_irq_of, cpu);

		if (!irq)
			continue;
		free_irq(irq, &vector_irq_of);
		irq_dispose_mapping(irq);
		per_cpu(vector_irq_of, cpu) = 0;
	}
	irq_domain_remove(vector_domain);
	irq_domain_free_fwnode(node);
}

static void silence(void)
{
	int error = xpv_upcall_set_via(0);
	unsigned int cpu;

	if (error)
		pr_warn("HVM_PARAM_CALLBACK_IRQ stays set: error %d\n", error);
	xpv_ports_mask_all();
	for_each_online_cpu(cpu)
		xpv_upcall_silence(cpu);
}

static int vectors_start(void)
{
	int error;

	node = irq_domain_alloc_named_fwnode("xpv-upcall");
	if (!node)
		return -ENOMEM;
	vector_domain = irq_domain_create_hierarchy(x86_vector_domain, 0, nr_cpu_ids, node, &vector_domain_ops, NULL);
	if (!vector_domain) {
		irq_domain_free_fwnode(node);
		return -ENOMEM;
	}
	error = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "xpv/evtchn:dead", NULL, bury);
	if (error < 0)
		goto free;
	dead_state = error;
	error = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "xpv/evtchn:online", bring_up, NULL);
	if (error < 0)
		goto no_online_state;
	online_state = error;
	error = xpv_upcall_set_via(VIA_VECTORS);
	if (!error)
		return 0;

	cpuhp_remove_state_nocalls(online_state);
no_online_state:
	cpuhp_remove_state_nocalls(dead_state);
free:
	silence();
	vectors_free();
	return error;
}

static int intx_start(void)
{
	unsigned int irq;
	uint64_t via;
	int error = xpv_platform_interrupt(&irq, &via);

	if (error)
		return error;
	error = xpv_upcall_prepare(0);
	if (error)
		return error;
	intx_irq = irq;
	intx_via = via;
	error = request_irq(irq, intx_interrupt, IRQF_SHARED | IRQF_NO_THREAD | IRQF_NOBALANCING, "xpv upcall",
			    &intx_irq);
	if (error)
		goto none;
	error = irq_set_affinity(irq, cpumask_of(0));
	if (!error)
		error = xpv_upcall_set_via(via);
	if (!error)
		return 0;
	free_irq(irq, &intx_irq);
none:
	intx_irq = 0;
	return error;
}

int xpv_upcalls_start(void)
{
	bool automatic = !strcmp(upcall, "auto");
	int error = -EINVAL;

	if (automatic || !strcmp(upcall, "vector")) {
		error = vectors_start();
		if (!error)
			return 0;
		pr_notice("no upcall vectors (error %d)\n", error);
	}
	if (automatic || !strcmp(upcall, "intx")) {
		error = intx_start();
		if (!error)
			pr_info("events arrive on the platform PCI interrupt, vCPU 0 only\n");
	}
	return error;
}

/* Xen raises an interrupt with the first word of where to, if there are events. */
int xpv_upcalls_restore(void)
{
	int error = xpv_upcall_set_via(intx_irq ? intx_via : VIA_VECTORS);
	int vector_error = xpv_upcall_restore_cpu(smp_processor_id());

	return error ? error : vector_error;
}

int xpv_upcall_restore_cpu(unsigned int cpu)
{
	return intx_irq ? 0 : tell_vector(cpu);
}

void xpv_upcalls_stop(void)
{
	if (intx_irq) {
		silence();
		free_irq(intx_irq, &intx_irq);
		intx_irq = 0;
		return;
	}
	cpuhp_remove_state_nocalls(online_state);
	cpuhp_remove_state_nocalls(dead_state);
	silence();
	vectors_free();
}
