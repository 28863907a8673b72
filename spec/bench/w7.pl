# W7: echo 20,000 nested records, default chunks.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Bench qw(workers throughput sum0);
use MCE::Map;

my $items = 20_000;

sub record {
    my ($i) = @_;
    return {
        id => $i, name => "record $i", active => $i % 2 == 0, score => $i * 0.5,
        tags => ["red", "green", "blue"],
        position => { x => $i, y => -$i, z => $i * 0.25 },
        parts => [{ id => $i + 1, kind => "leaf" }, { id => $i + 2, kind => "leaf" }],
    };
}

sub weigh {
    my ($r) = @_;
    my ($p, $parts) = @$r{qw(position parts)};
    return $r->{id} + length($r->{name}) + ($r->{active} ? 1 : 0) + $r->{score} * 2
        + length(join "", @{ $r->{tags} }) + $p->{x} + $p->{y} + $p->{z} * 4
        + $parts->[0]{id} + $parts->[1]{id} + length($parts->[1]{kind});
}

my @records = map { record($_) } 1 .. $items;
MCE::Map->init(max_workers => workers());
throughput($items, sub { mce_map { $_ } @records }, sub { sum0(map { weigh($_) } @_) });
MCE::Map->finish;
