"""Counts, by valgrind's callgrind, the instructions that an item costs (see instructions.c).

What was counted last stands in instructions.json beside this; a count that is more than MARGIN
above it has cost something. The counts hold for one compiler and one Lua: where these differ from
those recorded, the comparison says nothing and is left out.
"""

import concurrent.futures
import json
import os
import re
import subprocess

from programs import HERE, Failure

RECORD = HERE / "instructions.json"
MARGIN = 0.02
FEW, MANY = 1000, 3000
FEW_LARGE, MANY_LARGE = 20, 60  # of cases of a thousand values each


def output(argv):
    # No environment, since it moves the stack, whose address Lua's string table depends on.
    done = subprocess.run(argv, capture_output=True, text=True, check=False,
                          env={"PATH": os.defpath})
    if done.returncode != 0:
        raise Failure(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stderr}")
    return done


def count(program, case, times):
    told = output(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                   str(program), case, str(times)]).stderr
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
    comment = output(["readelf", "-p", ".comment", str(program)]).stdout
    found = re.search(r"GCC: .*|clang .*", comment)
    return found.group(0) if found else "unknown"


def measure(program):
    """{case: instructions}, two at a time."""
    cases = output([str(program)]).stdout.splitlines()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(cases, pool.map(lambda case: per_item(program, case), cases)))


def record(program):
    counts = {"toolchain": toolchain(program), "counts": measure(program)}
    RECORD.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
    return counts["counts"]


def compare(program):
    """[(case, instructions, recorded or None, within the margin or None)]."""
    known = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    same = known.get("toolchain") == toolchain(program)
    before = known.get("counts", {}) if same else {}
    return [(case, n, before.get(case),
             None if case not in before else n <= before[case] * (1 + MARGIN))
            for case, n in measure(program).items()]
