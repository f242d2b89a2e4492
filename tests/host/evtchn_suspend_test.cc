// SPDX-License-Identifier: GPL-2.0-only
/* Registry, shared info and event channels across a suspend: cancelled, and restored in a new domain. */
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "evtchn/abi.hh"
#include "evtchn/channel.hh"
#include "evtchn/evtchn_owned.h"
#include "evtchn/linux.h"
#include "hypervisor/hypercall.hh"
#include "hypervisor/linux.h"
#include "hypervisor/suspend_part.h"
#include "tests/fake/fake_hypervisor.h"
#include "tests/host/fake/clock.hh"
#include "tests/host/fake/evtchn_linux.hh"
#include "tests/host/fake/hypervisor.hh"
#include "tests/host/fake/interrupt.hh"
#include "tests/host/fake/shim.hh"

namespace {

using namespace xpv;

constexpr unsigned int big_cpu = 33; /* its info is not in the shared info page */
constexpr Domid dom0 = { 0 };

struct Events {
	unsigned int count = 0;
	static void add(xpv_event_context *context) { reinterpret_cast<Events *>(context)->count++; }
	[[nodiscard]] const xpv_event_channel_args *args(const char *name)
	{
		args_ = { name, XPV_EVENT_HARD, add, reinterpret_cast<xpv_event_context *>(this) };
		return &args_;
	}
	unsigned int take() { return std::exchange(count, 0); }

private:
	xpv_event_channel_args args_ = {};
};

/* The ABI, and whether there is one vector for all CPUs. */
using Kind = std::tuple<xpv_evtchn_abi, bool>;

class EvtchnSuspend : public testing::TestWithParam<Kind> {
protected:
	void SetUp() override
	{
		xpv_fake_refuse_fifo(false);
		xpv_fake_reset();
		xpv_fake_take_callback_vector(true);
		fake::reset_evtchn_linux();
		fake::evtchn_linux.callback = std::get<1>(GetParam());
		fake::take_log();
		ASSERT_EQ(xpv_hypervisor_detect(), 0);
		ASSERT_EQ(xpv_hypervisor_start(), 0);
		xpv_suspend_part_register(&xpv_hypervisor_suspend_part);
		for (unsigned int cpu : all_cpus)
			ASSERT_EQ(xpv_hypervisor_vcpu_online(cpu), 0);
		ASSERT_EQ(xpv_ports_start(abi()), 0);
		ASSERT_EQ(xpv_channels_start(), 0);
		for (unsigned int cpu : all_cpus)
			ASSERT_EQ(xpv_upcall_prepare(cpu), 0);
		ASSERT_EQ(fake::register_upcalls(all_cpus), 0);
		xpv_suspend_part_register(&xpv_evtchn_suspend_part);
	}
	void TearDown() override
	{
		xpv_suspend_part_unregister(&xpv_evtchn_suspend_part);
		xpv_channels_stop();
		xpv_ports_mask_all();
		xpv_ports_stop();
		xpv_suspend_part_unregister(&xpv_hypervisor_suspend_part);
		xpv_hypervisor_stop();
		EXPECT_EQ(fake::bound_irqs(), 0u);
	}

	xpv_event_channel *open(Events &events, unsigned int cpu = 0)
	{
		xpv_event_channel *channel = nullptr;
		EXPECT_EQ(xpv_event_channel_alloc_unbound(dom0, events.args("disk"), &channel), 0);
		EXPECT_EQ(xpv_event_channel_move(channel, cpu), 0);
		return channel;
	}
	static xpv_evtchn_abi abi() { return std::get<0>(GetParam()); }
	/* Of those that Xen has raised, by the vector that Linux has for them. */
	static void upcalls() { fake::deliver_upcalls(all_cpus); }
	static void begin()
	{
		const char *refused = nullptr;
		xpv_suspend_parts_lock();
		ASSERT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), 0) << refused;
		xpv_suspend_parts_suspend_early();
	}
	static void end(xpv_resume_kind kind)
	{
		xpv_suspend_parts_resume_early(kind);
		if (kind == XPV_RESUME_RESTORED) {
			for (unsigned int cpu : all_cpus) {
				if (cpu != 0)
					xpv_suspend_parts_resume_cpu(cpu);
			}
		}
		xpv_suspend_parts_resume_late(kind);
		xpv_suspend_parts_unlock();
	}
	static void restore()
	{
		begin();
		xpv_fake_restore();
		end(XPV_RESUME_RESTORED);
	}

	static constexpr unsigned int all_cpus[] = { 0, 1, 2, big_cpu };
};

