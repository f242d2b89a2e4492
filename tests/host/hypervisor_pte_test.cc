// SPDX-License-Identifier: GPL-2.0-only
/* The PTE type and its compare-and-swap. (What does not compile: tests/build/test_page_tables.py.) */
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "hypervisor/pte.hh"

namespace {

using namespace xpv;

constexpr uint64_t user = 4, accessed = 1 << 5, dirty = 1 << 6, global = 1 << 8, all = ~uint64_t{ 0 };
constexpr uint64_t software = 0x7ffull << 52;
/* What the CPU and, on a PV guest's page tables, Xen may flip. */
constexpr uint64_t not_ours = accessed | dirty | global | software | user;

/* Only from a frame and an access, never from bits; and what was found in a page table is not one. */
static_assert(!std::is_constructible_v<KernelPte, uint64_t>);
static_assert(!std::is_constructible_v<KernelPte, FoundPte> && !std::is_convertible_v<FoundPte, KernelPte>);
static_assert(!std::is_constructible_v<FoundPte, uint64_t> && !std::is_default_constructible_v<FoundPte>);
static_assert(!std::is_assignable_v<KernelPte &, uint64_t> && !std::is_assignable_v<KernelPte &, FoundPte>);
static_assert(!std::is_aggregate_v<KernelPte>);
static_assert(KernelPte().empty());

KernelPte writable(uint64_t frame)
{
	return KernelPte(Pfn{ frame }, XPV_WINDOW_READ_WRITE, all);
}

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
			for (uint64_t supported : { all, user, uint64_t{ 0 }, uint64_t{ 0xfff } })
				EXPECT_EQ(bits(KernelPte(Pfn{ frame }, access, supported)) & (user | global), 0u);
}

TEST(Pte, EncodesFrameAndAccess)
{
	EXPECT_EQ(writable(0x12345).frame(), Pfn{ 0x12345 });
	EXPECT_EQ(writable(0x12345).access(), XPV_WINDOW_READ_WRITE);
	EXPECT_EQ(bits(writable(0x12345)), 0x8000000012345063ull);
	/* Not dirty: that, without writable, would be a shadow stack's page. */
	KernelPte read_only(Pfn{ 0x12345 }, XPV_WINDOW_READ_ONLY, all);
	EXPECT_EQ(read_only.access(), XPV_WINDOW_READ_ONLY);
	EXPECT_EQ(bits(read_only), 0x8000000012345021ull);
	/* A machine without NX. */
	EXPECT_EQ(bits(KernelPte(Pfn{ 1 }, XPV_WINDOW_READ_ONLY, ~(1ull << 63))), 0x1021ull);
	EXPECT_EQ(bits(KernelPte()), 0u);
}

TEST(Pte, KnowsWhichFramesFit)
{
	constexpr Pfn last{ (1ull << 40) - 1 };
	EXPECT_TRUE(KernelPte::representable(last));
	EXPECT_EQ(KernelPte(last, XPV_WINDOW_READ_WRITE, all).frame(), last);
	EXPECT_EQ(bits(KernelPte(last, XPV_WINDOW_READ_WRITE, all)), 0x800ffffffffff063ull);
	EXPECT_FALSE(KernelPte::representable(Pfn{ 1ull << 40 }));
	EXPECT_FALSE(KernelPte::representable(Pfn{ all }));
}

TEST(Pte, DecodesWhatIsFound)
{
	FoundPte everything = FoundPte::read(all);
	EXPECT_TRUE(everything.present() && everything.writable() && everything.user() && everything.accessed() &&
		    everything.dirty() && everything.no_execute());
	EXPECT_EQ(everything.frame(), Pfn{ 0xffffffffff });
	FoundPte nothing = FoundPte::read(uint64_t{ 0 });
	EXPECT_FALSE(nothing.present() || nothing.writable() || nothing.user() || nothing.accessed() ||
		     nothing.dirty() || nothing.no_execute());
	EXPECT_TRUE(FoundPte::read(user).user());
}

TEST(Pte, ChangeIgnoresWhatCpuAndXenSet)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t entry = bits(writable(7)) ^ (1ull << bit);
		bool ignored = not_ours >> bit & 1;
		EXPECT_EQ(change_pte(entry, writable(7), KernelPte()), ignored) << "bit " << bit;
		EXPECT_EQ(entry, ignored ? 0 : bits(writable(7)) ^ (1ull << bit));
	}
}

