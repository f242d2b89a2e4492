// SPDX-License-Identifier: GPL-2.0-only
#include "xenbus/state.hh"

#include "xenbus/text.hh"

namespace xpv {

namespace {

using enum Action;
using P = Phase;

constexpr Transition stay(Action action, Phase phase)
{
	return { action, phase };
}

/* Columns in the order of Theirs. */
constexpr Transition table[phase_count][theirs_count] = {
	/* ---- Phase::initialising ---- */
	{
		/* missing: the toolstack has not finished, or the backend domain is not there yet */
		stay(wait, P::initialising),
		/* Initialising */
		stay(wait, P::initialising),
		/* InitWait: what we are here for */
		{ negotiate, P::initialised },
		/* Initialised: some backends publish their half without waiting for ours */
		{ negotiate, P::initialised },
		/* Connected: to somebody before us; that connection has to end first */
		{ restart, P::closing },
		/* Closing: detached before it was attached; the backend waits for us to agree */
		{ close, P::draining },
		/* Closed: on its way to InitWait, if it heard us; else about to be removed */
		stay(wait, P::initialising),
		/* Reconfiguring, Reconfigured: only in a connection */
		stay(ignore, P::initialising),
		stay(ignore, P::initialising),
		/* nonsense */
		stay(ignore, P::initialising),
	},
	/* ---- Phase::initialised ---- */
	{
		/* missing: the toolstack removes our node too, if this is meant */
		stay(wait, P::initialised),
		/* Initialising: a backend that starts again will say InitWait */
		stay(wait, P::initialised),
		/* InitWait: it has not looked at our details yet */
		stay(wait, P::initialised),
		/* Initialised: it has, and is not done with them */
		stay(wait, P::initialised),
		/* Connected */
		{ connect, P::connected },
		/* Closing, Closed: it could not connect, or the toolstack detaches the device */
		{ close, P::draining },
		{ close, P::draining },
		/* Reconfiguring, Reconfigured: only in a connection */
		stay(ignore, P::initialised),
		stay(ignore, P::initialised),
		/* nonsense */
		stay(ignore, P::initialised),
	},
	/* ---- Phase::connected ---- */
	{
		/* missing: the data path may well go on; the toolstack removes our node when it is over */
		stay(ignore, P::connected),
		/* Initialising: a backend that starts again will say InitWait */
		stay(wait, P::connected),
		/* InitWait: it has started again and knows nothing of our ring */
		{ restart, P::draining },
		/* Initialised: a step back that no backend makes */
		stay(ignore, P::connected),
		/* Connected: said again, so something in its directory changed (a resized disk) */
		stay(recheck, P::connected),
		/* Closing: detached */
		{ close, P::draining },
		/* Closed: detached, or its driver is gone */
		{ close, P::draining },
		/* Reconfiguring, Reconfigured: asks for something no frontend here offers */
		stay(ignore, P::connected),
		stay(ignore, P::connected),
		/* nonsense */
		stay(ignore, P::connected),
	},
	/* ---- Phase::closing ---- */
	{
		/* missing: nobody to wait for */
		{ proceed, P::draining },
		/* Initialising, InitWait: not connected, so it has nothing to close */
		{ proceed, P::draining },
		{ proceed, P::draining },
		/* Initialised, Connected: has not noticed yet */
		stay(wait, P::closing),
		stay(wait, P::closing),
		/* Closing, Closed: has noticed */
		{ proceed, P::draining },
		{ proceed, P::draining },
		/* Reconfiguring, Reconfigured: busy */
		stay(wait, P::closing),
		stay(wait, P::closing),
		/* nonsense: it may still come to its senses */
		stay(wait, P::closing),
	},
	/* ---- Phase::draining ---- */
	{
		/* missing: nobody left who could hold anything in good faith */
		{ release, P::closed },
		/* Initialising: has just started, holds nothing */
		{ release, P::closed },
		/* InitWait: has yet to notice; had we gone on now, we would take its Closed for a detach */
		stay(wait, P::draining),
		/* Initialised, Connected, Closing: still unmapping, or has not noticed */
		stay(wait, P::draining),
		stay(wait, P::draining),
		stay(wait, P::draining),
		/* Closed: has let go of everything */
		{ release, P::closed },
		/* Reconfiguring, Reconfigured */
		stay(wait, P::draining),
		stay(wait, P::draining),
		/* nonsense */
		stay(wait, P::draining),
	},
	/* ---- Phase::closed ---- */
	{
		/* missing: can only come back through Initialising */
		{ reopen_if_wanted, P::initialising },
		/* Initialising: starting; ready for us once it says InitWait */
		{ reopen_if_wanted, P::initialising },
		/* InitWait: asks for a frontend */
		{ reopen, P::initialising },
		/* Initialised, Connected: not to us; if we want it to restart, tell it so */
		{ reopen_if_wanted, P::initialising },
		{ reopen_if_wanted, P::initialising },
		/* Closing: on its way to Closed */
		stay(wait, P::closed),
		/* Closed: goes to InitWait when it hears that we are Initialising */
		{ reopen_if_wanted, P::initialising },
		/* Reconfiguring, Reconfigured */
		stay(ignore, P::closed),
		stay(ignore, P::closed),
		/* nonsense */
		stay(ignore, P::closed),
	},
};

struct PhaseFacts {
	xenbus_state published;
	unsigned int time_limit_ms;
	Transition late;
};

constexpr PhaseFacts facts[phase_count] = {
	{ XenbusStateInitialising, 10000, stay(complain, P::initialising) },
	{ XenbusStateInitialised, 10000, stay(complain, P::initialised) },
	{ XenbusStateConnected, 0, stay(wait, P::connected) },
	/* Together well below the 10 s that libxl waits for a detach. */
	{ XenbusStateClosing, 3000, { proceed, P::draining } },
	{ XenbusStateClosed, 5000, { release, P::closed } },
	{ XenbusStateClosed, 0, stay(wait, P::closed) },
};

constexpr const char *names[theirs_count] = {
	"Unknown", "Initialising", "InitWait",	    "Initialised",  "Connected",
	"Closing", "Closed",	   "Reconfiguring", "Reconfigured", "nonsense",
};

static_assert(static_cast<unsigned int>(Theirs::initialising) == XenbusStateInitialising);
static_assert(static_cast<unsigned int>(Theirs::init_wait) == XenbusStateInitWait);
static_assert(static_cast<unsigned int>(Theirs::initialised) == XenbusStateInitialised);
static_assert(static_cast<unsigned int>(Theirs::connected) == XenbusStateConnected);
static_assert(static_cast<unsigned int>(Theirs::closing) == XenbusStateClosing);
static_assert(static_cast<unsigned int>(Theirs::closed) == XenbusStateClosed);
static_assert(static_cast<unsigned int>(Theirs::reconfigured) == XenbusStateReconfigured);

constexpr unsigned int index(Phase phase)
{
	return static_cast<unsigned int>(phase);
}

} // namespace

bool possible(Phase phase, Aim aim, Held held)
{
	bool connects = aim == Aim::connect;
	switch (phase) {
	case Phase::initialising:
		return connects && !held.connection;
	case Phase::initialised:
		return connects && held.connection;
	case Phase::connected:
		return connects && held.connection && held.device;
	case Phase::closing:
	case Phase::draining:
		return !connects;
	case Phase::closed:
		return !connects && !held.connection && (!held.device || aim == Aim::restart);
	}
	return false;
}

Transition transition(Phase ours, Theirs theirs)
{
	return table[index(ours)][static_cast<unsigned int>(theirs)];
}

Transition late_transition(Phase ours)
{
	return facts[index(ours)].late;
}

unsigned int time_limit_ms(Phase ours)
{
	return facts[index(ours)].time_limit_ms;
}

xenbus_state published_state(Phase ours)
{
	return facts[index(ours)].published;
}

Theirs parse_state(std::string_view text)
{
	auto number = parse_decimal(text, XenbusStateReconfigured);
	return number.ok() ? static_cast<Theirs>(number.value()) : Theirs::nonsense;
}

const char *state_name(Theirs theirs)
{
	return names[static_cast<unsigned int>(theirs)];
}

Phase first_phase(Theirs own, Theirs theirs)
{
	switch (own) {
	case Theirs::initialised:
	case Theirs::connected:
	case Theirs::closing:
	case Theirs::reconfiguring:
	case Theirs::reconfigured:
		return Phase::closing;
	case Theirs::closed:
		switch (theirs) {
		case Theirs::initialised:
		case Theirs::connected:
		case Theirs::closing:
		case Theirs::reconfiguring:
		case Theirs::reconfigured:
			return Phase::draining;
		case Theirs::missing:
		case Theirs::initialising:
		case Theirs::init_wait:
		case Theirs::closed:
		case Theirs::nonsense:
			return Phase::closed;
		}
		break;
	case Theirs::missing:
	case Theirs::initialising:
	case Theirs::init_wait:
	case Theirs::nonsense:
		break;
	}
	return Phase::initialising;
}

} // namespace xpv
