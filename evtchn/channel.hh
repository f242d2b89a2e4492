/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

#include "evtchn/evtchn.h"

/* A port with a handler. Its irq refers to it from xpv_irq_bind() to xpv_irq_unbind(). */
struct xpv_event_channel {
	xpv_port port;
	bool adopted;
	unsigned int irq;
	xpv_event_handler *handler;
	xpv_event_context *context;
};
