// SPDX-License-Identifier: GPL-2.0-only
/*
 * How Xen's upcall reaches each vCPU, in the order in which they are tried:
 *
 * - one vector that is free on every CPU (HVM_PARAM_CALLBACK_IRQ, "direct
 *   vector"). Xen injects it past the local APIC for as long as the vCPU's
 *   info says that an upcall is pending, so there is no end of interrupt,
 *   which in a guest without x2APIC is an emulated store;
 * - a vector of its own for each vCPU (HVMOP_set_evtchn_upcall_vector), an
 *   interrupt of the local APIC;
 * - the platform PCI device's interrupt line, which serves vCPU 0 alone.
 *
 * Both kinds of vectors are irqs of the x86 vector domain, one for each CPU.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/err.h>
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
#include "hypervisor/hypervisor_owned.h"

static char *upcall = "auto";
module_param(upcall, charp, 0444);
MODULE_PARM_DESC(
	upcall,
	"How events arrive: callback (one vector for all vCPUs), vector (one for each vCPU), intx (platform PCI interrupt, vCPU 0 only) or auto (default)");

/*
 * Any value but 0 tells the toolstack that this guest has drivers that suspend
 * through xenstore. Xen raises no interrupt for it on a vCPU that has a vector.
 */
#define VIA_VECTORS 1
/* hvm/params.h: "direct vector". */
#define VIA_CALLBACK(vector) ((u64)2 << 56 | (vector))

static struct irq_domain *vector_domain;
static struct fwnode_handle *node;
static DEFINE_PER_CPU(unsigned int, vector_irq_of);
static int online_state, dead_state;
static bool callback; /* one vector for all vCPUs... */
static bool callback_agreed; /* ...which has been chosen */
static struct cpumask ready; /* CPUs that can get upcalls, if they are online */
static unsigned int intx_irq; /* 0: vectors are in use */
static uint64_t intx_via;

/* Irqs that got another vector than the one wanted. They are kept so that the next irq gets another vector. */
struct spare {
	struct spare *next;
	unsigned int cpu, irq;
};
static struct spare *spares;

const char *xpv_upcalls_kind(void)
{
	return intx_irq ? "platform PCI interrupt" : callback ? "one vector for all vCPUs" : "a vector for each vCPU";
}

static irqreturn_t vector_interrupt(int irq, void *unused)
{
	xpv_handle_upcall(smp_processor_id());
	return IRQ_HANDLED;
}

static irqreturn_t intx_interrupt(int irq, void *unused)
{
	return xpv_handle_upcall(0) ? IRQ_HANDLED : IRQ_NONE;
}

static struct irq_chip vector_chip = {
	.name = "xpv-upcall",
	.irq_ack = irq_chip_ack_parent,
	.irq_set_affinity = irq_chip_set_affinity_parent,
	.irq_retrigger = irq_chip_retrigger_hierarchy,
	.flags = IRQCHIP_SKIP_SET_WAKE,
};

/* The local APIC does not know about the vector: an end of interrupt would end another interrupt. */
static void callback_ack(struct irq_data *data)
{
}

/* Do not use the local APIC here either. Xen injects the vector until the upcall has been handled. */
static int callback_retrigger(struct irq_data *data)
{
	return 1;
}

static struct irq_chip callback_chip = {
	.name = "xpv-upcall",
	.irq_ack = callback_ack,
	.irq_set_affinity = irq_chip_set_affinity_parent,
	.irq_retrigger = callback_retrigger,
	.flags = IRQCHIP_SKIP_SET_WAKE,
};

static int vector_domain_alloc(struct irq_domain *domain, unsigned int irq, unsigned int count, void *argument)
{
	struct irq_alloc_info *info = argument;
	int error = irq_domain_alloc_irqs_parent(domain, irq, count, argument);

	if (error)
		return error;
	irq_domain_set_info(domain, irq, info->hwirq, callback ? &callback_chip : &vector_chip, NULL, handle_edge_irq,
			    NULL, "edge");
	return 0;
}

static const struct irq_domain_ops vector_domain_ops = {
	.alloc = vector_domain_alloc,
	.free = irq_domain_free_irqs_common,
};

