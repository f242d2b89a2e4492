// SPDX-License-Identifier: GPL-2.0-only
/* Keep the parts sorted by layer, walk them down or up for each step of a suspend, and count the restores. */
#include "hypervisor/suspend_part.h"

#include "hypervisor/linux.h"
#include "lib/guard.hh"
#include "lib/log.hh"
#include "lib/ordering.hh"
#include "lib/result.hh"

using namespace xpv;

namespace xpv {

namespace {

/*
 * The parts from the bottom up. The mutex guards the list, and is held from
 * the first step of a suspend to the last; the early steps rely on that.
 */
struct Registry {
	Mutex mutex;
	xpv_suspend_part *first;
};

constinit Registry registry = {};

constinit uint32_t restore_count = 0;

/* Walk from the top down. Recursive, because the list has no links in that direction; there are few parts. */
template <typename Action>
void each_down(xpv_suspend_part *part, const Action &action)
{
	if (!part)
		return;
	each_down(part->next, action);
	action(*part);
}

template <typename Action>
void each_up(const Action &action)
{
	for (xpv_suspend_part *part = registry.first; part; part = part->next)
		action(*part);
}

int prepare(xpv_suspend_part &part, uint64_t deadline_ms)
{
	int error = 0;
	if (part.prepare)
		error = xpv_now_ms() < deadline_ms ? part.prepare(deadline_ms) : -XEN_ETIMEDOUT;
	part.prepared = error == 0;
	return error;
}

void complain(const xpv_suspend_part &part, int error)
{
	if (error)
		XPV_ERR("part %s: cannot resume after the suspend (%pe)", part.name, err_ptr(error));
}

} // namespace

} // namespace xpv

void xpv_suspend_parts_start()
{
	registry.mutex.init("xpv suspend parts"_lock);
}

void xpv_suspend_part_register(xpv_suspend_part *part)
{
	xpv_suspend_parts_lock();
	xpv_suspend_part **at = &registry.first;
	while (*at && (*at)->layer <= part->layer)
		at = &(*at)->next;
	part->prepared = false;
	part->next = *at;
	*at = part;
	xpv_suspend_parts_unlock();
}

void xpv_suspend_part_unregister(xpv_suspend_part *part)
{
	xpv_suspend_parts_lock();
	xpv_suspend_part **at = &registry.first;
	while (*at && *at != part)
		at = &(*at)->next;
	if (*at)
		*at = part->next;
	part->next = nullptr;
	xpv_suspend_parts_unlock();
}

/* The mutex stays held until xpv_suspend_parts_unlock(). */
void xpv_suspend_parts_lock() XPV_NO_THREAD_SAFETY_ANALYSIS
{
	registry.mutex.lock();
}

void xpv_suspend_parts_unlock() XPV_NO_THREAD_SAFETY_ANALYSIS
{
	registry.mutex.unlock();
}

uint32_t xpv_restore_count()
{
	return read_once(restore_count);
}

int xpv_suspend_parts_prepare(uint64_t deadline_ms, const char **refused_by)
{
	int error = 0;
	each_down(registry.first, [&](xpv_suspend_part &part) {
		if (error)
			return;
		error = prepare(part, deadline_ms);
		if (error)
			*refused_by = part.name;
	});
	if (error)
		xpv_suspend_parts_abandon();
	return error;
}

void xpv_suspend_parts_abandon()
{
	each_up([](xpv_suspend_part &part) {
		if (part.prepared && part.abandon)
			part.abandon();
		part.prepared = false;
	});
}

void xpv_suspend_parts_suspend_early()
{
	each_down(registry.first, [](xpv_suspend_part &part) {
		if (part.suspend_early)
			part.suspend_early();
	});
}

void xpv_suspend_parts_resume_early(xpv_resume_kind kind)
{
	if (kind == XPV_RESUME_RESTORED)
		write_once(restore_count, restore_count + 1);
	each_up([&](xpv_suspend_part &part) {
		if (part.resume_early)
			complain(part, part.resume_early(kind));
	});
}

void xpv_suspend_parts_resume_cpu(unsigned int cpu)
{
	each_up([&](xpv_suspend_part &part) {
		if (part.resume_cpu)
			complain(part, part.resume_cpu(cpu));
	});
}

void xpv_suspend_parts_resume_late(xpv_resume_kind kind)
{
	each_up([&](xpv_suspend_part &part) {
		if (part.resume_late)
			part.resume_late(kind);
		part.prepared = false;
	});
}
