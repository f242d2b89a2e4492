/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Xen's public headers need the fixed-width types, and select the oldest
 * interface version unless the guest names one. Include this before any other
 * <xen/...> header.
 */
#pragma once

#include <stdint.h>

#include <xen/xen-compat.h>
#undef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__

#include <xen/xen.h>
