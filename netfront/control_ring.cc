// SPDX-License-Identifier: GPL-2.0-only
#include "netfront/control_ring.hh"

#include "hypervisor/suspend_part.h"

namespace xpv {

Result<Owned<ControlRing>> ControlRing::make(Domid backend)
{
	auto ring_page = XPV_TRY(GrantedPage::make(backend, XPV_MAY_SLEEP));
	auto data_page = XPV_TRY(GrantedPage::make(backend, XPV_MAY_SLEEP));
	return xpv::make<ControlRing>(XPV_MAY_SLEEP, std::move(ring_page), std::move(data_page));
}

ControlRing::ControlRing(GrantedPage &&ring_page, GrantedPage &&data_page)
    : restores_(xpv_restore_count()), ring_page_(std::move(ring_page)), data_page_(std::move(data_page))
{
	shared_.init(ring_page_.get(), page_size);
}

Result<bool> ControlRing::put(uint16_t type, uint32_t data0, uint32_t data1)
{
	id_++;
	type_ = type;
	shared_.put({ .id = id_, .type = type_, .data = { data0, data1, 0 } });
	restart_deadline();
	return shared_.push();
}

Result<bool> ControlRing::submit(uint16_t type, uint32_t data0)
{
	if (!open_)
		return Error(XEN_ENODEV);
	if (busy())
		return Error(XEN_EBUSY);
	return put(type, data0, 0);
}

Result<bool> ControlRing::submit_data(uint16_t type, const void *data, unsigned int size, uint32_t data1)
{
	if (!open_)
		return Error(XEN_ENODEV);
	if (busy())
		return Error(XEN_EBUSY);
	if (size > page_size)
		return Error(XEN_EINVAL);
	__builtin_memcpy(data_page_.get(), data, size);
	return put(type, data_page_.reference().value, data1);
}

Violation ControlRing::take(Polled &polled)
{
	Violation violation;
	auto response = shared_.take().validate([&](const xen_netif_ctrl_response &copy) {
		if (copy.id != id_)
			violation = { "control response to no request in flight, id", copy.id };
		else if (copy.type != type_)
			violation = { "control response of another type than its request:", copy.type };
		return !violation;
	});
	if (!response.ok())
		return violation;
	polled = { .answered = true, .status = response.value().status, .data = response.value().data, .violation = {} };
	return {};
}

/* Bounded: there is one response at most, as there are not more requests. */
Violation ControlRing::take_all(Polled &polled)
{
	for (;;) {
		auto count = shared_.responses();
		if (!count.ok())
			return { "illegal number of control responses", 0 };
		if (count.value() != 0)
			if (Violation violation = take(polled))
				return violation;
		auto more = shared_.more_after_asking();
		if (!more.ok())
			return { "illegal number of control responses", 0 };
		if (!more.value())
			return {};
	}
}

ControlRing::Polled ControlRing::poll()
{
	Polled polled;
	if (!open_ || xpv_restore_count() != restores_)
		return polled;
	polled.violation = take_all(polled);
	if (polled.violation)
		open_ = false;
	return polled;
}

void ControlRing::stop()
{
	open_ = false;
	/* Clear the ring: a request taken late could name a reference that belongs to another page by then. */
	shared_.clear();
}

} // namespace xpv
