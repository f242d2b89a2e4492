// SPDX-License-Identifier: GPL-2.0-only
/* Ports as Linux irqs: a domain whose hwirq is the port, edge-triggered. */

#include <linux/cpumask.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/irqdomain.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "evtchn/linux.h"

static struct irq_domain *domain;
static struct fwnode_handle *node;

static struct xpv_port port_of(const struct irq_data *data)
{
	return (struct xpv_port){ irqd_to_hwirq((struct irq_data *)data) };
}

static void port_ack(struct irq_data *data)
{
	xpv_port_clear(port_of(data));
}

static void port_mask(struct irq_data *data)
{
	xpv_port_mask(port_of(data));
}

static void port_unmask(struct irq_data *data)
{
	xpv_port_unmask(port_of(data));
}

static int port_set_affinity(struct irq_data *data, const struct cpumask *mask, bool force)
{
	unsigned int cpu;
	int error;

	if (xpv_upcalls_on_one_cpu()) {
		if (!cpumask_test_cpu(0, mask))
			return -EINVAL;
		cpu = 0;
	} else {
		cpu = force ? cpumask_first(mask) : cpumask_any_and_distribute(mask, cpu_online_mask);
	}
	if (cpu >= nr_cpu_ids)
		return -EINVAL;
	error = xpv_port_move(port_of(data), cpu);
	if (error)
		return error;
	irq_data_update_effective_affinity(data, cpumask_of(cpu));
	return IRQ_SET_MASK_OK;
}

static struct irq_chip port_chip = {
	.name = "xpv-evtchn",
	.irq_ack = port_ack,
	.irq_mask = port_mask,
	.irq_unmask = port_unmask,
	.irq_set_affinity = port_set_affinity,
	/* The first bind must come before the first event. */
	.flags = IRQCHIP_AFFINITY_PRE_STARTUP | IRQCHIP_SKIP_SET_WAKE,
};

static int domain_map(struct irq_domain *unused, unsigned int irq, irq_hw_number_t port)
{
	irq_set_chip_and_handler_name(irq, &port_chip, handle_edge_irq, "edge");
	/* Moving needs no help from an interrupt that comes by. */
	irq_modify_status(irq, IRQ_NOREQUEST, IRQ_MOVE_PCNTXT | IRQ_NOPROBE);
	return 0;
}

static void domain_unmap(struct irq_domain *unused, unsigned int irq)
{
	irq_set_chip_and_handler(irq, NULL, NULL);
}

static const struct irq_domain_ops domain_ops = {
	.map = domain_map,
	.unmap = domain_unmap,
};

static irqreturn_t run_hard(int irq, void *channel)
{
	xpv_event_channel_run(channel);
	return IRQ_HANDLED;
}

static irqreturn_t wake_thread(int irq, void *channel)
{
	return IRQ_WAKE_THREAD;
}

static irqreturn_t run_threaded(int irq, void *channel)
{
	xpv_event_channel_run(channel);
	return IRQ_HANDLED;
}

int xpv_irq_bind(struct xpv_port port, const char *name, unsigned int flags, struct xpv_event_channel *channel,
		 unsigned int *irq)
{
	char *own_name;
	int error;

	if (irq_find_mapping(domain, port.value))
		return -EBUSY;
	own_name = kstrdup(name, GFP_KERNEL);
	if (!own_name)
		return -ENOMEM;
	*irq = irq_create_mapping(domain, port.value);
	if (!*irq) {
		kfree(own_name);
		return -ENOSPC;
	}
	if (flags & XPV_EVENT_THREADED)
		error = request_threaded_irq(*irq, wake_thread, run_threaded, 0, own_name, channel);
	else
		error = request_irq(*irq, run_hard, IRQF_NO_THREAD, own_name, channel);
	if (error) {
		irq_dispose_mapping(*irq);
		kfree(own_name);
		return error;
	}
	irq_set_handler_data(*irq, channel);
	return 0;
}

void xpv_irq_unbind(unsigned int irq)
{
	/* Gives back the name that was requested with. */
	kfree(free_irq(irq, irq_get_handler_data(irq)));
	irq_dispose_mapping(irq);
}

void xpv_irq_disable(unsigned int irq)
{
	disable_irq_nosync(irq);
}

void xpv_irq_enable(unsigned int irq)
{
	enable_irq(irq);
}

void xpv_irq_synchronize(unsigned int irq)
{
	synchronize_irq(irq);
}

bool xpv_irq_handle(struct xpv_port port)
{
	return generic_handle_domain_irq(domain, port.value) == 0;
}

int xpv_irqs_start(void)
{
	node = irq_domain_alloc_named_fwnode("xpv-evtchn");
	if (!node)
		return -ENOMEM;
	domain = irq_domain_create_linear(node, xpv_ports_limit(), &domain_ops, NULL);
	if (!domain) {
		irq_domain_free_fwnode(node);
		return -ENOMEM;
	}
	return 0;
}

void xpv_irqs_stop(void)
{
	irq_domain_remove(domain);
	irq_domain_free_fwnode(node);
}
