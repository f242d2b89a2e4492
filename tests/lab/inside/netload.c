// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the network benchmark sends:
 *
 *   netload flood ADDRESS BYTES STREAMS SECONDS	UDP packets with so much data, as fast as it can
 *   netload bursts ADDRESS BYTES COUNT MICROSECONDS	COUNT UDP packets each time, until it is killed;
 *			their data begins with a magic number and their number in the burst
 *   netload echo PORT	sends back each byte of a TCP connection, one connection after the other
 *   netload ask ADDRESS PORT SECONDS	sends one byte and waits for it; prints how often in a second
 *
 * Addresses are IPv4.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BURST 32
#define DISCARD 9
/* As tests/bench/packets/bench_packets.c has it. */
#define MAGIC 0x78707662

static uint32_t data[BURST][512];

static int64_t now_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000ll + time.tv_nsec / 1000;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int connected(int type, const char *address, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int s = socket(AF_INET, type, 0);

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || s < 0 || connect(s, (struct sockaddr *)&to, sizeof(to)))
		fail(address);
	return s;
}

/* As few system calls as can be. */
static void send_burst(int s, unsigned int bytes, unsigned int count)
{
	struct mmsghdr messages[BURST] = { 0 };
	struct iovec parts[BURST];
	unsigned int done = 0;

	for (unsigned int i = 0; i < count; i++) {
		parts[i] = (struct iovec){ .iov_base = data[i], .iov_len = bytes };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	while (done < count) {
		int sent = sendmmsg(s, messages + done, count - done, 0);

		if (sent < 0)
			fail("sendmmsg");
		done += sent;
	}
}

static void flood(const char *address, unsigned int bytes, unsigned int streams, unsigned int seconds)
{
	int64_t end = now_us() + seconds * 1000000ll;

	for (unsigned int i = 1; i < streams && fork(); i++)
		;
	for (int s = connected(SOCK_DGRAM, address, DISCARD); now_us() < end;)
		send_burst(s, bytes, BURST);
	while (wait(NULL) > 0)
		;
}

static void bursts(const char *address, unsigned int bytes, unsigned int count, unsigned int interval)
{
	int s = connected(SOCK_DGRAM, address, DISCARD);
	int64_t next = now_us();

	for (unsigned int i = 0; i < count; i++) {
		data[i][0] = htonl(MAGIC);
		data[i][1] = htonl(i);
	}
	for (;; next += interval) {
		int64_t rest = next - now_us();

		if (rest > 0)
			usleep(rest);
		else
			next = now_us();
		send_burst(s, bytes, count);
	}
}

static void without_delay(int s)
{
	if (setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)))
		fail("TCP_NODELAY");
}

static void echo(int port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) ||
	    bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, 4))
		fail("listen");
	for (;;) {
		int s = accept(listener, NULL, NULL);
		char byte;

		if (s < 0)
			fail("accept");
		without_delay(s);
		while (read(s, &byte, 1) == 1 && write(s, &byte, 1) == 1)
			;
		close(s);
	}
}

static void ask(const char *address, int port, unsigned int seconds)
{
	int s = connected(SOCK_STREAM, address, port);
	int64_t begin = now_us(), took;
	unsigned long count = 0;
	char byte = 0;

	without_delay(s);
	while ((took = now_us() - begin) < seconds * 1000000ll) {
		if (write(s, &byte, 1) != 1 || read(s, &byte, 1) != 1)
			fail("ask");
		count++;
	}
	printf("%.1f\n", count * 1e6 / took);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	unsigned int numbers[3] = { 0 };

	for (int i = 3; i < argc && i < 6; i++)
		numbers[i - 3] = strtoul(argv[i], NULL, 10);
	if (!strcmp(mode, "flood") && argc == 6 && numbers[0] <= sizeof(data[0]))
		flood(argv[2], numbers[0], numbers[1], numbers[2]);
	else if (!strcmp(mode, "bursts") && argc == 6 && numbers[0] <= sizeof(data[0]) && numbers[1] <= BURST)
		bursts(argv[2], numbers[0], numbers[1], numbers[2]);
	else if (!strcmp(mode, "echo") && argc == 3)
		echo(atoi(argv[2]));
	else if (!strcmp(mode, "ask") && argc == 5)
		ask(argv[2], numbers[0], numbers[1]);
	else
		return 2;
	return 0;
}