INSTANTIATE_TEST_SUITE_P(Kinds, EvtchnSuspend,
			 testing::Combine(testing::Values(XPV_ABI_2LEVEL, XPV_ABI_FIFO), testing::Bool()),
			 [](const auto &kind) {
				 return std::string(std::get<0>(kind.param) == XPV_ABI_FIFO ? "Fifo" : "TwoLevel") +
					(std::get<1>(kind.param) ? "Callback" : "Vectors");
			 });

TEST_P(EvtchnSuspend, CancelledChangesNothing)
{
	Events events;
	xpv_event_channel *channel = open(events, 1);
	Port port = xpv_event_channel_port(channel);
	begin();
	xpv_fake_event(port);
	end(XPV_RESUME_CANCELLED);
	upcalls();
	EXPECT_EQ(events.take(), 1u);
	EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	EXPECT_FALSE(xpv_event_channel_lost(channel));
	EXPECT_TRUE(fake::evtchn_linux.vectors_told.empty());
	xpv_event_channel_close(channel);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
}

TEST_P(EvtchnSuspend, EventsComeByTheVectorThatIsRegistered)
{
	constexpr unsigned int other_vector = 0x99;
	Events events;
	xpv_event_channel *channel = open(events, 1);
	ASSERT_EQ(fake::evtchn_linux.callback ?
			  xpv_upcall_set_via(uint64_t{ HVM_PARAM_CALLBACK_TYPE_VECTOR } << 56 | other_vector) :
			  xpv_upcall_set_vector(1, other_vector),
		  0);
	xpv_fake_event(xpv_event_channel_port(channel));
	upcalls();
	EXPECT_EQ(events.take(), 0u) << "by a vector of which Linux knows nothing";
	EXPECT_TRUE(fake::take_interrupt({ 1 }, other_vector));
	/* Xen raises the new vector for what is pending. */
	ASSERT_EQ(fake::register_upcalls(all_cpus), 0);
	upcalls();
	EXPECT_EQ(events.take(), 1u);
	xpv_event_channel_close(channel);
}

/* Xen prefers the vector of the vCPU to the one of all. */
TEST_P(EvtchnSuspend, AVectorOfItsOwnGoesBeforeTheCallback)
{
	constexpr uint64_t callback = uint64_t{ HVM_PARAM_CALLBACK_TYPE_VECTOR } << 56 | 0x50;
	Events events;
	xpv_event_channel *channel = open(events, 2);
	ASSERT_EQ(xpv_upcall_set_via(callback), 0);
	xpv_fake_event(xpv_event_channel_port(channel));
	EXPECT_EQ(fake::take_interrupt({ 2 }, 0x50), fake::evtchn_linux.callback);
	EXPECT_EQ(fake::take_interrupt({ 2 }, fake::upcall_vector(2)), !fake::evtchn_linux.callback);
	xpv_fake_take_callback_vector(false);
	EXPECT_EQ(xpv_upcall_set_via(callback), -XEN_EINVAL);
	EXPECT_EQ(xpv_upcall_set_via(0), 0);
	xpv_event_channel_close(channel);
}

/* A restored domain has neither vectors nor a callback until they are registered again. */
TEST_P(EvtchnSuspend, UpcallsThatAreLostInARestoreBringNothing)
{
	Events events;
	xpv_event_channel *channel = nullptr;
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, events.args("ipi"), &channel), 0);
	fake::evtchn_linux.forgets_upcalls = true;
	restore();
	EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	upcalls();
	EXPECT_EQ(events.take(), 0u);
	fake::evtchn_linux.forgets_upcalls = false;
	restore();
	EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	upcalls();
	EXPECT_NE(events.take(), 0u);
	xpv_event_channel_close(channel);
}