static void vector_free(unsigned int irq)
{
	free_irq(irq, &vector_irq_of);
	irq_dispose_mapping(irq);
}

/* Return the CPU's vector; 0 when it has no irq or no vector. */
static unsigned int vector_of(unsigned int cpu)
{
	unsigned int irq = per_cpu(vector_irq_of, cpu);
	struct irq_cfg *config = irq ? irqd_cfg(irq_get_irq_data(irq)) : NULL;

	return config ? config->vector : 0;
}

/*
 * Create a managed irq: Linux binds it to the CPU for good, and shuts it down and
 * starts it with the CPU. Our hotplug callback, when the CPU begins to go
 * offline, would shut it down too early: its ports have not been moved away yet.
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
	if (vector_of(cpu))
		return 0;
	vector_free(irq);
	per_cpu(vector_irq_of, cpu) = 0;
	return -ENODEV;
}

static int vector_replace(unsigned int cpu)
{
	struct spare *spare = kmalloc(sizeof(*spare), GFP_KERNEL);
	int error;

	if (!spare)
		return -ENOMEM;
	spare->cpu = cpu;
	spare->irq = per_cpu(vector_irq_of, cpu);
	error = vector_make(cpu);
	if (error) {
		kfree(spare);
		return error;
	}
	spare->next = spares;
	spares = spare;
	return 0;
}

/* Free the spares, or take them back and free what replaced them. */
static void spares_free(bool take_back)
{
	while (spares) {
		struct spare *spare = spares;

		spares = spare->next;
		if (take_back)
			swap(per_cpu(vector_irq_of, spare->cpu), spare->irq);
		vector_free(spare->irq);
		kfree(spare);
	}
}

static void noop(struct work_struct *unused)
{
}
static DECLARE_WORK(visit, noop);

/*
 * Wait for interrupts already sent to a CPU: once a CPU has run a task, they have
 * been delivered. Must be called with CPU hotplug held off.
 */
static void wait_for_interrupts(void)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		schedule_work_on(cpu, &visit);
		flush_work(&visit);
	}
}

/*
 * Give all online CPUs the same vector, the lowest that is free on all of them
 * (each CPU allocates its lowest first), and set it in Xen. The vector changes
 * when the previous one is not free on a CPU that came online. Must be called
 * with CPU hotplug held off.
 */
static int callback_agree(void)
{
	unsigned int cpu, wanted, highest = 0;
	int error = 0;

	do {
		wanted = highest;
		for_each_online_cpu(cpu) {
			while (!error && vector_of(cpu) < wanted)
				error = vector_replace(cpu);
			highest = max(highest, vector_of(cpu));
		}
	} while (!error && highest != wanted);
	if (!error)
		error = xpv_upcall_set_via(VIA_CALLBACK(wanted));
	if (!error && spares)
		wait_for_interrupts();
	spares_free(error);
	if (!error)
		callback_agreed = true;
	return error;
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
	if (!callback)
		error = xpv_upcall_set_vector(cpu, vector_of(cpu));
	else if (callback_agreed)
		error = callback_agree();
	if (error)
		return error;
	cpumask_set_cpu(cpu, &ready);
	xpv_channels_cpu_ready(cpu);
	return 0;
}

/* Clean up after a dead CPU: its ports have been moved away, but Xen may have raised events on it before. */
static int cpu_dead(unsigned int cpu)
{
	cpumask_clear_cpu(cpu, &ready);
	xpv_channels_cpu_dead(cpu);
	return 0;
}

bool xpv_upcall_reaches(unsigned int cpu)
{
	return cpumask_test_cpu(cpu, &ready);
}

static void vectors_free(void)
{
	unsigned int cpu;

	cpus_read_lock();
	wait_for_interrupts();
	cpus_read_unlock();

	for_each_possible_cpu(cpu) {
		unsigned int irq = per_cpu(vector_irq_of, cpu);

		if (irq)
			vector_free(irq);
		per_cpu(vector_irq_of, cpu) = 0;
	}
	irq_domain_remove(vector_domain);
	irq_domain_free_fwnode(node);
	cpumask_clear(&ready);
	callback_agreed = false;
}

