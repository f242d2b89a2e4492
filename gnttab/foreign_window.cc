// SPDX-License-Identifier: GPL-2.0-only
/* Other domains' pages in kernel address space. */
#include "gnttab/foreign.hh"
#include "hypervisor/hypervisor_owned.h"
#include "hypervisor/translate.hh"
#include "hypervisor/window.h"
#include "lib/memory.hh"

using namespace xpv;

/* May be partly constructed; the destructor undoes whatever was set up. */
struct xpv_grant_window {
public:
	[[nodiscard]] static Result<Owned<xpv_grant_window>> make(Domid domain, const Gref *references,
								  unsigned int count, xpv_grant_access access);
	xpv_grant_window() = default;
	~xpv_grant_window();
	xpv_grant_window(const xpv_grant_window &) = delete;
	xpv_grant_window &operator=(const xpv_grant_window &) = delete;

	[[nodiscard]] void *address() const { return xpv_window_address(window_); }

private:
	[[nodiscard]] Status map(Domid domain, const Gref *references, xpv_grant_access access);
	[[nodiscard]] Status show(xpv_grant_access access);

	Array<xpv_grant_map_op> maps_;
	Gfn first_ = {};
	bool claimed_ = false;
	xpv_window *window_ = nullptr;
};

Result<Owned<xpv_grant_window>> xpv_grant_window::make(Domid domain, const Gref *references, unsigned int count,
						       xpv_grant_access access)
{
	if (count == 0)
		return Error(XEN_EINVAL);
	auto made = XPV_TRY(xpv::make<xpv_grant_window>(XPV_MAY_SLEEP));
	made->maps_ = XPV_TRY(Array<xpv_grant_map_op>::make(count, XPV_MAY_SLEEP));
	for (xpv_grant_map_op &map : made->maps_)
		map.handle = XPV_NO_GRANT_HANDLE;
	XPV_TRY(status(xpv_frames_claim(count, &made->first_)));
	made->claimed_ = true;
	XPV_TRY(made->map(domain, references, access));
	XPV_TRY(made->show(access));
	return made;
}

Status xpv_grant_window::map(Domid domain, const Gref *references, xpv_grant_access access)
{
	auto count = static_cast<unsigned int>(maps_.size());
	for (unsigned int i = 0; i < count; i++)
		maps_[i] = { domain, references[i], access, Gfn{ first_.value + i }, 0, XPV_NO_GRANT_HANDLE };
	if (xpv_grant_map(maps_.data(), count) == 0)
		return {};
	for (const xpv_grant_map_op &map : maps_)
		XPV_TRY(status(map.status));
	return Error(XEN_EIO);
}

Status xpv_grant_window::show(xpv_grant_access access)
{
	auto count = static_cast<unsigned int>(maps_.size());
	window_ = xpv_window_create(count, "foreign grants");
	if (!window_)
		return Error(XEN_ENOMEM);
	for (unsigned int i = 0; i < count; i++)
		XPV_TRY(status(xpv_window_map(window_, i, pfn_of(maps_[i].target),
					      access == XPV_GRANT_READ_ONLY ? XPV_WINDOW_READ_ONLY :
									      XPV_WINDOW_READ_WRITE)));
	return {};
}

xpv_grant_window::~xpv_grant_window()
{
	/* No kernel mapping may be left of a frame that is unmapped. */
	xpv_window_destroy(window_);
	unsigned int stuck = unmap_for_good(maps_.data(), static_cast<unsigned int>(maps_.size()));
	/* A claim is released as a whole, and guest frames with a foreign page still mapped must not be reused. */
	if (claimed_ && stuck == 0)
		xpv_frames_release(first_, static_cast<unsigned int>(maps_.size()));
}

int xpv_grant_map_window(xpv_domid domain, const xpv_gref *references, unsigned int count, xpv_grant_access access,
			 xpv_grant_window **window)
{
	return hand_out(xpv_grant_window::make(domain, references, count, access), window);
}

void *xpv_grant_window_address(const xpv_grant_window *window)
{
	return window->address();
}

void xpv_grant_unmap_window(xpv_grant_window *window)
{
	destroy(window);
}
