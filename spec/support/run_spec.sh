# The runner's own judgement: what passes, what fails, and what it says.
# label: serial
set -u
run=$MOONPOOL_BUILD/spec/run
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failures=0

# expect STATUS TEXT SECONDS COMMAND: its status, and TEXT in what it prints.
expect() {
    status=$1 text=$2 seconds=$3
    shift 3
    said=$("$run" nested/case "$seconds" "$logs" "$@" 2>&1)
    got=$?
    case $said in *"$text"*) found=yes ;; *) found=no ;; esac
    if [ "$got" != "$status" ] || [ "$found" = no ]; then
        failures=$((failures + 1))
        echo "$*: expected $status and '$text', got $got and '$said'"
    fi
}

# Whether a process with this word in its command line is still there.
alive() {
    grep -lza "$1" /proc/[0-9]*/cmdline 2>/dev/null | grep -v "/$$/" >"$logs/alive"
    [ -s "$logs/alive" ]
}

expect 0 '' 10 true
expect 1 'exit code 7' 10 sh -c 'exit 7'
expect 1 'ended by signal 9' 10 sh -c 'kill -9 $$'
expect 1 'words of its own' 10 sh -c 'echo words of its own; exit 1'
expect 1 'time limit' 0.2 sleep 30.125
expect 0 '' 10 sh -c 'sleep 0.3 & exit 0'
expect 1 'sleep 30.25' 10 sh -c 'sleep 30.25 & exit 0'
expect 1 'sleep 30.375' 10 sh -c 'env -i setsid sleep 30.375 & exit 0'
expect 1 'time limit' 0.2 sh -c 'trap "" TERM; setsid sleep 30.5 & wait'
expect 1 "/dev/shm/moonpool-nested-$$" 10 sh -c ": >/dev/shm/moonpool-nested-$$"
rm -f "/dev/shm/moonpool-nested-$$"

for word in 30.125 30.25 30.375 30.5; do
    if alive "^$word"; then
        failures=$((failures + 1))
        echo "sleep $word was not killed"
    fi
done
[ "$failures" = 0 ]
