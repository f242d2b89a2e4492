// SPDX-License-Identifier: GPL-2.0-only
/* Wrong on purpose, in the way the argument says: fails only if the sanitizers are at work. */
#include <climits>
#include <cstdlib>
#include <cstring>

namespace {

volatile int sink;
char *volatile last;

void read_beyond()
{
	last = static_cast<char *>(std::calloc(8, 1));
	volatile int beyond = 8;
	sink = last[beyond];
	std::free(last);
}

void overflow()
{
	volatile int large = INT_MAX;
	sink = large + 1;
}

void leak()
{
	for (int i = 0; i < 100; i++)
		last = static_cast<char *>(std::malloc(8));
}

} // namespace

int main(int argc, char **argv)
{
	const char *fault = argc == 2 ? argv[1] : "none";
	if (!std::strcmp(fault, "address"))
		read_beyond();
	else if (!std::strcmp(fault, "undefined"))
		overflow();
	else if (!std::strcmp(fault, "leak"))
		leak();
	return 0;
}
