#!/bin/sh
# timeout: 480
#
# Checks the model of publish, claim, record, wake and death in every state, and
# that it notices when one of the precautions is taken away.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# Prints "errors: N" of the model with these definitions.
check() {
    spin -a "$@" "$here/pool.pml" > spin.log || { cat spin.log; return 1; }
    ${CC:-cc} -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=1900 -o pan pan.c
    ./pan -m100000 -w22 > pan.log
    ! grep -E "max search depth too small|MEMLIM bound|resource|aborted" pan.log
    grep -o "errors: [0-9]*" pan.log
}

failed=0
expect() {
    wanted=$1
    shift
    found=$(check "$@") || found="no verdict"
    case "$wanted$found" in
    "right""errors: 0") echo "ok     $*" ;;
    "wrong""errors: "[1-9]*) echo "ok     $* is noticed" ;;
    *) echo "FAILED $*: $found"; failed=1 ;;
    esac
}

expect right -DROWS=3 -DDEATHS=0
expect right -DROWS=2 -DDEATHS=1
expect right -DROWS=1 -DDEATHS=2
for bug in NO_FENCE NO_SECOND_LOOK NO_FENCE_AT_BELL NO_CALL_AGAIN NO_FORCE \
    RELEASE_BEFORE_RECORD CLAIM_IN_TWO_STEPS DEATH_BEFORE_RESULTS; do
    expect wrong -DROWS=2 -DDEATHS=1 -DBUG_$bug
done
exit $failed
