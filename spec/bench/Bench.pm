# What the workloads share on the side of Perl's MCE; see bench.lua.
#
# Each is run as `perl spec/bench/wN.pl [WORKERS]` and prints one line as its Lua twin does.
package Bench;
use strict;
use warnings;
use Exporter 'import';
use List::Util 'sum0';
use Time::HiRes 'time';

our @EXPORT_OK = qw(workers timed report throughput sum0);

sub workers { return $ARGV[0] // 2 }

# The seconds that a call takes, and what it returns.
sub timed {
    my ($function, @arguments) = @_;
    my $start = time;
    my @result = $function->(@arguments);
    return (time - $start, @result);
}

sub report {
    my ($checksum, %measures) = @_;
    printf "%s=%.12f ", $_, $measures{$_} for keys %measures;
    printf "checksum=%d\n", $checksum;
    return;
}

# Measures run(), which is so many items, all under way at once, behind one run that wakes the
# workers.
sub throughput {
    my ($items, $run, $checksum) = @_;
    $run->();
    my ($seconds, @results) = timed($run);
    report($checksum->(@results), item => $seconds / $items);
    return;
}

1;
