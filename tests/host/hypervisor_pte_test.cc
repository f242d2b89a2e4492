// SPDX-License-Identifier: GPL-2.0-only
/* The PTE type and its compare-and-swap. */
#include <gtest/gtest.h>

#include <thread>

#include "hypervisor/pte.hh"

namespace {

using namespace xpv;

constexpr uint64_t user = 4, accessed = 1 << 5, dirty = 1 << 6, global = 1 << 8, all = ~uint64_t{ 0 };

uint64_t bits(KernelPte pte)
{
	uint64_t entry = 0;
	EXPECT_TRUE(change_pte(entry, KernelPte(), pte));
	return entry;
}

TEST(Pte, CannotExpressUserOrGlobal)
{
	for (uint64_t frame : { uint64_t{ 0 }, uint64_t{ 1 }, uint64_t{ 0xfffff }, all })
		for (auto access : { XPV_WINDOW_READ_ONLY, XPV_WINDOW_READ_WRITE })
			EXPECT_EQ(bits(KernelPte(Pfn{ frame }, access, all)) & (user | global), 0u);
}

TEST(Pte, EncodesFrameAndAccess)
{
	KernelPte pte(Pfn{ 0x12345 }, XPV_WINDOW_READ_WRITE, all);
	EXPECT_EQ(pte.frame(), Pfn{ 0x12345 });
	EXPECT_EQ(bits(pte), 0x8000000012345063ull);
	EXPECT_EQ(bits(KernelPte(Pfn{ 0x12345 }, XPV_WINDOW_READ_ONLY, all)), 0x8000000012345061ull);
	/* A machine without NX. */
	EXPECT_EQ(bits(KernelPte(Pfn{ 1 }, XPV_WINDOW_READ_ONLY, ~(1ull << 63))), 0x1061ull);
}

TEST(Pte, ChangeIgnoresWhatCpuAndXenSet)
{
	KernelPte mapped(Pfn{ 7 }, XPV_WINDOW_READ_WRITE, all);
	uint64_t entry = bits(mapped) ^ accessed ^ dirty;
	entry |= global | user | (1ull << 55); /* Xen, on a PV guest's page table */
	EXPECT_TRUE(KernelPte::read(entry).user());
	EXPECT_TRUE(change_pte(entry, mapped, KernelPte()));
	EXPECT_EQ(entry, 0u);
}

TEST(Pte, ChangeRefusesAnotherMapping)
{
	uint64_t entry = bits(KernelPte(Pfn{ 8 }, XPV_WINDOW_READ_WRITE, all));
	uint64_t before = entry;
	EXPECT_FALSE(change_pte(entry, KernelPte(Pfn{ 9 }, XPV_WINDOW_READ_WRITE, all), KernelPte()));
	EXPECT_FALSE(change_pte(entry, KernelPte(), KernelPte()));
	EXPECT_EQ(entry, before);
}

TEST(Pte, ConcurrentChangesLoseNothing)
{
	/* Two threads pass one entry back and forth while a third sets accessed bits, as a CPU does. */
	alignas(8) static uint64_t entry = 0;
	constexpr int rounds = 20000;
	KernelPte a(Pfn{ 1 }, XPV_WINDOW_READ_WRITE, all), b(Pfn{ 2 }, XPV_WINDOW_READ_WRITE, all);
	std::atomic<bool> stop = false;
	EXPECT_TRUE(change_pte(entry, KernelPte(), a));
	auto swap = [&](KernelPte from, KernelPte to) {
		for (int i = 0; i < rounds; i++)
			while (!change_pte(entry, from, to))
				std::this_thread::yield();
	};
	std::thread cpu([&] {
		while (!stop)
			__atomic_fetch_xor(&entry, accessed | dirty, __ATOMIC_SEQ_CST);
	});
	std::thread there([&] { swap(a, b); });
	std::thread back([&] { swap(b, a); });
	there.join();
	back.join();
	stop = true;
	cpu.join();
	EXPECT_TRUE(KernelPte::read(entry).same_mapping(a));
}

} // namespace
