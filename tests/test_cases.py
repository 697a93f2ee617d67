"""Every case has a test that asserts it, and every case that a test names is one."""

from __future__ import annotations

import re

import pytest

from tests.cases import CASES, NOT_BUILT, TESTS, named_cases


@pytest.fixture(scope="module")
def named():
    return {one.case for one in named_cases()}


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_case_has_a_test(case, named):
    assert case in named, CASES[case]


def test_what_a_test_names_is_a_case(named):
    assert named <= CASES.keys()


def test_what_is_not_built_is_in_the_readme():
    told = re.sub(r"\s+", " ", (TESTS.parent / "README.md").read_text().partition("## What is not built yet")[2]).lower()
    for what in NOT_BUILT.values():
        assert what.lower() in told, what
