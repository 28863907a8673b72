# W1: map x*x over a million integers, default chunks.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Bench qw(workers throughput sum0);
use MCE::Map;

my $items = 1_000_000;
MCE::Map->init(max_workers => workers());
throughput($items, sub { mce_map_s { $_ * $_ } 1, $items }, \&sum0);
MCE::Map->finish;
