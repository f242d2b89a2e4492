// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records of the pages that this load leaves with Xen, for the next load. They
 * are in the unused end of the shared info page, the one place that lives exactly
 * as long as the registrations.
 */
#include "hypervisor/lent.hh"

#include "hypervisor/hypercall.hh"
#include "hypervisor/hypervisor_owned.h"
#include "hypervisor/linux.h"
#include "lib/address.hh"
#include "lib/memory.hh"

using namespace xpv;

namespace xpv {

namespace {

struct Record {
	uint64_t magic;
	uint64_t frame;
	uint64_t check; /* of the two above */

	[[nodiscard]] bool valid(uint64_t expected) const { return magic == expected && check == (magic ^ frame); }
};

constexpr uint64_t magic_of(xpv_lent_purpose purpose)
{
	return 0x746e656c2d767078 + (static_cast<uint64_t>(purpose) << 56); /* "xpv-lent" */
}

constexpr uint64_t magic_of(xpv_irreversible what)
{
	return 0x656e6f642d767078 + (static_cast<uint64_t>(what) << 56); /* "xpv-done" */
}

/* The records from the end of the page: lent pages first, then actions that cannot be undone. */
constexpr size_t lent_records = 2, done_records = 1;

Record &record_at(size_t index)
{
	constexpr size_t records = page_size / sizeof(Record);
	static_assert(sizeof(::shared_info) <= (records - lent_records - done_records) * sizeof(Record));
	return *value_at<Record>(xpv_shared_info(), (records - 1 - index) * sizeof(Record));
}

Record &record_of(xpv_lent_purpose purpose)
{
	return record_at(purpose);
}

Record &record_of(xpv_irreversible what)
{
	return record_at(lent_records + what);
}

void write(Record &record, uint64_t magic, Gfn frame)
{
	record.frame = frame.value;
	record.magic = magic;
	record.check = magic ^ frame.value;
}

constexpr unsigned int purposes = XPV_LENT_EVENT_CHANNELS + 1;
/* The frames in the records that this load wrote or found; 0: no record. */
constinit Gfn recorded[purposes] = {};

void write_record(xpv_lent_purpose purpose, Gfn frame)
{
	write(record_of(purpose), magic_of(purpose), frame);
	recorded[purpose] = frame;
}

} // namespace

void forget_lent_records()
{
	for (Gfn &frame : recorded)
		frame = {};
}

void record_lent_again()
{
	for (unsigned int i = 0; i < purposes; i++) {
		if (recorded[i].value)
			write_record(static_cast<xpv_lent_purpose>(i), recorded[i]);
	}
}

} // namespace xpv

void *xpv_lend_pages(xpv_lent_purpose purpose, unsigned int order, bool *found)
{
	Record &record = record_of(purpose);
	*found = false;
	if (record.valid(magic_of(purpose))) {
		void *pages = xpv_lent_find(Gfn{ record.frame }, order);
		if (pages) {
			*found = true;
			recorded[purpose] = Gfn{ record.frame };
			return pages;
		}
		/* A record of another kernel, before a kexec: its pages are in other use by now. */
	}
	void *pages = xpv_lent_alloc(order);
	if (!pages)
		return nullptr;
	write_record(purpose, xpv_pages_gfn(pages));
	return pages;
}

bool xpv_has_lent(xpv_lent_purpose purpose)
{
	const Record &record = record_of(purpose);
	return record.valid(magic_of(purpose)) && xpv_lent_find(Gfn{ record.frame }, 0);
}

void *xpv_lend_page()
{
	return xpv_lent_alloc(0);
}

void *xpv_lent_page(xpv_gfn frame)
{
	return xpv_lent_find(frame, 0);
}

void xpv_lent_take_back(void *page)
{
	xpv_lent_free(page, 0);
}

void xpv_record_irreversible(xpv_irreversible what)
{
	write(record_of(what), magic_of(what), {});
}

bool xpv_is_recorded(xpv_irreversible what)
{
	return record_of(what).valid(magic_of(what));
}
