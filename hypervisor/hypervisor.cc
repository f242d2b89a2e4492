// SPDX-License-Identifier: GPL-2.0-only
/* The shared info page, and Xen's number and info of each vCPU. */
#include "hypervisor/hypervisor.h"

#include "hypervisor/detect.hh"
#include "hypervisor/hypercall.hh"
#include "hypervisor/hypervisor_owned.h"
#include "hypervisor/translate.hh"
#include "hypervisor/lent.hh"
#include "hypervisor/linux.h"
#include "hypervisor/suspend_part.h"
#include "hypervisor/vcpu_info.hh"
#include "hypervisor/window.h"
#include "lib/log.hh"
#include "lib/memory.hh"

using namespace xpv;

namespace xpv {

namespace {

/*
 * Determine this domain's id on a Xen whose CPUID does not have it: open a port
 * to DOMID_SELF, and read back from Xen to which domain it is open.
 */
Result<Domid> domid_of_own_port()
{
	Port port = XPV_TRY(evtchnop_alloc_unbound(Domid{ DOMID_SELF }));
	auto state = evtchn_status(port);
	if (Status closed = evtchnop_close(port); !closed.ok())
		XPV_WARNING("port %u: cannot close the event channel (%pe)", port.value, err_ptr(closed.code()));
	if (!state.ok())
		return state.error();
	if (state.value().status != EVTCHNSTAT_unbound || state.value().u.unbound.dom >= DOMID_FIRST_RESERVED)
		return Error(XEN_ENOENT);
	return Domid{ state.value().u.unbound.dom };
}

struct State {
	Gfn shared_info_frame;
	xpv_window *window;
	::shared_info *shared_info;
	Array<Vcpu> vcpus; /* by Linux's CPU number */
	Array<vcpu_info *> infos; /* likewise */
	VcpuInfoPages vcpu_infos;
};

constinit XenPresence presence = {};
constinit State *state = nullptr;

void release(State *old)
{
	if (!old)
		return;
	if (old->window)
		xpv_window_destroy(old->window);
	if (old->shared_info_frame.value) {
		if (Status removed = remove_from_physmap(old->shared_info_frame); !removed.ok())
			XPV_WARNING("shared info page: cannot remove it from the physmap (%pe)", err_ptr(removed.code()));
		xpv_frames_release(old->shared_info_frame, 1);
	}
	destroy(old);
}

Status map_shared_info(State &made)
{
	Gfn frame;
	XPV_TRY(status(xpv_frames_claim(1, &frame)));
	if (Status added = add_to_physmap(XENMAPSPACE_shared_info, 0, frame); !added.ok()) {
		xpv_frames_release(frame, 1);
		return added.error();
	}
	made.shared_info_frame = frame;
	made.window = xpv_window_create(1, "shared info");
	if (!made.window)
		return Error(XEN_ENOMEM);
	XPV_TRY(status(xpv_window_map(made.window, 0, pfn_of(frame), XPV_WINDOW_READ_WRITE)));
	made.shared_info = static_cast<::shared_info *>(xpv_window_address(made.window));
	return {};
}

Status start()
{
	auto owned = make<State>(XPV_MAY_SLEEP);
	if (!owned.ok())
		return owned.error();
	State *made = owned.value().release();
	OnExit undo([&] { release(made); });

	made->vcpus = XPV_TRY(Array<Vcpu>::make(xpv_cpu_limit(), XPV_MAY_SLEEP));
	made->infos = XPV_TRY(Array<vcpu_info *>::make(xpv_cpu_limit(), XPV_MAY_SLEEP));
	XPV_TRY(map_shared_info(*made));
	forget_lent_records();
	undo.dismiss();
	state = made;
	return {};
}

/* Must be called on the vCPU itself: Xen lets a vCPU register only its own info. */
Status vcpu_online(unsigned int cpu)
{
	Vcpu vcpu = this_vcpu(presence, cpu);
	if (vcpu.value < XEN_LEGACY_MAX_VCPUS) {
		state->infos[cpu] = &state->shared_info->vcpu_info[vcpu.value];
	} else {
		state->infos[cpu] = XPV_TRY(state->vcpu_infos.register_vcpu(vcpu));
	}
	state->vcpus[cpu] = vcpu;
	return {};
}

/*
 * Set up Xen's interfaces again after a restore, maybe on another machine. Memory
 * is unchanged, but Xen has lost all that we registered. The window's PTE still
 * maps the right frame.
 */
Status restore()
{
	presence = XPV_TRY(detect_xen());
	choose_hypercall(presence);
	/* The toolstack restored the content of the old shared info page at this frame; Xen drops that page. */
	XPV_TRY(add_to_physmap(XENMAPSPACE_shared_info, 0, state->shared_info_frame));
	record_lent_again();
	state->vcpu_infos.forget_registrations();
	/*
	 * Xen initialises a vCPU only when its info is registered. Register it here for
	 * the vCPUs that are down, and for this one. A vCPU that runs can only register
	 * itself; Xen refuses it here.
	 */
	for (unsigned int cpu = 0; cpu < state->vcpus.size(); cpu++) {
		if (state->infos[cpu] && state->vcpus[cpu].value >= XEN_LEGACY_MAX_VCPUS)
			ignore(state->vcpu_infos.register_again(state->vcpus[cpu]));
	}
	return {};
}

int resume_early(xpv_resume_kind kind)
{
	return kind == XPV_RESUME_RESTORED ? restore().code() : 0;
}

int resume_cpu(unsigned int cpu)
{
	Vcpu vcpu = state->vcpus[cpu];
	return vcpu.value < XEN_LEGACY_MAX_VCPUS ? 0 : state->vcpu_infos.register_again(vcpu).code();
}

void resume_late(xpv_resume_kind kind)
{
	if (kind == XPV_RESUME_RESTORED)
		xpv_unplug_again();
}

} // namespace

} // namespace xpv

constinit xpv_suspend_part xpv_hypervisor_suspend_part = {
	.name = "hypervisor",
	.layer = XPV_SUSPEND_HYPERVISOR,
	.prepare = nullptr,
	.abandon = nullptr,
	.suspend_early = nullptr,
	.resume_early = resume_early,
	.resume_cpu = resume_cpu,
	.resume_late = resume_late,
	.next = nullptr,
	.prepared = false,
};

int xpv_hypervisor_detect()
{
	auto found = detect_xen();
	if (!found.ok())
		return found.code();
	presence = found.value();
	choose_hypercall(found.value());
	return 0;
}

int xpv_hypervisor_start()
{
	return start().code();
}

void xpv_hypervisor_stop()
{
	release(state);
	state = nullptr;
}

int xpv_hypervisor_vcpu_online(unsigned int cpu)
{
	return vcpu_online(cpu).code();
}

unsigned int xpv_hypervisor_version()
{
	return presence.version;
}

int xpv_own_domid(xpv_domid *domid)
{
	auto own = own_domid(presence);
	return hand_out(own.ok() ? std::move(own) : domid_of_own_port(), domid);
}

struct shared_info *xpv_shared_info()
{
	return state->shared_info;
}

xpv_vcpu xpv_vcpu_of_cpu(unsigned int cpu)
{
	return state->vcpus[cpu];
}

struct vcpu_info *xpv_vcpu_info(unsigned int cpu)
{
	return state->infos[cpu];
}
