"""A plugin of pytest that writes what became of each test into the file that OUTCOMES names."""

import os

WORST = ["passed", "skipped", "failed"]
outcomes = {}


def pytest_runtest_logreport(report):
    # A test has a setup, a call and a teardown: the worst of them counts.
    before = outcomes.get(report.nodeid, "passed")
    outcomes[report.nodeid] = max(before, report.outcome, key=WORST.index)


def pytest_sessionfinish():
    with open(os.environ["OUTCOMES"], "w", encoding="utf-8") as file:
        for name, outcome in outcomes.items():
            name = name.encode("unicode_escape").decode()
            print(name, outcome, sep="\t", file=file)
