# Runs a command fifty times in a row with two busy loops beside it; ends with the status of
# the first that fails.
busy() { while :; do :; done; }
busy &
one=$!
busy &
two=$!
status=0
round=1
while [ $round -le 50 ] && [ $status = 0 ]; do
    "$@" || { status=$?; echo "round $round: exit code $status"; }
    round=$((round + 1))
done
kill $one $two
wait
exit $status
