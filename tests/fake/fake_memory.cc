// SPDX-License-Identifier: GPL-2.0-only
/* The fake's guest frames: claimed from Linux's memory, and where Xen adds its own pages. */

#include "lib/memory.hh"
#include "tests/fake/fake_domain.hh"
#include "tests/fake/fake_grants.hh"

namespace xpv {

namespace {

/* Something of Xen's is added at a claimed frame: a new page, after a restore. */
void freshen(Gfn frame)
{
	for (FakeClaim &claim : fake_domain.claims) {
		if (!claim.memory)
			continue;
		uint64_t page = frame.value - xpv_pages_gfn(claim.memory).value;
		if (page >= 1u << claim.order || page >= 64 || !(claim.stale >> page & 1))
			continue;
		claim.stale &= ~(uint64_t{ 1 } << page);
		__builtin_memset(static_cast<char *>(claim.memory) + page * page_size, 0, page_size);
	}
}

} // namespace

void *fake_claimed_memory(Gfn frame)
{
	for (FakeClaim &claim : fake_domain.claims) {
		if (!claim.memory)
			continue;
		uint64_t first = xpv_pages_gfn(claim.memory).value;
		if (frame.value >= first && frame.value < first + (1u << claim.order))
			return static_cast<char *>(claim.memory) + (frame.value - first) * page_size;
	}
	return nullptr;
}

long fake_memory_op(unsigned int command, unsigned long argument)
{
	switch (command) {
	case XENMEM_add_to_physmap: {
		auto *add = reinterpret_cast<xen_add_to_physmap *>(argument);
		void *memory = fake_claimed_memory(Gfn{ add->gpfn });
		if (!memory)
			return -XEN_EINVAL;
		freshen(Gfn{ add->gpfn });
		if (add->space == XENMAPSPACE_shared_info) {
			fake_domain.shared = static_cast<::shared_info *>(memory);
			return 0;
		}
		if (add->space != XENMAPSPACE_grant_table)
			return -XEN_EINVAL;
		return fake_grants_add_frame(add->idx, memory);
	}
	case XENMEM_remove_from_physmap: {
		void *memory = fake_claimed_memory(Gfn{ reinterpret_cast<xen_remove_from_physmap *>(argument)->gpfn });
		if (!memory)
			return -XEN_EINVAL;
		if (memory == fake_domain.shared)
			fake_domain.shared = nullptr;
		fake_grants_remove_frame(memory);
		return 0;
	}
	}
	return -XEN_ENOSYS;
}

} // namespace xpv

extern "C" {

int xpv_frames_claim(unsigned int count, struct xpv_gfn *first)
{
	unsigned int order = 0;
	while (1u << order < count)
		order++;
	for (xpv::FakeClaim &claim : xpv::fake_domain.claims) {
		if (claim.memory)
			continue;
		claim.memory = xpv_pages_alloc(order, XPV_MAY_SLEEP);
		if (!claim.memory)
			return -XEN_ENOMEM;
		claim.order = order;
		*first = xpv_pages_gfn(claim.memory);
		return 0;
	}
	return -XEN_ENOSPC;
}

void xpv_frames_release(struct xpv_gfn first, unsigned int)
{
	for (xpv::FakeClaim &claim : xpv::fake_domain.claims) {
		if (claim.memory && xpv_pages_gfn(claim.memory) == first) {
			xpv_pages_free(claim.memory, claim.order);
			claim = {};
			return;
		}
	}
}

} /* extern "C" */
