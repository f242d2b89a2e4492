// SPDX-License-Identifier: GPL-2.0-only
/*
 * The backend for echofront.c: a program for dom0.
 *
 *   echoback DOMID DEVICE [MISBEHAVE]
 *
 * Serves the device until it is removed from xenstore. After MISBEHAVE bytes it
 * publishes an impossible index.
 */

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#include "echo.h"

enum state { INITIALISING = 1, INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED }; /* io/xenbus.h */

static struct xs_handle *store;
static xenevtchn_handle *events;
static xengnttab_handle *grants;
static unsigned int domain, device;
static unsigned long misbehave, served;

static struct echo_page *page; /* while connected */
static evtchn_port_t port;
static uint32_t produced, consumed;
static enum state state;

static void die(const char *what)
{
	fprintf(stderr, "echoback: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Read a number from the frontend's directory; -1 if there is no valid one. */
static long read_number(const char *key)
{
	char path[96];
	unsigned int length;
	char *text, *end;
	long number;

	snprintf(path, sizeof(path), "/local/domain/%u/device/xpvecho/%u/%s", domain, device, key);
	text = xs_read(store, XBT_NULL, path, &length);
	if (!text)
		return -1;
	number = strtol(text, &end, 10);
	if (end == text || *end)
		number = -1;
	free(text);
	return number;
}

static void switch_to(enum state next)
{
	char path[96], text[4];

	if (state == next)
		return;
	state = next;
	snprintf(path, sizeof(path), "/local/domain/0/backend/xpvecho/%u/%u/state", domain, device);
	snprintf(text, sizeof(text), "%d", next);
	if (!xs_write(store, XBT_NULL, path, text, strlen(text)))
		die(path);
}

static void disconnect(void)
{
	if (!page)
		return;
	xenevtchn_unbind(events, port);
	xengnttab_unmap(grants, page, 1);
	page = NULL;
}

/*
 * Map the ring and bind the event channel. False if the frontend's values are
 * invalid; then nothing is mapped or bound.
 */
static bool connect_to_frontend(void)
{
	long reference = read_number("ring-ref"), channel = read_number("event-channel");
	int bound;

	if (reference < 0 || channel < 0)
		return false;
	page = xengnttab_map_grant_ref(grants, domain, reference, PROT_READ | PROT_WRITE);
	if (!page)
		return false;
	bound = xenevtchn_bind_interdomain(events, domain, channel);
	if (bound < 0) {
		xengnttab_unmap(grants, page, 1);
		page = NULL;
		return false;
	}
	port = bound;
	produced = consumed = 0;
	return true;
}

/* Echo all requests. Returns false if the frontend broke the protocol. */
static bool echo(void)
{
	int available, taken;

	do {
		available = echo_used(__atomic_load_n(&page->request_produced, __ATOMIC_ACQUIRE), consumed);
		taken = echo_used(produced, __atomic_load_n(&page->response_consumed, __ATOMIC_ACQUIRE));
		if (available < 0 || taken < 0)
			return false;
		if (available > (int)ECHO_SIZE - taken)
			available = ECHO_SIZE - taken;
		for (int i = 0; i < available; i++)
			page->response[produced++ % ECHO_SIZE] = page->request[consumed++ % ECHO_SIZE];
		served += available;
		__atomic_store_n(&page->request_consumed, consumed, __ATOMIC_SEQ_CST);
		__atomic_store_n(&page->response_produced,
				 produced + (misbehave && served >= misbehave ? 2 * ECHO_SIZE : 0), __ATOMIC_SEQ_CST);
		if (available)
			xenevtchn_notify(events, port);
	} while (available);
	return true;
}

/* Follow the frontend's state, which may have changed. */
static void follow(void)
{
	switch (read_number("state")) {
	case INITIALISING:
		disconnect();
		switch_to(INIT_WAIT);
		break;
	case INITIALISED:
	case CONNECTED:
		if (state == INIT_WAIT)
			switch_to(connect_to_frontend() ? CONNECTED : CLOSING);
		break;
	case CLOSING:
		disconnect();
		switch_to(CLOSING);
		break;
	case CLOSED:
		disconnect();
		switch_to(CLOSED);
		break;
	case -1: /* removed */
		disconnect();
		exit(0);
	}
}

int main(int argc, char **argv)
{
	char path[96];

	if (argc < 3) {
		fprintf(stderr, "usage: echoback DOMID DEVICE [MISBEHAVE]\n");
		return 2;
	}
	domain = atoi(argv[1]);
	device = atoi(argv[2]);
	misbehave = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	store = xs_open(0);
	events = xenevtchn_open(NULL, 0);
	grants = xengnttab_open(NULL, 0);
	if (!store || !events || !grants)
		die("Xen's devices");
	snprintf(path, sizeof(path), "/local/domain/%u/device/xpvecho/%u/state", domain, device);
	if (!xs_watch(store, path, "state"))
		die(path);

	for (;;) {
		struct pollfd polled[] = {
			{ .fd = xs_fileno(store), .events = POLLIN },
			{ .fd = xenevtchn_fd(events), .events = POLLIN },
		};
		char **watch;

		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			die("poll");
		while ((watch = xs_check_watch(store))) {
			free(watch);
			follow();
		}
		if (polled[1].revents & POLLIN) {
			xenevtchn_port_or_error_t pending = xenevtchn_pending(events);

			if (pending < 0)
				continue;
			xenevtchn_unmask(events, pending);
			if (page && (evtchn_port_t)pending == port && !echo()) {
				disconnect();
				switch_to(CLOSING);
			}
		}
	}
}
