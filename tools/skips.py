"""Lists the tests that JUnit files call skipped, with reasons; exits 1 where a reason is not allowed.

    tools/skips.py build/test/ctest.xml build/test/pytest.xml

A skipped test proves nothing, so only what a machine may truly lack excuses one.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

ALLOWED = (
    r"no CUDA\b",
    r"no mvfst\b",
    r"no Chromium\b",
    r"no root\b",
    r"no reference data \(MVFSTRL_SHARED\)",
)


@dataclass(frozen=True)
class Skip:
    test: str
    reason: str

    @property
    def allowed(self) -> bool:
        return any(re.match(pattern, self.reason) for pattern in ALLOWED)


def reason_of(case: ET.Element, skipped: ET.Element | None) -> str:
    """pytest gives the reason as message; ctest only knows that GoogleTest printed `Skipped` and a line."""
    message = (skipped.get("message") or "") if skipped is not None else ""
    if message.startswith("SKIP_REGULAR_EXPRESSION"):
        output = case.findtext("system-out") or ""
        printed = re.search(r": Skipped\n(.+)", output)
        return printed.group(1).strip() if printed else "GTEST_SKIP() without a reason"
    return message or "no reason given"


def read(path: Path) -> tuple[int, list[Skip]]:
    """The number of tests in a JUnit file, and those that did not run."""
    cases = list(ET.parse(path).getroot().iter("testcase"))
    skips = []
    for case in cases:
        skipped = case.find("skipped")
        if skipped is not None or case.get("status") in ("notrun", "disabled"):
            name = ".".join(part for part in (case.get("classname"), case.get("name")) if part)
            skips.append(Skip(name, reason_of(case, skipped)))
    return len(cases), skips


def main(arguments: list[str]) -> int:
    refused = 0
    for argument in arguments:
        count, skips = read(Path(argument))
        print(f"{argument}: {count} tests, {len(skips)} skipped")
        for skip in skips:
            print(f"  {'allowed' if skip.allowed else 'REFUSED'}: {skip.test}: {skip.reason}")
        refused += sum(not skip.allowed for skip in skips)
        if count == 0:
            print(f"  REFUSED: {argument} holds no test")
            refused += 1
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
