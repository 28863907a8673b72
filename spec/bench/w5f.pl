# W5f: a list of a million floats, there and back.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Bench qw(workers throughput sum0);
use MCE::Map;

my @floats = map { $_ + 0.5 } 1 .. 1_000_000;
MCE::Map->init(max_workers => workers(), chunk_size => 1);
# A single array would be the input itself.
throughput(1, sub { @{ (mce_map { $_ } \@floats, [])[0] } }, \&sum0);
MCE::Map->finish;