/* With a callback vector, Xen raises it on and on where a vCPU has an event that it cannot take. */
TEST_P(EvtchnSuspend, NothingIsPendingForVcpusThatGetNoUpcalls)
{
	Events early, late;
	xpv_event_channel *before = nullptr, *after = nullptr;
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, early.args("ipi"), &before), 0);
	fake::evtchn_linux.unreached.insert(1);
	xpv_channels_cpu_dead(1);
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, late.args("ipi"), &after), 0);
	for (xpv_event_channel *channel : { before, after })
		EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	EXPECT_FALSE(read_once(xpv_vcpu_info(1)->evtchn_upcall_pending));
	upcalls();
	EXPECT_EQ(early.take() + late.take(), 0u);

	fake::evtchn_linux.unreached.clear();
	ASSERT_EQ(xpv_upcall_prepare(1), 0);
	xpv_channels_cpu_ready(1);
	upcalls();
	EXPECT_EQ(early.take(), 1u);
	EXPECT_EQ(late.take(), 1u);
	xpv_event_channel_close(before);
	xpv_event_channel_close(after);
}

TEST_P(EvtchnSuspend, ChannelsToOtherDomainsAreLostAndHarmless)
{
	Events events, others;
	xpv_event_channel *channel = open(events, 1);
	uint32_t old_port = xpv_event_channel_port(channel).value;
	xpv_fake_event(Port{ old_port });
	xpv_event_channel_mask(channel);
	restore();
	EXPECT_TRUE(xpv_event_channel_lost(channel));
	EXPECT_EQ(xpv_event_channel_port(channel).value, 0u);
	upcalls();
	EXPECT_EQ(events.take(), 0u) << "an event of a port that is no more";

	/* The number is another channel's now; whatever happens to the lost one is nothing to it. */
	xpv_event_channel *other = open(others, 2);
	EXPECT_EQ(xpv_event_channel_port(other).value, old_port);
	EXPECT_EQ(xpv_event_channel_notify(channel), -XEN_ENOTCONN);
	xpv_event_channel_unmask(channel);
	xpv_event_channel_raise(channel);
	EXPECT_EQ(xpv_event_channel_move(channel, 2), 0);
	EXPECT_EQ(xpv_event_channel_set_priority(channel, 3), -XEN_ENOTCONN);
	xpv_event_channel_mask(channel);
	xpv_event_channel_close(channel);
	EXPECT_EQ(xpv_fake_open_ports(), 1u);
	upcalls();
	EXPECT_EQ(others.take(), 0u);
	xpv_fake_event(xpv_event_channel_port(other));
	upcalls();
	EXPECT_EQ(others.take(), 1u);
	xpv_event_channel_close(other);
}

TEST_P(EvtchnSuspend, VirqsAndIpisAreBoundAgainWhereTheyWere)
{
	Events global, own, ipi;
	xpv_event_channel *channels[3] = {};
	/* So that the ports have other numbers afterwards. */
	Events passing;
	xpv_event_channel *first = open(passing);
	ASSERT_EQ(xpv_event_channel_bind_virq(16, 0, global.args("global"), &channels[0]), 0);
	ASSERT_EQ(xpv_event_channel_bind_virq(VIRQ_DEBUG, 1, own.args("own"), &channels[1]), 0);
	ASSERT_EQ(xpv_event_channel_bind_ipi(big_cpu, ipi.args("ipi"), &channels[2]), 0);
	ASSERT_EQ(xpv_event_channel_move(channels[0], 2), 0);
	uint32_t before = xpv_event_channel_port(channels[0]).value;
	restore();
	EXPECT_NE(xpv_event_channel_port(channels[0]).value, before);
	EXPECT_EQ(xpv_fake_open_ports(), 3u);
	EXPECT_EQ(xpv_fake_port_vcpu(xpv_event_channel_port(channels[0])).value, 2u);
	EXPECT_EQ(xpv_fake_port_vcpu(xpv_event_channel_port(channels[1])).value, 1u);
	EXPECT_EQ(xpv_fake_port_vcpu(xpv_event_channel_port(channels[2])).value, big_cpu);
	xpv_fake_virq(16);
	xpv_fake_virq(VIRQ_DEBUG);
	EXPECT_EQ(xpv_event_channel_notify(channels[2]), 0);
	EXPECT_EQ(global.count + own.count + ipi.count, 0u);
	upcalls();
	EXPECT_EQ(global.take(), 1u);
	EXPECT_EQ(own.take(), 1u);
	EXPECT_EQ(ipi.take(), 1u);
	for (xpv_event_channel *channel : channels)
		xpv_event_channel_close(channel);
	xpv_event_channel_close(first);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
}

