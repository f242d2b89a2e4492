# SPDX-License-Identifier: GPL-2.0-only
"""Who may include what: a frontend works over any provider, and a module over no test.

A header <module>/<module or part>_owned.h has what only modules that own Xen in the guest can offer.
"""

import re

import sources
from conftest import ROOT

FRONTENDS = ("blkfront/", "netfront/", "xencons/", "examples/")


def includes(text):
    return re.findall(r'^\s*#\s*include\s*["<]([^">\n]+)[">]', text, flags=re.M)


def owned_in_a_frontend(path, text):
    if not path.startswith(FRONTENDS):
        return []
    return [f"{path}: {name}" for name in includes(text) if name.endswith("_owned.h")]


def names_of_tests(path, text):
    return [f"{path}: {name}" for name in includes(text) if name.startswith("tests/")]


def found(rule):
    return [line for path, text in sources.sources(ROOT) for line in rule(path, text)]


def test_frontends_include_no_header_of_the_owned_provider():
    assert found(owned_in_a_frontend) == []
    assert list(ROOT.glob("*/*_owned.h")), "the rule is about something"


def test_modules_include_nothing_of_the_tests():
    assert found(names_of_tests) == []


def test_the_rules_see_an_include():
    owned = '#include "xenbus/store_owned.h"\n'
    assert owned_in_a_frontend("blkfront/vbd.cc", owned)
    assert owned_in_a_frontend("examples/echo/echofront.c", "  # include <xenbus/store_owned.h>\n")
    assert not owned_in_a_frontend("xenbus/node/user.cc", owned)
    assert not owned_in_a_frontend("blkfront/vbd.cc", '#include "xenbus/store.h"\n')
    assert names_of_tests("suspend/barrier.cc", '#include "tests/fake/fake_vcpus.h"\n')
