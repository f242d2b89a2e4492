/* SPDX-License-Identifier: GPL-2.0-only */
/* The Linux side of the hypervisor module (hypervisor/linux.h) for the host tests. */
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "hypervisor/linux.h"

namespace fake {

/* Return the number of allocations that are lent. */
std::size_t lent_allocations();
/* Called before pages are lent, if a test wants to be there. */
extern std::function<void()> on_lend;

/* Address ranges with a placeholder in each page, as vmap() makes them. */
struct Ranges {
	struct Range {
		std::vector<uint64_t> entries;
	};
	std::map<uintptr_t, Range> live;
	uintptr_t next = 0x7f0000000000;
	uint64_t placeholder_bits = 0x8000000000000121; /* present, accessed, global, no-execute */
	bool out_of_space = false;
};
extern Ranges ranges;
/* The PTE of an address in one of them. */
uint64_t &entry_at(const void *address);

/* How often the emulated devices were unplugged again. */
extern unsigned int unplugs;

extern std::atomic<unsigned int> flushes;
/* What the flush finds, if a test wants to know. */
extern void (*on_flush)();

} // namespace fake