TEST_P(EvtchnSuspend, EventsThatWereUnderWayComeOnce)
{
	Events pending, masked, threaded;
	xpv_event_channel *channels[3] = {};
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, pending.args("pending"), &channels[0]), 0);
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, masked.args("masked"), &channels[1]), 0);
	ASSERT_EQ(xpv_event_channel_bind_ipi(2, threaded.args("threaded"), &channels[2]), 0);
	xpv_event_channel_mask(channels[1]);
	/* Its thread is at work, and one more event came. */
	xpv_event_channel_begin_threaded(channels[2]);
	for (xpv_event_channel *channel : channels)
		EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	restore();
	upcalls();
	EXPECT_EQ(pending.take(), 1u);
	EXPECT_EQ(masked.take(), 0u);
	EXPECT_EQ(threaded.take(), 0u);
	xpv_event_channel_unmask(channels[1]);
	xpv_event_channel_run_threaded(channels[2]);
	EXPECT_EQ(threaded.take(), 1u);
	upcalls();
	EXPECT_EQ(pending.take(), 0u);
	EXPECT_EQ(masked.take(), 1u);
	EXPECT_EQ(threaded.take(), 1u);
	for (xpv_event_channel *channel : channels)
		xpv_event_channel_close(channel);
}

TEST_P(EvtchnSuspend, LostChannelsAreGivenNewPorts)
{
	Events disk, store;
	xpv_event_channel *channel = open(disk, 2), *adopted = nullptr;
	ASSERT_EQ(xpv_event_channel_adopt(Port{ 1 }, store.args("store"), &adopted), 0);
	EXPECT_EQ(xpv_event_channel_rebind_adopted(adopted, Port{ 3 }), -XEN_EISCONN);
	xpv_event_channel_mask(channel);
	unsigned int irq = xpv_event_channel_irq(channel);
	restore();
	EXPECT_EQ(xpv_event_channel_rebind_adopted(adopted, Port{ 200 }), -XEN_ERANGE);
	EXPECT_EQ(xpv_event_channel_rebind_adopted(adopted, Port{ 3 }), 0);
	EXPECT_EQ(xpv_event_channel_rebind_unbound(channel, dom0), 0);
	EXPECT_EQ(xpv_event_channel_rebind_unbound(channel, dom0), -XEN_EISCONN);
	EXPECT_EQ(xpv_fake_open_ports(), 1u);
	EXPECT_EQ(xpv_event_channel_irq(channel), irq);
	EXPECT_EQ(xpv_fake_port_vcpu(xpv_event_channel_port(channel)).value, 2u);
	xpv_fake_event(Port{ 3 });
	xpv_fake_event(xpv_event_channel_port(channel));
	upcalls();
	EXPECT_EQ(store.take(), 1u);
	EXPECT_EQ(disk.take(), 0u) << "masked";
	xpv_event_channel_unmask(channel);
	upcalls();
	EXPECT_EQ(disk.take(), 1u);
	xpv_event_channel_close(adopted);
	EXPECT_TRUE(evtchnop_send(Port{ 3 }).ok()) << "the toolstack's port stays";
	xpv_event_channel_close(channel);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
}

TEST_P(EvtchnSuspend, XenIsToldOfEverything)
{
	for (int i = 0; i < 3; i++) {
		restore();
		EXPECT_EQ(xpv_fake_param(HVM_PARAM_CALLBACK_IRQ), fake::upcall_via());
		EXPECT_EQ(fake::evtchn_linux.vectors_told,
			  fake::evtchn_linux.callback ? std::vector<unsigned int>() :
							std::vector<unsigned int>({ 1, 2, big_cpu }));
		fake::evtchn_linux.vectors_told.clear();
	}
	/* A vCPU that was not there comes, and can have events. */
	ASSERT_EQ(xpv_hypervisor_vcpu_online(5), 0);
	ASSERT_EQ(xpv_upcall_prepare(5), 0);
	EXPECT_EQ(fake::take_log(), std::vector<std::string>{});
}

