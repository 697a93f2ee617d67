"""Every case has a test that asserts it, and every case that a test names is one."""

from __future__ import annotations

import re

import pytest

from tests.cases import CASES, NOT_BUILT, TESTS, named_cases

FOUND = list(named_cases())


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_case_has_a_test(case):
    assert [one.test for one in FOUND if one.case == case], CASES[case]


def test_what_a_test_names_is_a_case():
    assert {one.case for one in FOUND} <= CASES.keys()


def test_what_is_not_built_is_in_the_readme():
    told = re.sub(r"\s+", " ", (TESTS.parent / "README.md").read_text().partition("## What is not built yet")[2]).lower()
    for what in NOT_BUILT.values():
        assert what.lower() in told, what
