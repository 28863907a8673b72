# W5s: echo 16 strings of 8 MiB, there and back.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Bench qw(workers throughput sum0);
use MCE::Map;

my ($strings, $size) = (16, 8 << 20);
my @strings = map { chr(96 + $_) x $size } 1 .. $strings;
MCE::Map->init(max_workers => workers(), chunk_size => 1);
throughput($strings, sub { mce_map { $_ } @strings },
    sub { sum0(map { length($_) * ord(substr $_, -1) } @_) });
MCE::Map->finish;
