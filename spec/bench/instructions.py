"""Counts, by valgrind's callgrind, the instructions that an item costs (see instructions.c).

What was counted last stands in instructions.json beside this; a count that is more than MARGIN
above it has cost something. The counts hold for one compiler and one Lua: where these differ from
those recorded, the comparison says nothing and is left out.
"""

import concurrent.futures
import json
import os
import re

from programs import HERE, Failure, output, run

RECORD = HERE / "instructions.json"
MARGIN = 0.02
FEW, MANY = 1000, 3000
FEW_LARGE, MANY_LARGE = 20, 60  # of cases of a thousand values each


def count(program, case, times):
    # No environment, since it moves the stack, whose address Lua's string table depends on.
    told = run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(program),
                case, str(times)], env={"PATH": os.defpath}).stderr
    found = re.search(r"Collected : (\d+)", told)
    if found is None:
        raise Failure(f"callgrind said nothing of {case}\n{told}")
    return int(found.group(1))


def per_item(program, case):
    """The difference of two runs, so that what comes before and behind cancels out."""
    few, many = (FEW_LARGE, MANY_LARGE) if "1,000" in case else (FEW, MANY)
    return round((count(program, case, many) - count(program, case, few)) / (many - few))


def toolchain(program):
    """What the counts depend on besides the source: the compiler, as the program names it."""
    comment = output(["readelf", "-p", ".comment", str(program)])
    found = re.search(r"GCC: .*|clang .*", comment)
    return found.group(0) if found else "unknown"


def measure(program):
    """{case: instructions}, two at a time."""
    cases = output([str(program)]).splitlines()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(cases, pool.map(lambda case: per_item(program, case), cases)))


def compare(program, keep):
    """[(case, instructions, recorded or None, within the margin or None)]; recorded now if `keep`."""
    found = {"toolchain": toolchain(program), "counts": measure(program)}
    if keep:
        RECORD.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    known = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    before = known["counts"] if known.get("toolchain") == found["toolchain"] else {}
    return [(case, n, before.get(case),
             None if case not in before else n <= before[case] * (1 + MARGIN))
            for case, n in found["counts"].items()]
