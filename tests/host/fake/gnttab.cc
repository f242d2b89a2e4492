// SPDX-License-Identifier: GPL-2.0-only
/* Count the holds of each frame and of the module. */
#include "tests/host/fake/gnttab.hh"

#include <map>
#include <mutex>

#include "gnttab/linux.h"
#include "hypervisor/linux.h"

namespace {

std::mutex mutex;
std::map<uint64_t, unsigned int> frames;
unsigned int module_count;

/* As the hypervisor module does when it is loaded, before gnttab. */
const struct Parts {
	Parts() { xpv_suspend_parts_start(); }
} parts;

} // namespace

namespace xpv_test {

unsigned int held_frames()
{
	std::lock_guard guard(mutex);
	unsigned int held = 0;
	for (auto &[frame, count] : frames)
		held += count;
	return held;
}

unsigned int held_module()
{
	std::lock_guard guard(mutex);
	return module_count;
}

xpv_pfn frame_number(unsigned int i)
{
	return { 0x1000u + i };
}

} // namespace xpv_test

void xpv_gnttab_hold_module()
{
	std::lock_guard guard(mutex);
	module_count++;
}

void xpv_gnttab_release_module()
{
	std::lock_guard guard(mutex);
	module_count--;
}

void xpv_gnttab_hold_frame(xpv_pfn frame)
{
	std::lock_guard guard(mutex);
	frames[frame.value]++;
}

void xpv_gnttab_release_frame(xpv_pfn frame)
{
	std::lock_guard guard(mutex);
	frames[frame.value]--;
}

/* A thread's magazine cannot be reached from another thread, and so only the caller's own is. */
void xpv_gnttab_on_each_cpu(void (*function)(xpv_gnttab_cpu_context *context), xpv_gnttab_cpu_context *context)
{
	function(context);
}

/* There is no per-CPU data here: table.hh does without. */
void xpv_gnttab_set_magazine(unsigned int, xpv_gnttab_magazine *)
{
}
