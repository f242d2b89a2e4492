/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The numbers that Xen guests pass around, each a type of its own.
 *
 * A one-member struct costs nothing (it travels in a register) and, in C as
 * in C++, neither converts into another nor takes part in arithmetic by
 * accident. All of them are guest-side values in the widths of Xen's ABI.
 */
#ifndef XPV_LIB_TYPES_H
#define XPV_LIB_TYPES_H

#if defined(__KERNEL__) && !defined(__cplusplus)
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

/* The compiler warns of a caller that ignores the result. */
#define XPV_MUST_CHECK __attribute__((warn_unused_result))

/* A domain (xen.h: domid_t). */
struct xpv_domid {
	uint16_t value;
};

/* A vCPU by Xen's number, which need not be Linux's CPU number. */
struct xpv_vcpu {
	uint32_t value;
};

/* An event channel by number, in this domain or in the other (event_channel.h). */
struct xpv_port {
	uint32_t value;
};

/* A grant reference (grant_table.h: grant_ref_t). */
struct xpv_gref {
	uint32_t value;
};

/* A guest frame: what Xen's interfaces take from a translated guest. */
struct xpv_gfn {
	uint64_t value;
};

/* A machine frame: only PV guests see them. */
struct xpv_mfn {
	uint64_t value;
};

/* A frame as Linux numbers it; equal to the gfn in HVM and PVH guests. */
struct xpv_pfn {
	uint64_t value;
};

#define XPV_DOMID_SELF ((struct xpv_domid){ 0x7ff0 })

#ifdef __cplusplus
namespace xpv {

using Domid = ::xpv_domid;
using Vcpu = ::xpv_vcpu;
using Port = ::xpv_port;
using Gref = ::xpv_gref;
using Gfn = ::xpv_gfn;
using Mfn = ::xpv_mfn;
using Pfn = ::xpv_pfn;

template <typename T>
concept Number = requires(T number)
{
	number.value;
	requires sizeof(T) == sizeof(number.value);
};

} // namespace xpv

template <xpv::Number T>
constexpr bool operator==(const T &a, const T &b)
{
	return a.value == b.value;
}
#endif

#endif
