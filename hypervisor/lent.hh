/* SPDX-License-Identifier: GPL-2.0-only */
/* The records of pages lent to Xen (xpv_lend_pages()), after a restore. */
#pragma once

namespace xpv {

/*
 * Write the records of the pages that this load lent into the shared info page
 * again, after a restore: the shared info page is new, and the lent pages are
 * used again. Any context, on the only CPU that runs.
 */
void record_lent_again();
/* Forget the lent pages, when the module is loaded: this load has lent no page yet. */
void forget_lent_records();

} // namespace xpv
