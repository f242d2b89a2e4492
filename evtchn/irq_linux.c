// SPDX-License-Identifier: GPL-2.0-only
/* Ports as Linux irqs, edge-triggered, in a domain of their own. */

#include <linux/atomic.h>
#include <linux/bottom_half.h>
#include <linux/cpumask.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/irqdomain.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "evtchn/linux.h"

#define CREATE_TRACE_POINTS
#include "evtchn/trace.h"

/*
 * The map from port to irq, for delivery, with two levels. Pages of the second
 * level are allocated when first needed, and kept. Upcalls read the map with irqs
 * off and without a lock; xpv_irq_unbind() waits for them.
 */
#define MAP_BITS 9
#define MAP_SIZE (1u << MAP_BITS)
#define MAP_PAGES ((1u << 17) >> MAP_BITS)
static struct irq_desc **map[MAP_PAGES];
static DEFINE_MUTEX(map_mutex);

static struct irq_domain *domain;
/* The hwirq is not the port, because the port changes in a restore. A hwirq is never reused. */
static atomic_long_t last_hwirq = ATOMIC_LONG_INIT(0);
static struct fwnode_handle *node;
static bool handlers_forced; /* the kernel forces handlers into threads */

static struct xpv_event_channel *channel_of(struct irq_data *data)
{
	return irq_data_get_irq_chip_data(data);
}

/* Nothing to do: the upcall cleared the event. */
static void port_ack(struct irq_data *data)
{
}

static void port_mask(struct irq_data *data)
{
	xpv_event_channel_irq_mask(channel_of(data));
}

static void port_unmask(struct irq_data *data)
{
	xpv_event_channel_irq_unmask(channel_of(data));
}

static int port_retrigger(struct irq_data *data)
{
	xpv_event_channel_raise(channel_of(data));
	return 1;
}

/*
 * Return the CPU in the mask that serves the fewest channels, not counting this
 * channel; nr_cpu_ids when no CPU gets upcalls.
 */
static unsigned int least_loaded(struct irq_data *data, const struct cpumask *mask)
{
	unsigned int own = cpumask_first(irq_data_get_effective_affinity_mask(data));
	unsigned int cpu, load, best = nr_cpu_ids, least = UINT_MAX;

	for_each_cpu_and(cpu, mask, cpu_online_mask) {
		if (!xpv_upcall_reaches(cpu))
			continue;
		load = xpv_channels_on(cpu) - (cpu == own ? 1 : 0);
		if (load < least || (load == least && cpu == own)) {
			least = load;
			best = cpu;
		}
	}
	return best;
}

static int port_set_affinity(struct irq_data *data, const struct cpumask *mask, bool force)
{
	unsigned int cpu = force ? cpumask_first(mask) : least_loaded(data, mask);
	int error;

	if (cpu >= nr_cpu_ids || !xpv_upcall_reaches(cpu))
		return -EINVAL;
	error = xpv_event_channel_move(channel_of(data), cpu);
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
	.irq_retrigger = port_retrigger,
	.irq_set_affinity = port_set_affinity,
	/* Set the affinity first: the port must be bound to its vCPU before the first event. */
	.flags = IRQCHIP_AFFINITY_PRE_STARTUP | IRQCHIP_SKIP_SET_WAKE,
};

