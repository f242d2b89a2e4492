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

namespace xpv {

namespace {

struct Note {
	uint64_t magic;
	uint64_t frame;
	uint64_t check; /* of the two above */

	[[nodiscard]] bool valid(uint64_t expected) const { return magic == expected && check == (magic ^ frame); }
};

constexpr uint64_t magic_of(xpv_lent_purpose purpose)
{
	return 0x746e656c2d767078 + (static_cast<uint64_t>(purpose) << 56); /* "xpv-lent" */
}

constexpr uint64_t magic_of(xpv_remembered what)
{
	return 0x656e6f642d767078 + (static_cast<uint64_t>(what) << 56); /* "xpv-done" */
}

/* The records from the end of the page: lent pages first, then actions that cannot be undone. */
constexpr std::size_t lent_notes = 2, done_notes = 1;

Note &note_at(std::size_t index)
{
	constexpr std::size_t notes = page_size / sizeof(Note);
	static_assert(sizeof(::shared_info) <= (notes - lent_notes - done_notes) * sizeof(Note));
	return *value_at<Note>(xpv_shared_info(), (notes - 1 - index) * sizeof(Note));
}

Note &note_of(xpv_lent_purpose purpose)
{
	return note_at(purpose);
}

Note &note_of(xpv_remembered what)
{
	return note_at(lent_notes + what);
}

void write(Note &note, uint64_t magic, Gfn frame)
{
	note.frame = frame.value;
	note.magic = magic;
	note.check = magic ^ frame.value;
}

constexpr unsigned int purposes = XPV_LENT_EVENT_CHANNELS + 1;
/* The frames in the records that this load wrote or found; 0: no record. */
constinit Gfn noted[purposes] = {};

void write_note(xpv_lent_purpose purpose, Gfn frame)
{
	write(note_of(purpose), magic_of(purpose), frame);
	noted[purpose] = frame;
}

} // namespace

void forget_lent_notes()
{
	for (Gfn &frame : noted)
		frame = {};
}

void note_lent_again()
{
	for (unsigned int i = 0; i < purposes; i++) {
		if (noted[i].value)
			write_note(static_cast<xpv_lent_purpose>(i), noted[i]);
	}
}

} // namespace xpv

void *xpv_lend_pages(xpv_lent_purpose purpose, unsigned int order, bool *found)
{
	xpv::Note &note = xpv::note_of(purpose);
	*found = false;
	if (note.valid(xpv::magic_of(purpose))) {
		void *pages = xpv_loan_find(xpv::Gfn{ note.frame }, order);
		if (pages) {
			*found = true;
			xpv::noted[purpose] = xpv::Gfn{ note.frame };
			return pages;
		}
		/* A record of another kernel, before a kexec: its pages are in other use by now. */
	}
	void *pages = xpv_loan_pages(order);
	if (!pages)
		return nullptr;
	xpv::write_note(purpose, xpv_pages_gfn(pages));
	return pages;
}

bool xpv_has_lent(xpv_lent_purpose purpose)
{
	const xpv::Note &note = xpv::note_of(purpose);
	return note.valid(xpv::magic_of(purpose)) && xpv_loan_find(xpv::Gfn{ note.frame }, 0);
}

void *xpv_lend_page(void)
{
	return xpv_loan_pages(0);
}

void *xpv_lent_page(xpv_gfn frame)
{
	return xpv_loan_find(frame, 0);
}

void xpv_lent_take_back(void *page)
{
	xpv_loan_free(page, 0);
}

void xpv_remember(xpv_remembered what)
{
	xpv::write(xpv::note_of(what), xpv::magic_of(what), {});
}

bool xpv_has_remembered(xpv_remembered what)
{
	return xpv::note_of(what).valid(xpv::magic_of(what));
}
