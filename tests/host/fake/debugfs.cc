// SPDX-License-Identifier: GPL-2.0-only
/* Append what is printed to the sink's text. */
#include "tests/host/fake/debugfs.hh"

#include <cstdarg>
#include <cstdio>

void xpv_debug_print(xpv_debug_sink *sink, const char *format, ...)
{
	char line[512];
	va_list arguments;
	va_start(arguments, format);
	std::vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	sink->text += line;
}

void xpv_debug_print_escaped(xpv_debug_sink *sink, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] >= ' ' && text[i] <= '~')
			sink->text += text[i];
		else
			xpv_debug_print(sink, "\\x%02x", static_cast<unsigned char>(text[i]));
	}
}
