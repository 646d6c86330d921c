
=pod

=head1 NAME

Check - judges a history by the checkers of a level

=head1 SYNOPSIS

  use Check;

  my $anomalies = Check::judge($history, level => 'causal');
  print Check::text($_), "\n" for @$anomalies;

  use Check::Causal;      # or one checker by itself
  my ($anomalies, $judged) = Check::Causal::check($history, { limit => 5 });

=head1 DESCRIPTION

Every module in Check/ has check(history, options).  It returns a list of
anomalies, and in list context also how many things it has judged: [] of a
history in which there was nothing to judge proves nothing.

An anomaly is a hash: name, message (a sentence), operations (those involved),
and undecided, if the checker gave up.  A checker that gives up says so by an
anomaly; [] always means that it has looked at everything.

The option limit (default 10) is how many anomalies of one name are returned;
the last of them says how many more there are (more).

=cut

package Check;

use strict;
use warnings FATAL => 'all';

use Carp;
use History;

# Which checkers a level must pass, and with which options.  Each is for a kind
# of key; those for other kinds find nothing to judge.
my @prefix = ([ 'Prefix', { sessions => 0 } ]);
my @session = ([ 'Sessions', {} ]);
my @causal = ([ 'Causal', {} ]);
my %checkers = (
	weak => [],
	eventual => [@prefix],
	bounded => [ [ 'Staleness', {} ] ],
	session => [@session],
	causal => [ @session, @causal, @prefix ],
	sequential => [ @session, @causal, [ 'Prefix', { sessions => 1 } ] ],
	linearizable => [ @session, @causal, [ 'Prefix', { sessions => 1, realtime => 1 } ], [ 'Linearizable', {} ] ]);

# Runs the checkers of a level, or those that are named, as [ name, options ].
# Options beside these go to each of them.  In list context also returns what
# each has judged.
sub judge
{
	my ($history, %option) = @_;
	my $level = delete $option{level};
	my $list = delete $option{checkers} // $checkers{ $level // '' } // croak 'judge by which level?';
	my (@anomalies, %judged);
	foreach my $entry (@$list)
	{
		my ($name, $own) = ref $entry ? @$entry : ($entry, {});
		my $check = checker($name);
		my ($found, $count) = $check->($history, { %option, %$own });
		push @anomalies, map { { %$_, checker => $name } } @$found;
		$judged{$name} += $count;
	}
	return wantarray ? (\@anomalies, \%judged) : \@anomalies;
}

# The function of a checker by its name.
sub checker
{
	my ($name) = @_;
	croak "no checker \"$name\"" unless $name =~ /^[A-Z]\w+$/;
	require "Check/$name.pm";
	no strict 'refs';
	return \&{"Check::${name}::check"};
}

# An anomaly for people to read.
sub text
{
	my ($anomaly) = @_;
	my $more = $anomaly->{more} ? " (and $anomaly->{more} more)" : '';
	return "$anomaly->{name}: $anomaly->{message}$more"
	  . join '', map { "\n    " . History::describe($_) } @{ $anomaly->{operations} };
}

# --- what checkers collect ------------------------------------------------

# A report that checkers fill: new, add, judged, result.
sub report
{
	my ($options) = @_;
	my %option = %{ $options // {} };
	return bless { limit => $option{limit} // 10, list => [], of => {}, judged => 0 }, 'Check::Report';
}

package Check::Report;

# Adds an anomaly.
sub add
{
	my ($self, $name, $message, $operations, %more) = @_;
	my $of = $self->{of}{$name} //= [];
	if (@$of >= $self->{limit}) { $of->[-1]{more}++; return; }
	my %once;
	my $anomaly = {
		name => $name,
		message => $message,
		operations => [ grep { !$once{$_}++ } grep { defined } @$operations ],
		%more };
	push @$of, $anomaly;
	push @{ $self->{list} }, $anomaly;
	return;
}

# Anomalies that another one has found.
sub add_all { my ($self, @anomalies) = @_; $self->add(@{$_}{qw(name message operations)}) for @anomalies; return; }

# So many things were looked at.
sub judged { my ($self, $count) = @_; $self->{judged} += $count // 1; return; }

sub result { my ($self) = @_; return wantarray ? ($self->{list}, $self->{judged}) : $self->{list}; }

1;