TEST_P(EvtchnSuspend, EachHypercallMayFail)
{
	struct Call {
		unsigned int number, command;
	} calls[] = { { __HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi },
		      { __HYPERVISOR_event_channel_op, EVTCHNOP_bind_vcpu },
		      { __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq },
		      { __HYPERVISOR_event_channel_op, EVTCHNOP_init_control },
		      { __HYPERVISOR_event_channel_op, EVTCHNOP_expand_array },
		      { __HYPERVISOR_hvm_op, HVMOP_set_param },
		      { __HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector },
		      { __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info } };
	for (const Call &call : calls) {
		for (unsigned int skip = 0; skip < 3; skip++) {
			SCOPED_TRACE(testing::Message() << call.number << ":" << call.command << " after " << skip);
			Events ipi, virq;
			xpv_event_channel *channels[2] = {};
			ASSERT_EQ(xpv_event_channel_bind_ipi(1, ipi.args("ipi"), &channels[0]), 0);
			ASSERT_EQ(xpv_event_channel_bind_virq(16, 0, virq.args("virq"), &channels[1]), 0);
			ASSERT_EQ(xpv_event_channel_move(channels[1], 1), 0);
			begin();
			xpv_fake_restore();
			xpv_fake_fail(call.number, call.command, skip, XEN_ENOMEM);
			end(XPV_RESUME_RESTORED);
			bool failed = !fake::take_log().empty();
			xpv_fake_fail(0, 0, 0, 0);
			upcalls();
			/* The next one finds all in order. */
			restore();
			if (failed)
				fake::take_log();
			for (xpv_event_channel *channel : channels)
				xpv_event_channel_close(channel);
			EXPECT_EQ(xpv_fake_open_ports(), 0u);
		}
	}
}

TEST_P(EvtchnSuspend, MachineWithoutFifoIsManaged)
{
	Events ipi;
	xpv_event_channel *channel = nullptr;
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, ipi.args("ipi"), &channel), 0);
	EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	xpv_fake_refuse_fifo(true);
	restore();
	EXPECT_STREQ(xpv_ports_abi(), "2-level");
	upcalls();
	EXPECT_EQ(ipi.take(), 1u);
	EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	upcalls();
	EXPECT_EQ(ipi.take(), 1u);
	/* And the next load may find a machine that has it. */
	xpv_fake_refuse_fifo(false);
	xpv_event_channel_close(channel);
	xpv_ports_stop();
	ASSERT_EQ(xpv_ports_start(XPV_ABI_FIFO), 0);
	for (unsigned int cpu : all_cpus)
		ASSERT_EQ(xpv_upcall_prepare(cpu), 0);
	ASSERT_EQ(xpv_event_channel_bind_ipi(1, ipi.args("ipi"), &channel), 0);
	EXPECT_EQ(xpv_event_channel_notify(channel), 0);
	upcalls();
	EXPECT_EQ(ipi.take(), 1u);
	xpv_event_channel_close(channel);
}

/* C15: an opener of a channel that was stopped in the middle of the FIFO goes on in it, whatever the new machine has. */
TEST_P(EvtchnSuspend, RetiredFifoStaysForAnOpenerThatWasStoppedInIt)
{
	if (abi() != XPV_ABI_FIFO)
		return; /* this ABI has no pages to retire */
	/* A FIFO without array, so that the next port needs a page. */
	begin();
	xpv_fake_restore();
	xpv_fake_fail(__HYPERVISOR_event_channel_op, EVTCHNOP_expand_array, 0, XEN_ENOMEM);
	end(XPV_RESUME_RESTORED);
	fake::take_log();
	ASSERT_STREQ(xpv_ports_abi(), "FIFO");

	const std::size_t before = fake::loans();
	std::size_t meanwhile = 0;
	Events events;
	begin();
	fake::on_loan = [&] {
		fake::sleep_for(std::chrono::seconds(1));
		meanwhile = fake::loans();
	};
	auto opening = fake::async([&] {
		xpv_event_channel *channel = nullptr;
		return xpv_event_channel_alloc_unbound(dom0, events.args("late"), &channel);
	});
	fake::settle();
	xpv_fake_refuse_fifo(true);
	xpv_fake_restore();
	end(XPV_RESUME_RESTORED);
	fake::on_loan = nullptr;
	EXPECT_STREQ(xpv_ports_abi(), "2-level");
	EXPECT_EQ(opening.get(), -XEN_ENOSYS);
	EXPECT_EQ(meanwhile, before);
	/* Two pages of control blocks; the record stays, as do the infos of vCPUs. */
	EXPECT_EQ(fake::loans(), before - 2);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
}

