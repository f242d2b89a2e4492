// SPDX-License-Identifier: GPL-2.0-only
/* Runs a fuzz target once over each file of a directory, without a fuzzer. */
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);

int main(int count, char **arguments)
{
	unsigned int replayed = 0;
	for (int i = 1; i < count; i++)
		for (const auto &entry : std::filesystem::directory_iterator(arguments[i])) {
			std::ifstream file(entry.path(), std::ios::binary);
			std::string bytes{ std::istreambuf_iterator<char>(file), {} };
			std::printf("%s\n", entry.path().filename().c_str());
			std::fflush(stdout);
			LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t *>(bytes.data()), bytes.size());
			replayed++;
		}
	/* An empty corpus tests nothing. */
	return replayed ? 0 : 1;
}