static int domain_map(struct irq_domain *unused, unsigned int irq, irq_hw_number_t hwirq)
{
	irq_set_chip_and_handler_name(irq, &port_chip, handle_edge_irq, "edge");
	/* The irq can be moved in process context, and must be masked as soon as it is disabled. */
	irq_modify_status(irq, IRQ_NOREQUEST, IRQ_MOVE_PCNTXT | IRQ_NOPROBE | IRQ_DISABLE_UNLAZY);
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

static irqreturn_t run_until_eoi(int irq, void *channel)
{
	xpv_event_channel_begin_until_eoi(channel);
	xpv_event_channel_run(channel);
	return IRQ_HANDLED;
}

static irqreturn_t wake_thread(int irq, void *channel)
{
	xpv_event_channel_begin_threaded(channel);
	return IRQ_WAKE_THREAD;
}

static irqreturn_t wake_thread_until_eoi(int irq, void *channel)
{
	xpv_event_channel_begin_until_eoi(channel);
	return IRQ_WAKE_THREAD;
}

static irqreturn_t run_threaded(int irq, void *channel)
{
	xpv_event_channel_run_threaded(channel);
	return IRQ_HANDLED;
}

/*
 * Run a handler for hard irq context in a thread, as kernel/irq/manage.c runs a
 * handler that it forces into a thread: with bottom halves off, and with irqs off
 * except on PREEMPT_RT.
 */
static void run_forced(struct xpv_event_channel *channel, void (*run)(struct xpv_event_channel *channel))
{
	unsigned long flags;

	local_bh_disable();
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		local_irq_save(flags);
	run(channel);
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		local_irq_restore(flags);
	local_bh_enable();
}

static irqreturn_t run_hard_in_thread(int irq, void *channel)
{
	run_forced(channel, xpv_event_channel_run_threaded);
	return IRQ_HANDLED;
}

static irqreturn_t run_until_eoi_in_thread(int irq, void *channel)
{
	run_forced(channel, xpv_event_channel_run);
	return IRQ_HANDLED;
}

static irqreturn_t probe_handler(int irq, void *unused)
{
	return IRQ_NONE;
}

/*
 * Find out whether this kernel forces handlers into threads (threadirqs,
 * PREEMPT_RT), with an irq that never fires, because force_irqthreads_key is not
 * exported. If so, we thread the handlers ourselves: a port must stay masked
 * until its thread is done, which the kernel does not do for edge irqs.
 */
static int handlers_probe(void)
{
	int irq = irq_alloc_desc(NUMA_NO_NODE);
	int error;

	if (irq < 0)
		return irq;
	irq_set_chip_and_handler(irq, &dummy_irq_chip, handle_simple_irq);
	error = request_irq(irq, probe_handler, 0, "xpv probe", &domain);
	if (!error) {
		handlers_forced = irq_data_to_desc(irq_get_irq_data(irq))->action->thread;
		free_irq(irq, &domain);
	}
	irq_free_desc(irq);
	return error;
}

static struct irq_desc **map_slot(struct xpv_port port)
{
	struct irq_desc **page = READ_ONCE(map[port.value >> MAP_BITS]);

	return page ? &page[port.value & (MAP_SIZE - 1)] : NULL;
}

int xpv_irq_reserve(struct xpv_port last)
{
	/* A disk that reconnects waits for this mutex. */
	unsigned int flags = memalloc_noio_save();
	unsigned int i;
	int error = 0;

	mutex_lock(&map_mutex);
	for (i = 0; i <= last.value >> MAP_BITS && !error; i++) {
		struct irq_desc **made;

		if (map[i])
			continue;
		made = kcalloc(MAP_SIZE, sizeof(*made), GFP_KERNEL);
		if (made)
			smp_store_release(&map[i], made);
		else
			error = -ENOMEM;
	}
	mutex_unlock(&map_mutex);
	memalloc_noio_restore(flags);
	return error;
}

int xpv_irq_set_port(unsigned int irq, struct xpv_port port)
{
	struct irq_desc **slot = map_slot(port);

	if (!slot)
		return -ENOMEM;
	smp_store_release(slot, irq_data_to_desc(irq_get_irq_data(irq)));
	return 0;
}

void xpv_irqs_forget_ports(void)
{
	unsigned int i;

	for (i = 0; i < MAP_PAGES; i++) {
		if (map[i])
			memset(map[i], 0, MAP_SIZE * sizeof(*map[i]));
	}
}

static int map_add(struct xpv_event_channel *channel, unsigned int irq)
{
	int error = xpv_irq_reserve(xpv_event_channel_port(channel));
	unsigned long flags;

	if (error)
		return error;
	/* Irqs off: no restore may come between the check of the port and its use. */
	local_irq_save(flags);
	if (!xpv_event_channel_lost(channel))
		error = xpv_irq_set_port(irq, xpv_event_channel_port(channel));
	local_irq_restore(flags);
	return error;
}

static void noop(void *unused)
{
}

static void map_remove(struct xpv_event_channel *channel)
{
	struct irq_desc **slot;
	unsigned long flags;

	local_irq_save(flags);
	slot = xpv_event_channel_lost(channel) ? NULL : map_slot(xpv_event_channel_port(channel));
	if (slot)
		WRITE_ONCE(*slot, NULL);
	local_irq_restore(flags);
	/* Upcalls run with irqs off: an upcall that found the irq here has ended when its CPU takes this interrupt. */
	on_each_cpu(noop, NULL, 1);
}

/*
 * Request the irq. Where there is a thread, the part in hard irq context takes
 * raw locks only and is never threaded itself.
 */
static int request_handler(unsigned int irq, unsigned int flags, const char *name, struct xpv_event_channel *channel)
{
	bool until_eoi = flags & XPV_EVENT_EXPLICIT_EOI;

	if (flags & XPV_EVENT_THREADED)
		return request_threaded_irq(irq, wake_thread, run_threaded, IRQF_NO_THREAD, name, channel);
	if (handlers_forced)
		return request_threaded_irq(irq, until_eoi ? wake_thread_until_eoi : wake_thread,
					    until_eoi ? run_until_eoi_in_thread : run_hard_in_thread, IRQF_NO_THREAD,
					    name, channel);
	/* Without IRQF_NO_THREAD, so that lockdep knows that its locks may be spinlock_t. */
	return request_irq(irq, until_eoi ? run_until_eoi : run_hard, 0, name, channel);
}

int xpv_irq_bind(const char *name, unsigned int flags, unsigned int cpu, struct xpv_event_channel *channel,
		 unsigned int *bound)
{
	unsigned int irq = irq_create_mapping(domain, atomic_long_inc_return(&last_hwirq));
	int error;

	if (!irq)
		return -ENOSPC;
	irq_set_chip_data(irq, channel);
	irq_data_update_effective_affinity(irq_get_irq_data(irq), cpumask_of(cpu));
	/* Not IRQF_PERCPU, which would keep the handler from being threaded. */
	if (flags & XPV_IRQ_FIXED)
		irq_set_status_flags(irq, IRQ_PER_CPU | IRQ_NO_BALANCING);
	WRITE_ONCE(*bound, irq);
	error = map_add(channel, irq);
	if (!error) {
		error = request_handler(irq, flags, name, channel);
		if (!error)
			return 0;
	}
	/* From here on a restore does not map a port to the irq. */
	WRITE_ONCE(*bound, 0);
	map_remove(channel);
	irq_dispose_mapping(irq);
	return error;
}

void xpv_irq_unbind(unsigned int irq, struct xpv_event_channel *channel)
{
	free_irq(irq, channel);
	map_remove(channel);
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
	struct irq_desc **slot = map_slot(port);
	struct irq_desc *desc = slot ? READ_ONCE(*slot) : NULL;

	if (!desc)
		return false;
	trace_xpv_event(port.value, irq_desc_get_irq(desc));
	generic_handle_irq_desc(desc);
	return true;
}

void xpv_trace_event_eoi(struct xpv_port port)
{
	trace_xpv_event_eoi(port.value);
}

void xpv_trace_event_backoff(struct xpv_port port, unsigned int milliseconds)
{
	trace_xpv_event_backoff(port.value, milliseconds);
}

int xpv_irqs_start(void)
{
	int error = handlers_probe();

	if (error)
		return error;
	node = irq_domain_alloc_named_fwnode("xpv-evtchn");
	if (!node)
		return -ENOMEM;
	domain = irq_domain_create_tree(node, &domain_ops, NULL);
	if (!domain) {
		irq_domain_free_fwnode(node);
		return -ENOMEM;
	}
	return 0;
}

void xpv_irqs_stop(void)
{
	unsigned int i;

	irq_domain_remove(domain);
	irq_domain_free_fwnode(node);
	for (i = 0; i < MAP_PAGES; i++) {
		kfree(map[i]);
		map[i] = NULL;
	}
}
