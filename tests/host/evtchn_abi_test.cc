// SPDX-License-Identifier: GPL-2.0-only
/* Both event channel ABIs against the fake hypervisor: nothing lost, nothing twice, nothing while masked. */
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "evtchn/channel.hh"
#include "evtchn/fifo.hh"
#include "evtchn/two_level.hh"
#include "hypervisor/linux.h"
#include "lib/guard.hh"
#include "tests/fake/fake_hypervisor.h"

namespace {

using namespace xpv;

constexpr unsigned int cpus = 4;

Status start(TwoLevel &ports)
{
	return ports.start();
}

Status start(Fifo &ports)
{
	return ports.start(false);
}

template <typename Ports>
class EventAbi : public testing::Test {
protected:
	void SetUp() override
	{
		xpv_fake_reset();
		ASSERT_EQ(xpv_hypervisor_detect(), 0);
		ASSERT_EQ(xpv_hypervisor_start(), 0);
		for (unsigned int cpu = 0; cpu < cpus; cpu++)
			ASSERT_EQ(xpv_hypervisor_vcpu_online(cpu), 0);
		load();
	}
	void TearDown() override
	{
		ports.reset();
		xpv_hypervisor_stop();
	}

	void load()
	{
		ports = std::make_unique<Ports>();
		ASSERT_TRUE(start(*ports).ok());
		for (unsigned int cpu = 0; cpu < cpus; cpu++) {
			ASSERT_TRUE(ports->add_cpu(cpu).ok());
			ports->forget(cpu);
			store_release(xpv_vcpu_info(cpu)->evtchn_upcall_pending, 0);
		}
	}

	/* A new port on this CPU, masked or not. */
	Port open(unsigned int cpu, bool masked = false)
	{
		auto port = evtchnop_alloc_unbound(Domid{ 0 });
		EXPECT_TRUE(port.ok());
		EXPECT_TRUE(ports->add_port(port.value()).ok());
		EXPECT_TRUE(ports->masked(port.value()));
		EXPECT_TRUE(ports->move(port.value(), cpu).ok());
		if (!masked)
			ports->unmask(port.value());
		return port.value();
	}

	/* The ports whose events this CPU gets now, in order. */
	std::vector<uint32_t> scan(unsigned int cpu)
	{
		std::vector<uint32_t> got;
		ports->scan(cpu, *xpv_vcpu_info(cpu), [&](Port port) { got.push_back(port.value); });
		return got;
	}
	std::vector<uint32_t> scan_all()
	{
		std::vector<uint32_t> got;
		for (unsigned int cpu = 0; cpu < cpus; cpu++) {
			for (uint32_t port : scan(cpu))
				got.push_back(port);
		}
		return got;
	}

