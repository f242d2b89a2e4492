// SPDX-License-Identifier: GPL-2.0-only
/*
 * One end of a vchan between two domains, over Xen's stock libraries.
 *
 *     vchan serve DOMID PATH     make it, say "ready" on stderr, and write all that comes to stdout
 *     vchan send DOMID PATH      connect, send stdin, and close when the other end has it all
 *     vchan hold DOMID PATH      connect, say "open", and wait for the other end to go
 *
 * Built against libxen-dev on the machine, run in guests.
 */
#include <libxenvchan.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char buffer[1 << 16];

static int serve(struct libxenvchan *channel)
{
	int size;

	fprintf(stderr, "ready\n");
	/* Until the other end has connected it looks closed. */
	while (!libxenvchan_is_open(channel))
		if (libxenvchan_wait(channel))
			return 3;
	fprintf(stderr, "open\n");
	while ((size = libxenvchan_read(channel, buffer, sizeof(buffer))) > 0)
		if (fwrite(buffer, 1, size, stdout) != (size_t)size)
			return 4;
	fprintf(stderr, "closed\n");
	return fflush(stdout) ? 4 : 0;
}

static int send_all(struct libxenvchan *channel)
{
	int room = libxenvchan_buffer_space(channel);
	size_t size;

	while ((size = fread(buffer, 1, sizeof(buffer), stdin)) > 0)
		if (libxenvchan_write(channel, buffer, size) != (int)size)
			return 5;
	while (libxenvchan_buffer_space(channel) < room && libxenvchan_is_open(channel))
		usleep(1000);
	return libxenvchan_buffer_space(channel) < room ? 6 : 0;
}

static int hold(struct libxenvchan *channel)
{
	fprintf(stderr, "open\n");
	while (libxenvchan_is_open(channel))
		if (libxenvchan_wait(channel))
			return 3;
	fprintf(stderr, "closed\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct libxenvchan *channel;
	int domain, code;

	if (argc != 4 || sscanf(argv[2], "%d", &domain) != 1)
		return 1;
	if (!strcmp(argv[1], "serve"))
		channel = libxenvchan_server_init(NULL, domain, argv[3], 1 << 16, 1 << 16);
	else
		channel = libxenvchan_client_init(NULL, domain, argv[3]);
	if (!channel) {
		perror("vchan");
		return 2;
	}
	channel->blocking = 1;
	if (!strcmp(argv[1], "serve"))
		code = serve(channel);
	else if (!strcmp(argv[1], "send"))
		code = send_all(channel);
	else
		code = hold(channel);
	libxenvchan_close(channel);
	return code;
}
