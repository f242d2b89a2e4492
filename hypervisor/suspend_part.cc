// SPDX-License-Identifier: GPL-2.0-only
/* The registry of parts: one list, from the bottom up. */
#include "hypervisor/suspend_part.h"

#include "hypervisor/linux.h"
#include "lib/guard.hh"
#include "lib/log.hh"

namespace xpv {

namespace {

constinit xpv_lock_class parts_class = {};
constinit Mutex parts_mutex;
constinit xpv_suspend_part *parts = nullptr; /* from the bottom up */

void bottom_up(void (*call)(xpv_suspend_part &part))
{
	for (xpv_suspend_part *part = parts; part; part = part->next)
		call(*part);
}

/* By hand: a list that goes one way is short, and nothing may be allocated. */
void top_down(xpv_suspend_part *end, void (*call)(xpv_suspend_part &part))
{
	while (end != parts) {
		xpv_suspend_part *last = parts;
		while (last->next != end)
			last = last->next;
		call(*last);
		end = last;
	}
}

} // namespace

} // namespace xpv

using namespace xpv;

void xpv_suspend_parts_start(void)
{
	parts_mutex.init("xpv suspend parts", parts_class);
}

void xpv_suspend_part_register(struct xpv_suspend_part *part)
{
	MutexGuard guard(parts_mutex);
	xpv_suspend_part **at = &parts;
	while (*at && (*at)->layer <= part->layer)
		at = &(*at)->next;
	part->prepared = false;
	part->next = *at;
	*at = part;
}

void xpv_suspend_part_unregister(struct xpv_suspend_part *part)
{
	MutexGuard guard(parts_mutex);
	xpv_suspend_part **at = &parts;
	while (*at && *at != part)
		at = &(*at)->next;
	if (*at)
		*at = part->next;
}

void xpv_suspend_parts_lock(void)
{
	parts_mutex.lock();
}

void xpv_suspend_parts_unlock(void)
{
	parts_mutex.unlock();
}

int xpv_suspend_parts_prepare(const char **refused_by)
{
	static constinit int error;
	static constinit const char *refused;
	error = 0;
	top_down(nullptr, [](xpv_suspend_part &part) {
		if (error == 0 && part.prepare) {
			error = part.prepare();
			refused = part.name;
		}
		part.prepared = error == 0;
	});
	if (error == 0)
		return 0;
	*refused_by = refused;
	xpv_suspend_parts_abandon();
	return error;
}

void xpv_suspend_parts_abandon(void)
{
	bottom_up([](xpv_suspend_part &part) {
		if (part.prepared && part.abandon)
			part.abandon();
		part.prepared = false;
	});
}

void xpv_suspend_parts_suspend_early(void)
{
	top_down(nullptr, [](xpv_suspend_part &part) {
		if (part.suspend_early)
			part.suspend_early();
	});
}

void xpv_suspend_parts_resume_early(enum xpv_resume_kind kind)
{
	for (xpv_suspend_part *part = parts; part; part = part->next) {
		int error = part->resume_early ? part->resume_early(kind) : 0;
		if (error)
			XPV_ERR("%s: error %d after a suspend", part->name, error);
	}
}

void xpv_suspend_parts_resume_cpu(unsigned int cpu)
{
	for (xpv_suspend_part *part = parts; part; part = part->next) {
		int error = part->resume_cpu ? part->resume_cpu(cpu) : 0;
		if (error)
			XPV_ERR("%s: CPU %u: error %d after a suspend", part->name, cpu, error);
	}
}

void xpv_suspend_parts_resume_late(enum xpv_resume_kind kind)
{
	for (xpv_suspend_part *part = parts; part; part = part->next) {
		part->prepared = false;
		if (part->resume_late)
			part->resume_late(kind);
	}
}