static void disable_upcalls(void)
{
	int error = xpv_upcall_set_via(0);
	unsigned int cpu;

	if (error)
		pr_warn("HVM_PARAM_CALLBACK_IRQ: cannot clear it (%pe)\n", ERR_PTR(error));
	xpv_ports_mask_all();
	for_each_cpu_and(cpu, &ready, cpu_online_mask)
		xpv_upcall_disable(cpu, callback);
}

/* Set the callback in Xen, once the irqs exist. */
static int vectors_tell(void)
{
	int error;

	if (!callback)
		return xpv_upcall_set_via(VIA_VECTORS);
	cpus_read_lock();
	error = callback_agree();
	cpus_read_unlock();
	return error;
}

static int vectors_start(bool one_for_all)
{
	int error;

	/* Xen would also still raise the vectors that an earlier load set. */
	if (one_for_all && xpv_upcall_vectors_were_set())
		return -EBUSY;
	callback = one_for_all;
	node = irq_domain_alloc_named_fwnode("xpv-upcall");
	if (!node)
		return -ENOMEM;
	vector_domain = irq_domain_create_hierarchy(x86_vector_domain, 0, nr_cpu_ids, node, &vector_domain_ops, NULL);
	if (!vector_domain) {
		irq_domain_free_fwnode(node);
		return -ENOMEM;
	}
	error = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "xpv/evtchn:dead", NULL, cpu_dead);
	if (error < 0)
		goto free;
	dead_state = error;
	error = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "xpv/evtchn:online", bring_up, NULL);
	if (error < 0)
		goto no_online_state;
	online_state = error;
	error = vectors_tell();
	if (!error)
		return 0;

	cpuhp_remove_state_nocalls(online_state);
no_online_state:
	cpuhp_remove_state_nocalls(dead_state);
free:
	disable_upcalls();
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
	error = request_irq(irq, intx_interrupt, IRQF_SHARED | IRQF_NO_THREAD | IRQF_NOBALANCING, "xpv upcall", &intx_irq);
	if (error)
		goto none;
	error = irq_set_affinity(irq, cpumask_of(0));
	if (!error)
		error = xpv_upcall_set_via(via);
	if (!error) {
		cpumask_set_cpu(0, &ready);
		return 0;
	}
	free_irq(irq, &intx_irq);
none:
	intx_irq = 0;
	return error;
}

int xpv_upcalls_start(void)
{
	bool automatic = !strcmp(upcall, "auto");
	int error = -EINVAL;

	if (automatic || !strcmp(upcall, "callback")) {
		error = vectors_start(true);
		if (!error)
			return 0;
		pr_notice("cannot set up one upcall vector for all vCPUs (%pe)\n", ERR_PTR(error));
	}
	if (automatic || !strcmp(upcall, "vector")) {
		error = vectors_start(false);
		if (!error)
			return 0;
		pr_notice("cannot set up an upcall vector for each vCPU (%pe)\n", ERR_PTR(error));
	}
	if (automatic || !strcmp(upcall, "intx")) {
		error = intx_start();
	}
	return error;
}

/*
 * Set up upcalls after a restore. No event reaches a vCPU that cannot handle it
 * yet: each vCPU has irqs off, or its info has no upcall pending.
 */
int xpv_upcalls_restore(void)
{
	uint64_t via = intx_irq ? intx_via : callback ? VIA_CALLBACK(vector_of(0)) : VIA_VECTORS;
	int error = xpv_upcall_set_via(via);
	int vector_error = xpv_upcall_restore_cpu(smp_processor_id());

	return error ? error : vector_error;
}

int xpv_upcall_restore_cpu(unsigned int cpu)
{
	return intx_irq || callback ? 0 : xpv_upcall_set_vector(cpu, vector_of(cpu));
}

void xpv_upcalls_stop(void)
{
	if (intx_irq) {
		disable_upcalls();
		free_irq(intx_irq, &intx_irq);
		intx_irq = 0;
		cpumask_clear(&ready);
		return;
	}
	cpuhp_remove_state_nocalls(online_state);
	cpuhp_remove_state_nocalls(dead_state);
	disable_upcalls();
	vectors_free();
}
