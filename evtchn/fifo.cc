// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register the event array and the control blocks with Xen, again after a
 * restore; mask, unmask and move ports; unlink the events of a dead CPU.
 */
#include "evtchn/fifo.hh"

#include <utility>

#include "hypervisor/hypervisor_owned.h"
#include "lib/address.hh"

namespace xpv {

Status Fifo::start(bool only_if_active)
{
	queues_ = XPV_TRY(Array<Queues>::make(xpv_cpu_limit(), XPV_MAY_SLEEP));
	bool found = false;
	record_ = static_cast<Record *>(xpv_lend_pages(XPV_LENT_EVENT_CHANNELS, 0, &found));
	if (!record_)
		return Error(XEN_ENOMEM);
	if (record_->version && record_->version != record_version) {
		XPV_ERR("incompatible FIFO event array of an earlier xpv (version %llu, expected %llu)",
			static_cast<unsigned long long>(record_->version),
			static_cast<unsigned long long>(record_version));
		return Error(XEN_EINVAL);
	}
	record_->version = record_version;
	if (only_if_active && !active())
		return Error(XEN_ENOENT);
	XPV_TRY(find_array());
	/* The first control block switches the domain to this ABI. */
	XPV_TRY(add_cpu(xpv_cpu_this()));
	if (page_count_ == 0)
		XPV_TRY(grow());
	mask_all();
	return {};
}

bool Fifo::active() const
{
	if (!record_)
		return false;
	for (unsigned long vcpus : record_->has_block) {
		if (vcpus)
			return true;
	}
	return false;
}

Status Fifo::find_array()
{
	for (; page_count_ < max_pages && record_->array[page_count_]; page_count_++) {
		pages_[page_count_] = static_cast<uint32_t *>(xpv_lent_page(Gfn{ record_->array[page_count_] }));
		if (!pages_[page_count_])
			return Error(XEN_EIO);
	}
	return {};
}

Status Fifo::add_cpu(unsigned int cpu)
{
	Vcpu vcpu = xpv_vcpu_of_cpu(cpu);
	if (vcpu.value >= max_vcpus)
		return Error(XEN_ENOSPC);
	if (queues_[cpu].block && test_bit(vcpu.value, record_->has_block))
		return {};

	uint64_t &frame = record_->control[vcpu.value / blocks_per_page];
	void *page = frame ? xpv_lent_page(Gfn{ frame }) : xpv_lend_page();
	if (!page)
		return Error(frame ? XEN_EIO : XEN_ENOMEM);
	frame = xpv_pages_gfn(page).value;
	unsigned int offset = vcpu.value % blocks_per_page * block_size;
	XPV_TRY(init_control(vcpu));
	queues_[cpu].block = value_at<evtchn_fifo_control_block>(page, offset);
	return {};
}

Status Fifo::init_control(Vcpu vcpu)
{
	if (test_bit(vcpu.value, record_->has_block))
		return {};
	XPV_TRY(evtchnop_init_control(vcpu, Gfn{ record_->control[vcpu.value / blocks_per_page] },
				      vcpu.value % blocks_per_page * block_size));
	set_bit(vcpu.value, record_->has_block);
	return {};
}

/* Reset all pages and queues to the state without any registration in Xen and without any event. */
void Fifo::empty()
{
	for (unsigned int page = 0; page < page_count_; page++) {
		for (unsigned int i = 0; i < words_per_page; i++)
			pages_[page][i] = masked_bit;
	}
	for (uint64_t frame : record_->control) {
		if (void *page = frame ? xpv_lent_page(Gfn{ frame }) : nullptr)
			__builtin_memset(page, 0, page_size);
	}
	for (Queues &queues : queues_)
		__builtin_memset(queues.head, 0, sizeof(queues.head));
	for (unsigned long &vcpus : record_->has_block)
		vcpus = 0;
}

Status Fifo::restore()
{
	empty();
	/* Register the block of the running CPU first: the result shows whether Xen has this ABI. */
	XPV_TRY(init_control(xpv_vcpu_of_cpu(xpv_cpu_this())));
	Status first;
	/* Register the blocks of offline CPUs too, so that Xen need not be called when they come back. */
	for (unsigned int cpu = 0; cpu < queues_.size(); cpu++) {
		if (!queues_[cpu].block)
			continue;
		Status registered = init_control(xpv_vcpu_of_cpu(cpu));
		if (!registered.ok() && first.ok())
			first = registered;
	}
	for (unsigned int page = 0; page < page_count_; page++) {
		Status registered = evtchnop_expand_array(Gfn{ record_->array[page] });
		if (registered.ok())
			continue;
		XPV_ERR("port %u: cannot expand the event array (%pe), event channels from this port on are lost",
			page * words_per_page, err_ptr(registered.code()));
		/* Remove them from the record, or the next load would take them for pages that Xen uses. */
		for (unsigned int refused = page; refused < page_count_; refused++)
			record_->array[refused] = 0;
		page_count_ = page;
		if (first.ok())
			first = registered;
	}
	return first;
}

void Fifo::drop_refused()
{
	for (unsigned int page = page_count_; page < max_pages && pages_[page]; page++)
		xpv_lent_take_back(std::exchange(pages_[page], nullptr));
}

void Fifo::take_back()
{
	drop_refused();
	for (uint64_t &frame : record_->array) {
		if (void *page = frame ? xpv_lent_page(Gfn{ frame }) : nullptr)
			xpv_lent_take_back(page);
		frame = 0;
	}
	for (uint64_t &frame : record_->control) {
		if (void *page = frame ? xpv_lent_page(Gfn{ frame }) : nullptr)
			xpv_lent_take_back(page);
		frame = 0;
	}
}

Status Fifo::grow()
{
	if (page_count_ == max_pages)
		return Error(XEN_ENOSPC);
	/* First retry a page that Xen refused before. */
	auto *page = std::exchange(pages_[page_count_], nullptr);
	if (!page)
		page = static_cast<uint32_t *>(xpv_lend_page());
	if (!page)
		return Error(XEN_ENOMEM);
	for (unsigned int i = 0; i < words_per_page; i++)
		page[i] = masked_bit;
	Gfn frame = xpv_pages_gfn(page);
	if (Status expanded = evtchnop_expand_array(frame); !expanded.ok()) {
		xpv_lent_take_back(page);
		return expanded.error();
	}
	record_->array[page_count_] = frame.value;
	pages_[page_count_] = page;
	store_release(page_count_, page_count_ + 1);
	return {};
}

Status Fifo::add_port(Port port)
{
	while (!has_word(port.value))
		XPV_TRY(grow());
	return {};
}

void Fifo::mask_all()
{
	for (uint32_t port = 0; port < page_count_ * words_per_page; port++)
		mask(Port{ port });
}

void Fifo::mask(Port port)
{
	set_bits(*word(port), masked_bit);
}

void Fifo::unmask(Port port)
{
	/*
	 * Xen did not link the port while it was masked, so an event that came
	 * meanwhile needs the hypercall. An event that comes after our compare-and-swap
	 * finds the port unmasked.
	 */
	uint32_t &event = *word(port);
	uint32_t found = read_once(event);
	do {
		if (!(found & masked_bit))
			return;
		if (found & pending_bit) {
			if (Status unmasked = evtchnop_unmask(port); !unmasked.ok())
				XPV_ERR_LIMITED("port %u: cannot unmask the event channel (%pe)", port.value,
						err_ptr(unmasked.code()));
			return;
		}
	} while (!compare_exchange(event, found, found & ~masked_bit));
}

Status Fifo::move(Port port, unsigned int cpu)
{
	return evtchnop_bind_vcpu(port, xpv_vcpu_of_cpu(cpu));
}

Status Fifo::set_priority(Port port, unsigned int priority)
{
	return evtchnop_set_priority(port, priority);
}

uint32_t Fifo::head_of(Queues &queues, unsigned int priority)
{
	uint32_t port = queues.head[priority];
	if (!port) {
		/* Xen writes the head before it sets the ready bit. */
		virt_rmb();
		port = read_once(queues.block->head[priority]) & link_mask;
	}
	if (port && has_word(port))
		return port;
	XPV_ERR_LIMITED("port %u: invalid link in the FIFO event queue of priority %u", port, priority);
	return 0;
}

void Fifo::forget(unsigned int cpu)
{
	Queues &queues = queues_[cpu];
	if (!queues.block)
		return;
	/* A scan ends with every queue empty, so only queues with their ready bit set have events. */
	uint32_t ready = exchange(queues.block->ready, 0);
	while (ready) {
		auto priority = static_cast<unsigned int>(__builtin_ctz(ready));
		uint32_t port = head_of(queues, priority);
		uint32_t next = 0;
		if (port) {
			uint32_t &event = *word(Port{ port });
			uint32_t found = read_once(event);
			while (!compare_exchange(event, found, found & ~(linked_bit | link_mask)))
				;
			next = found & link_mask;
		}
		advance(queues, priority, next, ready);
		ready |= exchange(queues.block->ready, 0);
	}
}

void Fifo::raise(Port port)
{
	/*
	 * The port is not masked, but Xen then links it if it is pending. An error
	 * means that the port has just been closed.
	 */
	ignore(evtchnop_unmask(port));
}

} // namespace xpv
