/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The handshake of a frontend as a table: for each pair of where we are and
 * what the other end's state node says, what to do. No code here, so that
 * the answers can be read, and tested, one by one.
 */
#pragma once

#include <string_view>

#include <xen/io/xenbus.h>

namespace xpv {

/*
 * Where we are. Finer than the state we publish: Closed has two halves, for
 * the driver keeps its ring and grants until the other end has let go.
 */
enum class Phase : unsigned char {
	initialising, /* nothing is shared yet */
	initialised, /* our details are published */
	connected,
	closing, /* the end was announced; waiting for the other end to notice */
	draining, /* Closed was announced; waiting for the other end to unmap */
	closed, /* nothing is shared any more */
};
inline constexpr unsigned int phase_count = 6;

/* What the other end's state node says. */
enum class Theirs : unsigned char {
	missing, /* no node, not ours to read, or 0 (Unknown) */
	initialising,
	init_wait,
	initialised,
	connected,
	closing,
	closed,
	reconfiguring,
	reconfigured,
	nonsense, /* anything else */
};
inline constexpr unsigned int theirs_count = 10;

enum class Action : unsigned char {
	wait, /* the other end has the next move */
	ignore, /* means nothing here */
	negotiate, /* driver: negotiate(); then `next` */
	connect, /* driver: connect(); then `next` */
	recheck, /* driver: backend_changed() */
	close, /* `next`; not to be opened again by ourselves */
	restart, /* `next`; open again once closed */
	proceed, /* `next` */
	release, /* driver: disconnect(), if that is due; then `next` */
	reopen, /* `next`, if the device may be used */
	reopen_if_wanted, /* `next`, if a restart was under way */
	complain, /* log that the other end takes long, and wait on */
};

struct Transition {
	Action action;
	Phase next;

	friend constexpr bool operator==(Transition, Transition) = default;
};

/* The answer for a pair. */
[[nodiscard]] Transition transition(Phase ours, Theirs theirs);
/* The answer when the other end did not move within time_limit_ms(ours). */
[[nodiscard]] Transition late_transition(Phase ours);
/* How long to wait for the other end in a phase; 0: for ever, without a word. */
[[nodiscard]] unsigned int time_limit_ms(Phase ours);
/* What our state node says in a phase. */
[[nodiscard]] xenbus_state published_state(Phase ours);
/* What the text of a state node means. */
[[nodiscard]] Theirs parse_state(std::string_view text);
/* For log lines and sysfs, e.g. "InitWait". */
[[nodiscard]] const char *state_name(Theirs theirs);

/*
 * Where to start when our own node says `own`: an earlier load, or another
 * kernel, may have left the device anywhere. Everything but a fresh node
 * goes through a close that the other end can follow.
 */
[[nodiscard]] Phase first_phase(Theirs own, Theirs theirs);

} // namespace xpv
