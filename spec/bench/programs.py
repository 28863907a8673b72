"""Running the bench's programs: what bench, curve and growth share."""

import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
TIME_LIMIT = 120  # seconds for one program


class Failure(Exception):
    """A program that failed, or results that differ."""


def moonpool_program():
    return os.environ.get("MOONPOOL") or str(HERE.parent.parent / "build/release/moonpool")


def run(argv, env=None):
    """What subprocess.run returns, of a program that has succeeded."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=TIME_LIMIT, check=False, env=env)
    except OSError as error:
        raise Failure(f"cannot run {argv[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{' '.join(argv)}: not done after {TIME_LIMIT} s") from error
    if done.returncode != 0:
        raise Failure(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stderr}")
    return done


def output(argv):
    return run(argv).stdout


def measures(argv):
    """What a program prints: {measure: seconds}, checksum."""
    words = dict(word.split("=") for word in output(argv).split())
    checksum = words.pop("checksum")
    return {key: float(seconds) for key, seconds in words.items()}, checksum
