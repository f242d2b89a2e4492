/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Log lines with the module's name in front, as pr_err() and friends write them.
 * A line names the device, port, vCPU or path first, then what happened, and the
 * error last: XPV_ERR("%s: cannot create the device (%pe)", path, err_ptr(code)).
 */
#pragma once

#include "lib/address.hh"
#include "lib/shim.h"

#define XPV_ERR(format, ...) xpv_log(XPV_LOG_ERR, KBUILD_MODNAME ": " format "\n" __VA_OPT__(, ) __VA_ARGS__)
#define XPV_WARNING(format, ...) xpv_log(XPV_LOG_WARNING, KBUILD_MODNAME ": " format "\n" __VA_OPT__(, ) __VA_ARGS__)
#define XPV_NOTICE(format, ...) xpv_log(XPV_LOG_NOTICE, KBUILD_MODNAME ": " format "\n" __VA_OPT__(, ) __VA_ARGS__)
#define XPV_INFO(format, ...) xpv_log(XPV_LOG_INFO, KBUILD_MODNAME ": " format "\n" __VA_OPT__(, ) __VA_ARGS__)

/* Rate-limited log lines, for everything that the other end can cause: it must not be able to flood the log. */
#define XPV_LIMITED(log, ...)                                                                                          \
	do {                                                                                                           \
		static constinit xpv_log_limit xpv_limit = {};                                                         \
		if (xpv_log_permitted(&xpv_limit))                                                                     \
			log(__VA_ARGS__);                                                                              \
	} while (0)
#define XPV_ERR_LIMITED(...) XPV_LIMITED(XPV_ERR, __VA_ARGS__)
#define XPV_WARNING_LIMITED(...) XPV_LIMITED(XPV_WARNING, __VA_ARGS__)
#define XPV_NOTICE_LIMITED(...) XPV_LIMITED(XPV_NOTICE, __VA_ARGS__)
