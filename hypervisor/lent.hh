/* SPDX-License-Identifier: GPL-2.0-only */
/* The notes of what Xen keeps (xpv_lend_pages()), after a restore. */
#pragma once

namespace xpv {

/*
 * The shared info page is a new one, the pages that are lent are to be used
 * again: write the notes of those that this load asked for. Any context, on
 * the only CPU that runs.
 */
void note_lent_again();
/* At load: this one has asked for nothing yet. */
void forget_lent_notes();

} // namespace xpv
