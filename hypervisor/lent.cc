// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the next load finds what this one leaves with Xen: notes in the
 * unused end of the shared info page, the one place that lives exactly as
 * long as the registrations do.
 */
#include "hypervisor/hypercall.hh"
#include "hypervisor/hypervisor.h"
#include "hypervisor/linux.h"
#include "lib/memory.hh"

namespace xpv {

namespace {

struct Note {
	uint64_t magic;
	uint64_t frame;
	uint64_t check; /* of the two above */

	[[nodiscard]] bool valid(uint64_t expected) const
	{
		return magic == expected && check == (magic ^ frame);
	}
};

constexpr uint64_t magic_of(xpv_lent_purpose purpose)
{
	return 0x746e656c2d767078 + (static_cast<uint64_t>(purpose) << 56); /* "xpv-lent" */
}

Note &note_of(xpv_lent_purpose purpose)
{
	constexpr std::size_t notes = page_size / sizeof(Note);
	static_assert(sizeof(::shared_info) <= (notes - 2) * sizeof(Note));
	return reinterpret_cast<Note *>(xpv_shared_info())[notes - 1 - purpose];
}

} // namespace

} // namespace xpv

void *xpv_lend_pages(xpv_lent_purpose purpose, unsigned int order, bool *found)
{
	xpv::Note &note = xpv::note_of(purpose);
	*found = false;
	if (note.valid(xpv::magic_of(purpose))) {
		void *pages = xpv_loan_find(xpv::Gfn{ note.frame }, order);
		if (pages) {
			*found = true;
			return pages;
		}
		/* Another kernel's, before a kexec: its pages are somebody else's by now. */
	}
	void *pages = xpv_loan_pages(order);
	if (!pages)
		return nullptr;
	note.frame = xpv_pages_gfn(pages).value;
	note.magic = xpv::magic_of(purpose);
	note.check = note.magic ^ note.frame;
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
