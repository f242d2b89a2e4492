// SPDX-License-Identifier: GPL-2.0-only
/* Copy by GNTTABOP_copy, in batches; each end is a grant reference or a guest frame. */
#include "gnttab/batch.hh"
#include "gnttab/gnttab.h"
#include "gnttab/linux.h"
#include "hypervisor/translate.hh"

using namespace xpv;

namespace {

void set_end(gnttab_copy::gnttab_copy_ptr &to, const xpv_grant_copy_end &end)
{
	to.domid = end.domain.value;
	to.offset = end.offset;
	if (end.granted)
		to.u.ref = static_cast<grant_ref_t>(end.number);
	else
		to.u.gmfn = gfn_of(Pfn{ end.number }).value;
}

} // namespace

int16_t xpv_grant_status(int error)
{
	return grant_status(error);
}

unsigned int xpv_grant_copy(xpv_grant_copy_op *copies, unsigned int count)
{
	unsigned int failed = 0;
	run_in_batches<gnttab_copy>(
		count, gnttabop_copy,
		[=](unsigned int i, gnttab_copy &operation) {
			const xpv_grant_copy_op &copy = copies[i];
			operation = {};
			set_end(operation.source, copy.source);
			set_end(operation.dest, copy.target);
			operation.len = copy.length;
			operation.flags = static_cast<uint16_t>((copy.source.granted ? GNTCOPY_source_gref : 0) |
								(copy.target.granted ? GNTCOPY_dest_gref : 0));
			return true;
		},
		[&failed, copies](unsigned int i, const gnttab_copy &, int code) {
			copies[i].status = code;
			failed += code < 0;
		});
	return failed;
}
