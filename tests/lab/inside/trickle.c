// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's end of outage.c:
 *
 *   trickle PORT	sends a little on a TCP connection again and again, and takes what comes;
 *			one connection after the other
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PERIOD_US 5000
#define BLOCK 2048

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Until the connection ends. */
static void serve(int s)
{
	static const char block[BLOCK];
	static char data[1 << 16];
	ssize_t got;

	for (;; usleep(PERIOD_US)) {
		while ((got = recv(s, data, sizeof(data), MSG_DONTWAIT)) > 0)
			;
		if (got == 0 || errno != EAGAIN)
			return;
		if (send(s, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			return;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (argc != 2)
		return 2;
	any.sin_port = htons(atoi(argv[1]));
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) ||
	    bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 4))
		fail("listen");
	for (;;) {
		int s = accept(listener, NULL, NULL);

		if (s < 0)
			fail("accept");
		serve(s);
		close(s);
	}
}
