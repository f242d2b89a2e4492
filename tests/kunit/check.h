/* SPDX-License-Identifier: GPL-2.0-only */
/* For cases that run in KUnit and on the host alike: they return NULL, or the place and text of what failed. */
#ifndef XPV_TESTS_CHECK_H
#define XPV_TESTS_CHECK_H

#define XPV_STRINGIFY_(x) #x
#define XPV_STRINGIFY(x) XPV_STRINGIFY_(x)
#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			return __FILE__ ":" XPV_STRINGIFY(__LINE__) ": " #condition;                                   \
	} while (0)

#endif