TEST(Pte, ChangeRefusesAnotherMapping)
{
	uint64_t entry = bits(writable(8));
	uint64_t before = entry;
	EXPECT_FALSE(change_pte(entry, writable(9), KernelPte()));
	EXPECT_FALSE(change_pte(entry, KernelPte(), KernelPte()));
	EXPECT_FALSE(change_pte(entry, KernelPte(Pfn{ 8 }, XPV_WINDOW_READ_ONLY, all), KernelPte()));
	EXPECT_EQ(entry, before);
}

/* Threads that flip bits of `entry`, one at a time, for as long as it lives. */
class Interference {
public:
	Interference(uint64_t &entry, uint64_t bits, unsigned int threads)
	{
		for (unsigned int i = 0; i < threads; i++)
			threads_.emplace_back([this, &entry, bits] {
				while (!stop_) {
					for (uint64_t left = bits; left; left &= left - 1)
						__atomic_fetch_xor(&entry, left & -left, __ATOMIC_SEQ_CST);
					rounds_++;
				}
			});
	}
	~Interference()
	{
		stop_ = true;
		for (std::thread &thread : threads_)
			thread.join();
	}
	void wait_until_it_runs() const
	{
		while (rounds_ < 100)
			std::this_thread::yield();
	}

private:
	std::atomic<bool> stop_ = false;
	std::atomic<uint64_t> rounds_ = 0;
	std::vector<std::thread> threads_;
};

TEST(Pte, ConcurrentChangesLoseNothing)
{
	/* Two threads pass one entry back and forth while others do to it all that CPU and Xen may. */
	alignas(8) static uint64_t entry = 0;
	constexpr int rounds = 2000;
	EXPECT_TRUE(change_pte(entry, KernelPte(), writable(1)));
	{
		Interference others(entry, not_ours, 2);
		others.wait_until_it_runs();
		auto swap = [&](KernelPte from, KernelPte to) {
			for (int i = 0; i < rounds; i++)
				while (!change_pte(entry, from, to))
					std::this_thread::yield();
		};
		std::thread there([&] { swap(writable(1), writable(2)); });
		std::thread back([&] { swap(writable(2), writable(1)); });
		there.join();
		back.join();
	}
	EXPECT_TRUE(writable(1).is(FoundPte::read(entry)));
}

TEST(Pte, ChangeSucceedsWhateverIsIgnored)
{
	/* Nobody else owns the entry: no change may fail, and each must be there afterwards. */
	alignas(8) static uint64_t entry = 0;
	Interference others(entry, not_ours, 2);
	others.wait_until_it_runs();
	KernelPte now;
	for (uint64_t round = 1; round <= 100000; round++) {
		KernelPte next = round % 3 ? KernelPte(Pfn{ round },
						       round % 2 ? XPV_WINDOW_READ_WRITE : XPV_WINDOW_READ_ONLY, all) :
					     KernelPte();
		ASSERT_TRUE(change_pte(entry, now, next));
		ASSERT_TRUE(next.is(FoundPte::read(entry)));
		now = next;
	}
}

TEST(Pte, OneOfManyWins)
{
	/* All try the same change; for each step exactly one may succeed, whatever the others flip. */
	alignas(8) static uint64_t entry = 0;
	constexpr uint64_t steps = 5000;
	constexpr unsigned int competitors = 3;
	std::atomic<uint64_t> won = 0;
	{
		Interference others(entry, not_ours, 1);
		std::vector<std::thread> threads;
		for (unsigned int i = 0; i < competitors; i++)
			threads.emplace_back([&] {
				for (uint64_t step = 0; step < steps; step++) {
					KernelPte from = step ? writable(step) : KernelPte();
					if (change_pte(entry, from, writable(step + 1)))
						won++;
					else
						while (FoundPte::read(entry).frame().value <= step)
							std::this_thread::yield();
				}
			});
		for (std::thread &thread : threads)
			thread.join();
	}
	EXPECT_EQ(won, steps);
	EXPECT_TRUE(writable(steps).is(FoundPte::read(entry)));
}

} // namespace
