/* SPDX-License-Identifier: GPL-2.0-only */
/* Xen's end of the FIFO ABI (event_channel.h), for the fake hypervisor. Its callers serialise. */
#pragma once

#include "lib/xen.hh"

#include <xen/event_channel.h>

#include "lib/ordering.hh"

namespace xpv {

class FakeFifo {
public:
	static constexpr unsigned int max_vcpus = 40;
	static constexpr unsigned int words_per_page = 1024;

	[[nodiscard]] bool active() const { return active_; }
	[[nodiscard]] bool init_control(uint32_t vcpu, evtchn_fifo_control_block *block)
	{
		if (vcpu >= max_vcpus || queues_[vcpu].block)
			return false;
		queues_[vcpu].block = block;
		active_ = true;
		return true;
	}
	[[nodiscard]] bool expand(uint32_t *page)
	{
		if (!active_ || page_)
			return false;
		page_ = page;
		return true;
	}
	/* True when the vCPU has to be told. */
	[[nodiscard]] bool set_pending(uint32_t port, uint32_t vcpu, uint32_t priority)
	{
		uint32_t *event = word(port);
		if (!event) {
			early_[port / 32] |= 1u << port % 32;
			return false;
		}
		if (__atomic_fetch_or(event, pending, __ATOMIC_SEQ_CST) & masked || read_once(*event) & masked)
			return false;
		Queue &queue = queues_[vcpu];
		if (read_once(*event) & linked || !queue.block)
			return false;
		set_bits(*event, linked);
		/* A queue that it was the last of is empty now; or what comes there would be linked to it here. */
		for (Queue &old : queues_) {
			for (uint32_t &tail : old.tail)
				tail = tail == port ? 0 : tail;
		}
		uint32_t tail = queue.tail[priority];
		queue.tail[priority] = port;
		if (tail && link(*word(tail), port))
			return false;
		write_once(queue.block->head[priority], port);
		return !(__atomic_fetch_or(&queue.block->ready, 1u << priority, __ATOMIC_SEQ_CST) & 1u << priority);
	}
	void clear_pending(uint32_t port)
	{
		if (uint32_t *event = word(port))
			__atomic_fetch_and(event, ~pending, __ATOMIC_SEQ_CST);
	}
	/* True when the port is pending, to be set so anew. */
	[[nodiscard]] bool unmask(uint32_t port)
	{
		uint32_t *event = word(port);
		return event && __atomic_fetch_and(event, ~masked, __ATOMIC_SEQ_CST) & pending;
	}
	/* Ports that had events before the array reached them. */
	[[nodiscard]] bool take_early(uint32_t port)
	{
		bool was = early_[port / 32] & 1u << port % 32;
		early_[port / 32] &= ~(1u << port % 32);
		return was;
	}

private:
	static constexpr uint32_t pending = 1u << EVTCHN_FIFO_PENDING;
	static constexpr uint32_t masked = 1u << EVTCHN_FIFO_MASKED;
	static constexpr uint32_t linked = 1u << EVTCHN_FIFO_LINKED;

	struct Queue {
		evtchn_fifo_control_block *block;
		uint32_t tail[EVTCHN_FIFO_MAX_QUEUES];
	};

	[[nodiscard]] uint32_t *word(uint32_t port) const { return page_ ? &page_[port % words_per_page] : nullptr; }
	/* False when the guest has taken the tail out of its queue meanwhile. */
	[[nodiscard]] static bool link(uint32_t &tail, uint32_t port)
	{
		uint32_t found = read_once(tail);
		do {
			if (!(found & linked))
				return false;
		} while (!compare_exchange(tail, found, (found & ~static_cast<uint32_t>(EVTCHN_FIFO_LINK_MASK)) | port));
		return true;
	}

	bool active_;
	uint32_t *page_;
	Queue queues_[max_vcpus];
	uint32_t early_[words_per_page / 32];
};

} // namespace xpv
