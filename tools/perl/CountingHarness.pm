# A TAP harness that leaves its counts in the file $COUNTING_HARNESS_FILE: the
# numbers of assertions that passed and failed on the first line, then the names
# of the test scripts that weren't all right.
#
# Counted is each single assertion.  One that was planned and never came counts
# as failed, and so does a script whose only fault is its exit code or its plan.

package CountingHarness;

use strict;
use warnings;

use parent 'TAP::Harness';

sub runtests
{
	my ($self, @tests) = @_;
	my $aggregate = $self->SUPER::runtests(@tests);
	my ($passed, $failed) = (0, 0);
	my @faulty;

	foreach my $name ($aggregate->descriptions)
	{
		my ($parser) = $aggregate->parsers($name);
		my $bad = scalar($parser->failed);
		my $missing = ($parser->tests_planned || 0) - $parser->tests_run;

		$bad += $missing if $missing > 0;
		$bad = 1 if $bad == 0 && $parser->has_problems;
		$passed += scalar($parser->passed);
		$failed += $bad;
		push @faulty, $name if $bad > 0;
	}

	open(my $out, '>', $ENV{COUNTING_HARNESS_FILE})
	  or die "$ENV{COUNTING_HARNESS_FILE}: $!\n";
	print $out join("\n", "$passed $failed", @faulty), "\n";
	close($out) or die "$ENV{COUNTING_HARNESS_FILE}: $!\n";
	return $aggregate;
}

1;
