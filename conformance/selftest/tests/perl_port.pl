# A process port in Perl, as PORTING.md brings it to green. A line that is marked so is there at some
# of its stages only.
use strict;
use warnings;
use JSON::PP qw(decode_json);

$| = 1;    # answers must not wait in a buffer

sub zeros {
    my ($matrix) = @_;
    return [map { [(0) x @$_] } @$matrix];
}

sub product {
    my ($a, $b) = @_;
    my @result;
    for my $i (0 .. $#$a) {
        for my $j (0 .. $#{$b->[0]}) {
            my $sum = 0;
            $sum += $a->[$i][$_] * $b->[$_][$j] for 0 .. $#$b;
            $result[$i][$j] = $sum;
        }
    }
    return \@result;
}

sub transposed {
    my ($a) = @_;
    return [map { my $j = $_; [map { $_->[$j] } @$a] } 0 .. $#{$a->[0]}];
}

# f of each element of a and the element of b at its place.
sub combined {
    my ($f, $a, $b) = @_;
    return [map { my $i = $_; [map { $f->($a->[$i][$_], $b->[$i][$_]) } 0 .. $#{$a->[$i]}] } 0 .. $#$a];
}

# One update: l, error and delta of the layers 0 ... K (error and delta of 0 are not there), new syn.
sub step {
    my ($X, $y, $syn, $alpha) = @_;
    my $K = @$syn;
    my @l = ($X);
    for my $k (0 .. $K - 1) {
        my $input = product($l[$k], $syn->[$k]);
        push @l, [map { [map { 1 / (1 + exp(-$_)) } @$_] } @$input];
    }
    my @error = map { zeros($_) } @l;    # stages 1
    my @delta = @error;    # stages 1
    my (@error, @delta);    # stages 2-
    $error[$K] = combined(sub { $_[0] - $_[1] }, $y, $l[$K]);    # stages 2-
    my @new = @$syn;
    for my $k (reverse 1 .. $K) {    # stages 2-
        $error[$k] = product($delta[$k + 1], transposed($new[$k])) if $k < $K;    # stages 2-3
        $error[$k] = product($delta[$k + 1], transposed($syn->[$k])) if $k < $K;    # stages 4-
        $delta[$k] = combined(sub { $_[0] * $_[1] * (1 - $_[1]) }, $error[$k], $l[$k]);    # stages 2-
        my $descent = product(transposed($l[$k - 1]), $delta[$k]);    # stages 3-
        $new[$k - 1] = combined(sub { $_[0] + $alpha * $_[1] }, $syn->[$k - 1], $descent);    # stages 3-
    }    # stages 2-
    return (\@l, \@error, \@delta, \@new);
}

sub reply {
    my ($request) = @_;
    return {format => 1, device => 'cpu'} if $request->{op} eq 'hello';
    my ($X, $y, $syn, $alpha) = @$request{qw(X y weights alpha)};
    if ($request->{op} eq 'step') {
        my ($l, $error, $delta, $new) = step($X, $y, $syn, $alpha);
        shift @$_ for $l, $error, $delta;
        return {l => $l, error => $error, delta => $delta, weights => $new};
    }
    my (@entries, %due);
    @due{@{$request->{checkpoints}}} = ();
    return {checkpoints => [map { {iteration => $_, error => 0, weights => $syn} } sort { $a <=> $b } keys %due]};    # stages 1-2,4
    for my $n (0 .. $request->{checkpoints}[-1]) {
        my ($l, $error, undef, $new) = step($X, $y, $syn, $alpha);
        if (exists $due{$n}) {
            my @all = map { @$_ } @{$error->[-1]};
            my $sum = 0;
            $sum += abs for @all;
            push @entries, {iteration => $n, error => $sum / @all, weights => $syn};
        }
        $syn = $new;
    }
    return {checkpoints => \@entries};
}

# JSON with all digits of a double: a number that Perl prints by itself has 15.
sub json {
    my ($value) = @_;
    return '[' . join(',', map { json($_) } @$value) . ']' if ref $value eq 'ARRAY';
    return '{' . join(',', map { "\"$_\":" . json($value->{$_}) } keys %$value) . '}' if ref $value eq 'HASH';
    return $value =~ /^[a-z]/ ? "\"$value\"" : sprintf('%.17g', $value);
}

while (my $line = <STDIN>) {
    my $request = decode_json($line);
    print json({id => $request->{id}, %{reply($request)}}), "\n";
}
