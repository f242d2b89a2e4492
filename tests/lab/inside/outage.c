// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a guest that moves is away from the network, by the clock of a dom0:
 *
 *   outage PORT ADDRESS...
 *
 * Pings all addresses, has a TCP connection with the first one (trickle.c), and
 * looks when domains here suspend and run. After SIGTERM, once all answer again, it
 * prints what it saw, in us:
 *
 *   silence ADDRESS LENGTH FROM TO	the longest time without an answer to a ping
 *   silence tcp-in LENGTH FROM TO	without data from the guest
 *   silence tcp-out LENGTH FROM TO	without an acknowledgement from the guest
 *   suspended DOMID TIME
 *   runs DOMID TIME			for the first time
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/icmp.h>
#include <linux/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xenctrl.h>

#define PERIOD_US 5000
/* Of TCP, each period. */
#define BLOCK 2048
/* A TCP connection that sends comes back late: after each timeout the next is twice as long. */
#define PATIENCE_US 100000000
#define ADDRESSES_MAX 16
#define DOMAINS_MAX 256

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

/* Take all that came; false at the end of the connection. */
static bool take(int s, bool *some)
{
	static char data[1 << 16];
	ssize_t got;

	while ((got = recv(s, data, sizeof(data), MSG_DONTWAIT)) > 0)
		*some = true;
	return got < 0 && errno == EAGAIN;
}

static void give(int s)
{
	static const char data[BLOCK];

	if (send(s, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		fail("send");
}

struct silence {
	int64_t last; /* 0: nothing came yet */
	int64_t length, from, to; /* the longest one */
};

static volatile bool stopping;

static void stop(int number)
{
	(void)number;
	stopping = true;
}

static void end_silence(struct silence *silence, int64_t at)
{
	if (silence->last && at - silence->last > silence->length) {
		silence->length = at - silence->last;
		silence->from = silence->last;
		silence->to = at;
	}
	silence->last = at;
}

static bool answers(const struct silence *silence)
{
	return silence->last && now_us() - silence->last < 100000;
}

static void print_silence(const char *whose, const struct silence *silence)
{
	printf("silence %s %lld %lld %lld\n", whose, (long long)silence->length, (long long)silence->from,
	       (long long)silence->to);
}

/* ---- Pings ---- */

static struct in_addr addresses[ADDRESSES_MAX];
static struct silence pings[ADDRESSES_MAX];
static int address_count;

static uint16_t checksum(const uint16_t *data, unsigned int words)
{
	uint32_t sum = 0;

	while (words--)
		sum += *data++;
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static void send_pings(int s, uint16_t id, uint16_t sequence)
{
	struct icmphdr packet = { .type = ICMP_ECHO, .un.echo = { .id = id, .sequence = htons(sequence) } };

	packet.checksum = checksum((uint16_t *)&packet, sizeof(packet) / 2);
	for (int i = 0; i < address_count; i++) {
		struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = addresses[i] };

		/* Those that cannot be sent just now are lost, as others are. */
		sendto(s, &packet, sizeof(packet), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
	}
}

static void take_pongs(int s, uint16_t id)
{
	char data[256];
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	ssize_t got;

	while ((got = recvfrom(s, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from, &length)) > 0) {
		size_t header = (data[0] & 15) * 4;
		struct icmphdr packet;

		if ((size_t)got < header + sizeof(packet))
			continue;
		memcpy(&packet, data + header, sizeof(packet));
		for (int i = 0; i < address_count; i++)
			if (packet.type == ICMP_ECHOREPLY && packet.un.echo.id == id &&
			    from.sin_addr.s_addr == addresses[i].s_addr)
				end_silence(&pings[i], now_us());
	}
}

/* ---- TCP ---- */

static int connected(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = addresses[0] };
	int s = socket(AF_INET, SOCK_STREAM, 0);

	if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof(to)))
		fail("connect");
	return s;
}

static uint64_t acknowledged(int s)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	if (getsockopt(s, IPPROTO_TCP, TCP_INFO, &info, &length))
		fail("TCP_INFO");
	return info.tcpi_bytes_acked;
}

/* ---- Domains ---- */

static xc_interface *xen;
/* When; 0: not yet. Of domain 0 they are not looked at. */
static int64_t suspended[DOMAINS_MAX], runs[DOMAINS_MAX];

static void look_at_domains(void)
{
	xc_dominfo_t domains[8];
	int count = xc_domain_getinfo(xen, 1, 8, domains);

	for (int i = 0; i < count; i++) {
		uint32_t id = domains[i].domid;

		if (id >= DOMAINS_MAX)
			fail("too many domains");
		if (!runs[id] && domains[i].cpu_time)
			runs[id] = now_us();
		if (!suspended[id] && domains[i].shutdown && domains[i].shutdown_reason == SHUTDOWN_suspend)
			suspended[id] = now_us();
	}
}

static bool all_answer(const struct silence *in, const struct silence *out)
{
	for (int i = 0; i < address_count; i++)
		if (!answers(&pings[i]))
			return false;
	return answers(in) && answers(out);
}

static void watch(int port)
{
	int icmp = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), tcp = connected(port);
	uint16_t id = getpid(), sequence = 0;
	struct silence in = { 0 }, out = { 0 };
	uint64_t before = 0, now;
	int64_t next = now_us(), patience = INT64_MAX;

	if (icmp < 0)
		fail("socket");
	xen = xc_interface_open(NULL, NULL, 0);
	if (!xen)
		fail("xc_interface_open");
	mlockall(MCL_CURRENT | MCL_FUTURE);
	signal(SIGTERM, stop);
	while (!stopping || (now_us() < patience && !all_answer(&in, &out))) {
		struct pollfd files[] = { { .fd = icmp, .events = POLLIN }, { .fd = tcp, .events = POLLIN } };
		int64_t left = next - now_us();
		struct timespec wait = { .tv_nsec = left > 0 ? left * 1000 : 0 };
		bool some = false;

		ppoll(files, 2, &wait, NULL);
		take_pongs(icmp, id);
		if (!take(tcp, &some))
			fail("the guest's connection");
		if (some)
			end_silence(&in, now_us());
		now = acknowledged(tcp);
		if (now != before)
			end_silence(&out, now_us());
		before = now;
		if (now_us() < next)
			continue;
		next = now_us() + PERIOD_US;
		if (stopping && patience == INT64_MAX)
			patience = next + PATIENCE_US;
		send_pings(icmp, id, sequence++);
		give(tcp);
		look_at_domains();
	}
	for (int i = 0; i < address_count; i++)
		print_silence(inet_ntoa(addresses[i]), &pings[i]);
	print_silence("tcp-in", &in);
	print_silence("tcp-out", &out);
	for (int i = 0; i < DOMAINS_MAX; i++) {
		if (suspended[i])
			printf("suspended %d %lld\n", i, (long long)suspended[i]);
		if (runs[i])
			printf("runs %d %lld\n", i, (long long)runs[i]);
	}
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 2 + ADDRESSES_MAX)
		return 2;
	for (; address_count < argc - 2; address_count++)
		if (inet_pton(AF_INET, argv[2 + address_count], &addresses[address_count]) != 1)
			return 2;
	watch(atoi(argv[1]));
	return 0;
}