	using List = std::vector<uint32_t>;
	std::unique_ptr<Ports> ports;
};

using Abis = testing::Types<TwoLevel, Fifo>;
TYPED_TEST_SUITE(EventAbi, Abis);

TYPED_TEST(EventAbi, DeliversAnEventOnceToItsCpu)
{
	Port port = this->open(2);
	EXPECT_EQ(this->scan_all(), (std::vector<uint32_t>{}));
	xpv_fake_event(port);
	EXPECT_TRUE(this->ports->pending(port));
	EXPECT_EQ(this->scan(1), (std::vector<uint32_t>{}));
	EXPECT_EQ(this->scan(2), (std::vector<uint32_t>{ port.value }));
	EXPECT_FALSE(this->ports->pending(port));
	EXPECT_EQ(this->scan_all(), (std::vector<uint32_t>{}));
}

TYPED_TEST(EventAbi, KeepsAMaskedEventUntilItIsUnmasked)
{
	Port port = this->open(0);
	this->ports->mask(port);
	xpv_fake_event(port);
	EXPECT_EQ(this->scan_all(), (std::vector<uint32_t>{}));
	EXPECT_TRUE(this->ports->pending(port));
	this->ports->unmask(port);
	EXPECT_FALSE(this->ports->masked(port));
	EXPECT_EQ(this->scan(0), (std::vector<uint32_t>{ port.value }));
}

TYPED_TEST(EventAbi, KeepsAnEventThatWasMaskedAfterItCame)
{
	Port port = this->open(0);
	xpv_fake_event(port);
	this->ports->mask(port);
	EXPECT_EQ(this->scan_all(), (std::vector<uint32_t>{}));
	this->ports->unmask(port);
	EXPECT_EQ(this->scan(0), (std::vector<uint32_t>{ port.value }));
}

TYPED_TEST(EventAbi, AMovedPortsEventsComeToTheNewCpu)
{
	Port port = this->open(0);
	for (unsigned int cpu : { 1u, 3u, 0u, 2u }) {
		this->ports->mask(port);
		xpv_fake_event(port);
		ASSERT_TRUE(this->ports->move(port, cpu).ok());
		this->ports->unmask(port);
		EXPECT_EQ(this->scan(cpu), (std::vector<uint32_t>{ port.value }));
		xpv_fake_event(port);
		EXPECT_EQ(this->scan_all(), (std::vector<uint32_t>{ port.value }));
	}
}

TYPED_TEST(EventAbi, WhatADeadCpuWasToldIsRaisedAnew)
{
	Port moved = this->open(3), other = this->open(1);
	xpv_fake_event(moved);
	xpv_fake_event(other);
	/* CPU 3 goes without having looked. */
	this->ports->mask(moved);
	ASSERT_TRUE(this->ports->move(moved, 1).ok());
	this->ports->unmask(moved);
	this->ports->forget(3);
	for (Port port : { moved, other }) {
		if (this->ports->pending(port))
			this->ports->raise(port);
	}
	auto got = this->scan(1);
	EXPECT_EQ(std::set<uint32_t>(got.begin(), got.end()), (std::set<uint32_t>{ moved.value, other.value }));
	EXPECT_EQ(got.size(), 2u);
}

TYPED_TEST(EventAbi, RaisesWhatTheGuestItselfSetsPending)
{
	Port port = this->open(1);
	this->ports->set_pending(port);
	this->ports->raise(port);
	EXPECT_EQ(this->scan(1), (std::vector<uint32_t>{ port.value }));
}

TYPED_TEST(EventAbi, TheNextLoadGoesOn)
{
	Port quiet = this->open(0), busy = this->open(1);
	xpv_fake_event(busy);
	this->ports->mask_all();
	this->ports.reset();
	xpv_fake_event(quiet);
	this->load();
	EXPECT_TRUE(this->ports->masked(quiet));
	EXPECT_TRUE(this->ports->masked(busy));
	EXPECT_EQ(this->scan_all(), (std::vector<uint32_t>{}));
	for (Port port : { quiet, busy }) {
		ASSERT_TRUE(this->ports->move(port, 2).ok());
		this->ports->unmask(port);
	}
	auto got = this->scan(2);
	EXPECT_EQ(std::set<uint32_t>(got.begin(), got.end()), (std::set<uint32_t>{ quiet.value, busy.value }));
}

TYPED_TEST(EventAbi, RandomOrdersLoseAndInventNothing)
{
	std::mt19937 random(4711);
	std::map<uint32_t, bool> open; /* masked? */
	std::set<uint32_t> sent;
	for (unsigned int i = 0; i < 20; i++)
		open[this->open(i % cpus).value] = false;

	for (unsigned int step = 0; step < 50000; step++) {
		auto at = open.begin();
		std::advance(at, random() % open.size());
		Port port = { at->first };
		switch (random() % 8) {
		case 0:
			this->ports->mask(port);
			at->second = true;
			break;
		case 1:
			this->ports->unmask(port);
			at->second = false;
			break;
		case 2: {
			bool masked = at->second;
			this->ports->mask(port);
			ASSERT_TRUE(this->ports->move(port, random() % cpus).ok());
			if (!masked)
				this->ports->unmask(port);
			break;
		}
		case 3:
			for (uint32_t got : this->scan(random() % cpus)) {
				ASSERT_FALSE(open[got]) << "delivered while masked";
				ASSERT_EQ(sent.erase(got), 1u) << "nobody sent it";
			}
			break;
		default:
			xpv_fake_event(port);
			sent.insert(port.value);
		}
	}
	for (auto &[port, masked] : open)
		this->ports->unmask(Port{ port });
	for (uint32_t got : this->scan_all())
		EXPECT_EQ(sent.erase(got), 1u);
	EXPECT_TRUE(sent.empty());
}

/* Senders, a masker and two CPUs at once: what was sent last is always seen. */
TYPED_TEST(EventAbi, ThreadsLoseNothing)
{
	constexpr unsigned int count = 6;
	std::vector<Port> used;
	std::atomic<unsigned int> sent[count] = {}, seen[count] = {};
	for (unsigned int i = 0; i < count; i++)
		used.push_back(this->open(i % 2));
	std::atomic<bool> stop = false;

	auto take = [&](unsigned int cpu) {
		this->ports->scan(cpu, *xpv_vcpu_info(cpu), [&](Port port) {
			for (unsigned int i = 0; i < count; i++) {
				if (used[i] == port)
					seen[i] = sent[i].load();
			}
		});
	};
	std::vector<std::thread> threads;
	for (unsigned int cpu = 0; cpu < 2; cpu++)
		threads.emplace_back([&, cpu] {
			while (!stop)
				take(cpu);
		});
	threads.emplace_back([&] {
		for (unsigned int n = 0; !stop; n++) {
			this->ports->mask(used[n % count]);
			this->ports->unmask(used[n % count]);
		}
	});
	std::vector<std::thread> senders;
	for (unsigned int i = 0; i < 2; i++)
		senders.emplace_back([&, i] {
			for (unsigned int n = 0; n < 20000; n++) {
				unsigned int which = n % (count / 2) * 2 + i;
				sent[which]++;
				xpv_fake_event(used[which]);
			}
		});
	for (std::thread &sender : senders)
		sender.join();
	stop = true;
	for (std::thread &thread : threads)
		thread.join();
	for (unsigned int cpu = 0; cpu < 2; cpu++)
		take(cpu);
	for (unsigned int i = 0; i < count; i++)
		EXPECT_EQ(seen[i].load(), sent[i].load()) << "port " << used[i].value;
}

class FifoOnly : public EventAbi<Fifo> {};

TEST_F(FifoOnly, HigherPrioritiesComeFirst)
{
	Port low = open(0), normal = open(0), high = open(0);
	ASSERT_TRUE(ports->set_priority(low, 15).ok());
	ASSERT_TRUE(ports->set_priority(high, 0).ok());
	for (Port port : { low, normal, high })
		xpv_fake_event(port);
	EXPECT_EQ(scan(0), (List{ high.value, normal.value, low.value }));
}

TEST_F(FifoOnly, EventsOfOnePriorityComeInTheirOrder)
{
	Port first = open(0), second = open(0), third = open(0);
	for (Port port : { third, first, second, third })
		xpv_fake_event(port);
	EXPECT_EQ(scan(0), (List{ third.value, first.value, second.value }));
}

TEST_F(FifoOnly, AXenWithoutItLeavesTheDomainAsItWas)
{
	xpv_fake_reset();
	xpv_hypervisor_stop();
	ASSERT_EQ(xpv_hypervisor_start(), 0);
	ASSERT_EQ(xpv_hypervisor_vcpu_online(0), 0);
	xpv_fake_fail(32 /* event_channel_op */, EVTCHNOP_init_control, 0, XEN_ENOSYS);
	Fifo without;
	EXPECT_FALSE(without.start(false).ok());
	EXPECT_FALSE(without.active());
	EXPECT_FALSE(without.start(true).ok());
	ASSERT_TRUE(without.start(false).ok());
	EXPECT_TRUE(without.active());
	Fifo again;
	ASSERT_TRUE(again.start(true).ok());
}

TEST_F(FifoOnly, AnArrayThatCannotGrowIsAnError)
{
	EXPECT_FALSE(ports->add_port(Port{ 1024 }).ok()); /* the fake has one page */
	EXPECT_TRUE(ports->add_port(Port{ 1023 }).ok());
}

TEST(Backoff, GrowsToASecondAndStartsAnew)
{
	Backoff backoff;
	std::vector<unsigned int> waits;
	uint64_t events = 0;
	for (unsigned int i = 0; i < 14; i++)
		waits.push_back(backoff.after_spurious(++events));
	EXPECT_EQ(waits, (std::vector<unsigned int>{ 0, 0, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000, 1000, 1000 }));
	events++; /* a good one */
	EXPECT_EQ(backoff.after_spurious(++events), 0u);
	EXPECT_EQ(backoff.after_spurious(++events), 0u);
	EXPECT_EQ(backoff.after_spurious(++events), 4u);
}

} // namespace
