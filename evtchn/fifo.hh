/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The FIFO ABI (event_channel.h): one word for each port in the event array, and
 * for each vCPU a control block with the heads of 16 queues, one for each
 * priority. Xen links the words of pending ports into the queue of their vCPU;
 * the vCPU unlinks them from its end.
 *
 * Xen releases neither the array nor the control blocks, and does not go back to
 * the 2-level ABI. So they are lent (xpv_lend_pages()), and the next load
 * continues with them.
 */
#pragma once

#include "hypervisor/hypercall.hh"
#include "lib/log.hh"
#include "lib/memory.hh"
#include "lib/ordering.hh"

namespace xpv {

class Fifo {
public:
	static constexpr unsigned int ports = EVTCHN_FIFO_NR_CHANNELS;

	/*
	 * Switch the domain to this ABI, or continue with it, and mask every port.
	 * ENOSYS when Xen does not have it; ENOENT with `only_if_active` when the
	 * domain does not use it yet. After a failure active() returns whether the
	 * domain uses it nevertheless.
	 */
	[[nodiscard]] Status start(bool only_if_active);
	[[nodiscard]] bool active() const;
	/*
	 * Register a control block for the CPU's vCPU, which can then get events.
	 * Sleeping context; callers serialise.
	 */
	[[nodiscard]] Status add_cpu(unsigned int cpu);
	/* Extend the array to the port. Sleeping context; callers serialise. */
	[[nodiscard]] Status add_port(Port port);

	/*
	 * Register all control blocks and the array again in a restored domain, with no
	 * event in them. On the only CPU that runs. ENOSYS when Xen does not have this
	 * ABI; after another error, what could be registered is in effect.
	 */
	[[nodiscard]] Status restore();
	/* Free the pages that Xen refused in restore(). Sleeping context; callers serialise with add_port(). */
	void drop_refused();
	/* Free what was lent, when it is not used any more and unknown to Xen. Sleeping context. */
	void take_back();
	[[nodiscard]] bool has_room(Port port) const { return has_word(port.value); }

	void mask_all();
	/* The following as in TwoLevel, except that a port's priority can be set. */
	void mask(Port port);
	void unmask(Port port);
	/* Nothing to do: the event is in the queue of the CPU that takes it. */
	void assign(Port, unsigned int) {}
	/* Events that are linked already are still handled by the old CPU. */
	[[nodiscard]] Status move(Port port, unsigned int cpu);
	[[nodiscard]] bool pending(Port port) const { return read_once(*word(port)) & pending_bit; }
	[[nodiscard]] bool masked(Port port) const { return read_once(*word(port)) & masked_bit; }
	void set_pending(Port port) { set_bits(*word(port), pending_bit); }
	void raise(Port port);
	[[nodiscard]] Status set_priority(Port port, unsigned int priority);
	void forget(unsigned int cpu);
	template <typename Handle>
	bool scan(unsigned int cpu, vcpu_info &info, Handle handle);

private:
	static constexpr uint32_t pending_bit = 1u << EVTCHN_FIFO_PENDING;
	static constexpr uint32_t masked_bit = 1u << EVTCHN_FIFO_MASKED;
	static constexpr uint32_t linked_bit = 1u << EVTCHN_FIFO_LINKED;
	static constexpr uint32_t link_mask = EVTCHN_FIFO_LINK_MASK;
	static constexpr unsigned int words_per_page = page_size / sizeof(uint32_t);
	static constexpr unsigned int max_pages = ports / words_per_page;
	/* HVM_MAX_VCPUS. Blocks of 72 bytes in cache lines of their own. */
	static constexpr unsigned int max_vcpus = 128;
	static constexpr unsigned int block_size = 128;
	static constexpr unsigned int blocks_per_page = page_size / block_size;

	/* State for the next load, in a lent page of its own. */
	struct Record {
		uint64_t version;
		uint64_t array[max_pages]; /* frames, in order; 0: none */
		uint64_t control[max_vcpus / blocks_per_page]; /* frames, by vCPU */
		unsigned long has_block[max_vcpus / 64]; /* vCPUs whose control block Xen knows */
	};
	static constexpr uint64_t record_version = 1;
	static_assert(sizeof(Record) <= page_size);
	static_assert(sizeof(evtchn_fifo_control_block) <= block_size);

	/* One CPU's end of its queues. Used by that CPU with irqs off, or by others while it is dead. */
	struct Queues {
		evtchn_fifo_control_block *block;
		uint32_t head[EVTCHN_FIFO_MAX_QUEUES]; /* 0: read the control block */
	};

	[[nodiscard]] Status find_array();
	[[nodiscard]] Status init_control(Vcpu vcpu);
	void empty();
	[[nodiscard]] Status grow();
	[[nodiscard]] uint32_t *word(Port port) const
	{
		return &pages_[port.value / words_per_page][port.value % words_per_page];
	}
	[[nodiscard]] bool has_word(uint32_t port) const { return port < load_acquire(page_count_) * words_per_page; }
	/* Return the port at the head of a queue; 0 when the queue is inconsistent. */
	[[nodiscard]] uint32_t head_of(Queues &queues, unsigned int priority);
	void advance(Queues &queues, unsigned int priority, uint32_t next, uint32_t &ready)
	{
		queues.head[priority] = next;
		if (!next)
			ready &= ~(1u << priority);
	}

	Record *record_ = nullptr;
	uint32_t *pages_[max_pages] = {}; /* from page_count_ on: those that Xen refused, until drop_refused() */
	unsigned int page_count_ = 0;
	Array<Queues> queues_; /* by CPU */
};

template <typename Handle>
bool Fifo::scan(unsigned int cpu, vcpu_info &info, Handle handle)
{
	Queues &queues = queues_[cpu];
	bool any = false;

	/*
	 * Repeat until no event came during the scan: Xen raises an upcall only when
	 * this, and the queue's ready bit, were 0.
	 */
	while (read_once(info.evtchn_upcall_pending)) {
		any = true;
		write_once(info.evtchn_upcall_pending, 0);
		/* The exchange also orders the write above before the reads of the queues. */
		uint32_t ready = exchange(queues.block->ready, 0);
		while (ready) {
			auto priority = static_cast<unsigned int>(__builtin_ctz(ready));
			uint32_t port = head_of(queues, priority);
			if (!port) {
				advance(queues, priority, 0, ready);
				continue;
			}
			/* Unlink the event and, if it is to be handled, clear pending, in one step. */
			uint32_t &event = *word(Port{ port });
			uint32_t found = read_once(event), left;
			do {
				left = found & ~(linked_bit | link_mask);
				if ((found & (pending_bit | masked_bit)) == pending_bit)
					left &= ~pending_bit;
			} while (!compare_exchange(event, found, left));
			advance(queues, priority, found & link_mask, ready);
			if ((found ^ left) & pending_bit)
				handle(Port{ port });
			/* An event with a higher priority may have come. */
			if (read_once(queues.block->ready))
				ready |= exchange(queues.block->ready, 0);
		}
	}
	return any;
}

} // namespace xpv