/* C15: Xen keeps them, so that each load goes on with those of the first. */
TEST_P(EvtchnSuspend, PagesOfTheFifoStayWithTheDomain)
{
	const std::size_t before = fake::loans();
	for (int round = 0; round < 3; round++) {
		xpv_ports_mask_all();
		xpv_ports_stop();
		EXPECT_EQ(fake::loans(), before);
		ASSERT_EQ(xpv_ports_start(abi()), 0);
		for (unsigned int cpu : all_cpus)
			ASSERT_EQ(xpv_upcall_prepare(cpu), 0);
		EXPECT_EQ(fake::loans(), before);
		Events events;
		xpv_event_channel *channel = open(events, big_cpu);
		xpv_fake_event(xpv_event_channel_port(channel));
		upcalls();
		EXPECT_EQ(events.take(), 1u);
		xpv_event_channel_close(channel);
		restore();
		EXPECT_EQ(fake::loans(), before);
	}
}

TEST_P(EvtchnSuspend, ReloadAfterRestoreFindsWhatIsLent)
{
	restore();
	/* As an unload and a load. */
	xpv_ports_mask_all();
	xpv_ports_stop();
	EXPECT_EQ(xpv_has_lent(XPV_LENT_EVENT_CHANNELS), abi() == XPV_ABI_FIFO);
	EXPECT_TRUE(xpv_has_lent(XPV_LENT_VCPU_INFO));
	ASSERT_EQ(xpv_ports_start(abi()), 0);
	for (unsigned int cpu : all_cpus)
		ASSERT_EQ(xpv_upcall_prepare(cpu), 0);
}

TEST_P(EvtchnSuspend, PrepareThatFailsLeavesNothing)
{
	for (unsigned int n = 1; n < 5; n++) {
		std::size_t before = fake::live_allocations();
		const char *refused = nullptr;
		fake::fail_allocation(n);
		xpv_suspend_parts_lock();
		if (xpv_suspend_parts_prepare(UINT64_MAX, &refused) == 0)
			xpv_suspend_parts_abandon();
		xpv_suspend_parts_unlock();
		EXPECT_EQ(fake::live_allocations(), before);
	}
	fake::fail_allocation(0);
}

/* ---- The registry itself ---- */

std::vector<std::string> steps;
int refusal;

xpv_suspend_part lower = {
	.name = "lower",
	.layer = XPV_SUSPEND_CONSOLE,
	.prepare =
		[](uint64_t) {
			steps.push_back("lower prepare");
			return refusal;
		},
	.abandon = [] { steps.push_back("lower abandon"); },
	.suspend_early = [] { steps.push_back("lower suspend_early"); },
	.resume_early =
		[](xpv_resume_kind) {
			steps.push_back("lower resume_early");
			return 0;
		},
	.resume_cpu = nullptr,
	.resume_late = [](xpv_resume_kind) { steps.push_back("lower resume_late"); },
	.next = nullptr,
	.prepared = false,
};
xpv_suspend_part upper = {
	.name = "upper",
	.layer = XPV_SUSPEND_DEVICES,
	.prepare =
		[](uint64_t) {
			steps.push_back("upper prepare");
			return 0;
		},
	.abandon = [] { steps.push_back("upper abandon"); },
	.suspend_early = [] { steps.push_back("upper suspend_early"); },
	.resume_early =
		[](xpv_resume_kind) {
			steps.push_back("upper resume_early");
			return 0;
		},
	.resume_cpu = nullptr,
	.resume_late = [](xpv_resume_kind) { steps.push_back("upper resume_late"); },
	.next = nullptr,
	.prepared = false,
};

TEST(SuspendParts, GoInTheOrderOfTheirLayers)
{
	using Steps = std::vector<std::string>;
	const char *refused = nullptr;
	xpv_suspend_part_register(&upper);
	xpv_suspend_part_register(&lower);
	refusal = 0;
	xpv_suspend_parts_lock();
	EXPECT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), 0);
	xpv_suspend_parts_suspend_early();
	xpv_suspend_parts_resume_early(XPV_RESUME_CANCELLED);
	xpv_suspend_parts_resume_late(XPV_RESUME_CANCELLED);
	EXPECT_EQ(std::exchange(steps, {}),
		  (Steps{ "upper prepare", "lower prepare", "upper suspend_early", "lower suspend_early",
			  "lower resume_early", "upper resume_early", "lower resume_late", "upper resume_late" }));
	refusal = -XEN_EBUSY;
	EXPECT_EQ(xpv_suspend_parts_prepare(UINT64_MAX, &refused), -XEN_EBUSY);
	EXPECT_STREQ(refused, "lower");
	EXPECT_EQ(std::exchange(steps, {}), (Steps{ "upper prepare", "lower prepare", "upper abandon" }));
	xpv_suspend_parts_unlock();
	xpv_suspend_part_unregister(&lower);
	xpv_suspend_part_unregister(&upper);
}

