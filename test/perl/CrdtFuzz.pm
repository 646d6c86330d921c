
=pod

=head1 NAME

CrdtFuzz - the functions of test/fuzz in a database

=head1 SYNOPSIS

  use CrdtFuzz;

  my $fuzz = CrdtFuzz->new($node);        # builds them, creates the extension
  foreach my $type (CrdtFuzz->types) { $fuzz->call("crdt_laws('$type', 1, 1000)") }

=head1 DESCRIPTION

Builds the module of test/fuzz in a directory of its own, and creates its
functions in the database "postgres".  Nothing is installed.

=cut

package CrdtFuzz;

use strict;
use warnings FATAL => 'all';

use File::Basename;
use File::Copy;
use PostgreSQL::Test::Utils;

my $sources = dirname(__FILE__) . '/../fuzz';

sub types
{
	return qw(gcounter pncounter bcounter lww_register mv_register gset twopset orset
	  ew_flag dw_flag ormap vclock row_version);
}

sub new
{
	my ($class, $node) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('fuzz');
	my $config = $ENV{PG_CONFIG} // 'pg_config';
	my $self = bless { node => $node }, $class;

	copy($_, $dir) or die "$_: $!" for glob("$sources/*.[ch] $sources/Makefile");
	system('make', '-s', '-C', $dir, "PG_CONFIG=$config") == 0
	  or die 'test/fuzz could not be built';
	$node->safe_psql('postgres', 'CREATE EXTENSION consistency');
	$node->command_ok(
		[
			'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v', "module='$dir/crdt_fuzz'",
			'-f', "$sources/crdt_fuzz.sql", '-d', $node->connstr('postgres')
		],
		'the functions of test/fuzz were created');
	return $self;
}

# What a function returns; undef if it fails, which is then told.
sub call
{
	my ($self, $call) = @_;
	my ($rc, $out, $err) = $self->{node}->psql('postgres', "SELECT $call");

	return $out if $rc == 0;
	Test::More::diag("$call: $err");
	return;
}

1;