/* After a restore Xen gives the numbers of before to new ports. */
TEST_P(EvtchnSuspend, UsersPortsOfBeforeDoNotShadowNewOnes)
{
	xpv_event_node node;
	xpv_event_user *user = nullptr;
	ASSERT_EQ(xpv_event_users_start(), 0);
	ASSERT_EQ(xpv_event_user_open(&node, "test", &user), 0);
	const xpv_event_user_binding unbound = { XPV_EVENT_USER_UNBOUND, 0, { 3 }, {} };
	int bound = xpv_event_user_bind(user, &unbound);
	ASSERT_GT(bound, 0);
	restore();
	ASSERT_EQ(xpv_event_user_bind(user, &unbound), bound);

	auto number = static_cast<uint32_t>(bound);
	Port port = { number };
	for (unsigned int round = 0; round < 2; round++) {
		xpv_fake_event(port);
		upcalls();
		uint32_t read = 0;
		ASSERT_EQ(xpv_event_user_peek(user, &read, 1), 1);
		EXPECT_EQ(read, number);
		xpv_event_user_skip(user, 1);
		xpv_event_user_finish(user, &number, 1);
	}
	EXPECT_EQ(xpv_event_user_notify(user, port), 0);
	EXPECT_EQ(xpv_fake_sent(port), 1u);
	xpv_held_port *held = nullptr;
	ASSERT_EQ(xpv_event_port_hold(port, &held), 0);
	EXPECT_EQ(xpv_event_port_notify(held), 0);
	EXPECT_EQ(xpv_fake_sent(port), 1u);
	xpv_event_port_release(held);

	/* The new one goes first, then that of before. */
	EXPECT_EQ(xpv_event_user_unbind(user, port), 0);
	EXPECT_EQ(xpv_fake_open_ports(), 0u);
	EXPECT_EQ(xpv_event_user_notify(user, port), -XEN_ENOTCONN);
	EXPECT_EQ(xpv_event_user_unbind(user, port), 0);
	EXPECT_EQ(xpv_event_user_unbind(user, port), -XEN_ENOTCONN);
	xpv_event_user_close(user);
	xpv_event_users_stop();
}

/* The port of a channel that is being closed is lost as any other; its number is somebody else's. */
TEST_P(EvtchnSuspend, CloseAcrossARestoreClosesNobodysPort)
{
	Events events;
	xpv_event_channel *channel = open(events);
	Port port = xpv_event_channel_port(channel);
	Port other = {};
	fake::after_next_mutex([&] {
		restore();
		auto taken = evtchnop_alloc_unbound(dom0);
		ASSERT_TRUE(taken.ok());
		other = taken.value();
	});
	xpv_event_channel_close(channel);
	EXPECT_EQ(other, port);
	EXPECT_EQ(xpv_fake_open_ports(), 1u);
	EXPECT_TRUE(evtchnop_close(other).ok());
}

/* Xen did not take the event array: the next load does not count on it. */
TEST_P(EvtchnSuspend, ReloadAfterRefusedArrayFindsNoneInTheNotes)
{
	begin();
	xpv_fake_restore();
	xpv_fake_fail(__HYPERVISOR_event_channel_op, EVTCHNOP_expand_array, 0, XEN_ENOMEM);
	end(XPV_RESUME_RESTORED);
	xpv_fake_fail(0, 0, 0, 0);
	fake::take_log();
	xpv_ports_mask_all();
	xpv_ports_stop();
	ASSERT_EQ(xpv_ports_start(abi()), 0);
	for (unsigned int cpu : all_cpus)
		ASSERT_EQ(xpv_upcall_prepare(cpu), 0);
	Events events;
	xpv_event_channel *channel = open(events, 1);
	xpv_fake_event(xpv_event_channel_port(channel));
	upcalls();
	EXPECT_EQ(events.take(), 1u);
	xpv_event_channel_close(channel);
}

} // namespace
