
=pod

=head1 NAME

Converge::Nodes - servers that replicate to each other over a network to be cut

=head1 SYNOPSIS

  my $nodes = Converge::Nodes->new(count => 3);
  $nodes->join;
  $nodes->proxy->set('alpha', 'beta', 'both', 'cut');
  $nodes->crash('alpha');  $nodes->start('alpha');
  $nodes->restore('beta', $nodes->back_up('beta'));

=head1 DESCRIPTION

A ConsistencyGroup of members "alpha", "beta" and "gamma", each a server of its own
with the tables of Converge::Tables.  Members meet over links of Proxy, one for each ordered pair: who
opens the connection, that is who receives, is "from".  Clients and the test go
around it.  With clocks each server looks at a clock of its own (libfaketime).

What stands in a member's place may change: it is restored from a base backup or a
dump, or its standby is promoted.  It keeps port and name; incarnation() counts.

Options of new(): count; label, with which the names of servers begin; bare: the
tables aren't attached, and members subscribe to each other without consistency's help;
conf, lines for postgresql.conf; install_path, the directory above another PostgreSQL's
bin.

=cut

package Converge::Nodes;

use strict;
use warnings FATAL => 'all';

use parent 'ConsistencyGroup';
use Carp;
use Converge::Tables;
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Proxy;
use Time::HiRes qw(time usleep);
use WireClient;

my @known = qw(alpha beta gamma delta);

my $conf = <<'CONF';
shared_preload_libraries = 'consistency'
shared_buffers = 16MB
max_connections = 60
max_replication_slots = 30
max_wal_senders = 30
max_worker_processes = 40
max_logical_replication_workers = 30
max_sync_workers_per_subscription = 1
max_wal_size = 1GB
wal_keep_size = 128MB
wal_retrieve_retry_interval = '100ms'
wal_writer_delay = '10ms'
wal_sender_timeout = '5s'
wal_receiver_timeout = '5s'
wal_receiver_status_interval = '1s'
deadlock_timeout = '200ms'
restart_after_crash = on
log_statement = none
log_replication_commands = off
log_line_prefix = '%m [%p] %b %e '
CONF

sub new
{
	my ($class, %arg) = @_;
	my $count = $arg{count} // 2;
	my $self = bless {
		arg => \%arg, name => 'g', database => 'postgres', order => [ @known[ 0 .. $count - 1 ] ], node => {}, incarnation => {}, port => {},
		net => sprintf('127.%d.%d', 1 + int($$ / 250) % 250, 1 + $$ % 250) }, $class;
	foreach my $name ($self->names)
	{
		$self->{incarnation}{$name} = 0;
		$self->{node}{$name} = $self->_new_server($name);
		$self->{port}{$name} = $self->{node}{$name}->port;
	}
	$self->{proxy} = $self->_make_proxy;
	$self->_first_start($_) for $self->names;
	return $self;
}

sub others { my ($self, $name) = @_; return grep { $_ ne $name } $self->names; }

sub proxy { my ($self) = @_; return $self->{proxy}; }

# How often something else came in the place of a member, in all.
sub incarnation { my ($self, $name) = @_; return $self->{incarnation}{$name}; }

# The server logs of a member, also of what was in its place before.
sub logs { my ($self, $name) = @_; return @{ $self->{logs}{$name} }; }

# Without anything that merges?
sub bare { my ($self) = @_; return $self->{arg}{bare}; }

sub superuser { return scalar getpwuid($>); }

# --- making them ----------------------------------------------------------

sub _new_server
{
	my ($self, $name, @more) = @_;
	my $label = ($self->{arg}{label} // '') . $name . ($self->{incarnation}{$name} ? "_$self->{incarnation}{$name}" : '');
	return PostgreSQL::Test::Cluster->new($label, @more,
		$self->{arg}{install_path} ? (install_path => $self->{arg}{install_path}) : ());
}

sub _init
{
	my ($self, $node) = @_;
	$node->init(allows_streaming => 'logical', extra => [ '--no-locale', '--encoding=UTF8' ]);
	$node->append_conf('postgresql.conf', $conf . ($self->{arg}{conf} // ''));
	open my $hba, '>', $node->data_dir . '/pg_hba.conf' or die $!;
	print $hba "local all,replication peer scram-sha-256\nlocal all,replication all trust\n";
	close $hba;
	return;
}

sub _first_start
{
	my ($self, $name) = @_;
	$self->_init($self->node($name));
	$self->start($name);
	$self->_make_roles($name);
	$self->sql($name, $_) for Converge::Tables::make($self->bare);
	$self->declare($name, $_) for $self->others($name);
	return;
}

sub _make_roles
{
	my ($self, $name) = @_;
	my $password = $ConsistencyGroup::password =~ s/'/''/gr;
	$self->sql($name, "CREATE ROLE app LOGIN; CREATE ROLE peer LOGIN SUPERUSER PASSWORD '$password'");
	return;
}

sub declare
{
	my ($self, $where, $name) = @_;
	local $self->{where} = $where;
	return $self->SUPER::declare($where, $name);
}

# Where that member finds another one.
sub address_options
{
	my ($self, $name) = @_;
	return sprintf q{host '%s', port '%d'}, $self->address_for($self->{where}), $self->{port}{$name};
}

# Each loopback address is where one member finds all others.
sub address_for
{
	my ($self, $from) = @_;
	my ($n) = grep { $self->{order}[$_] eq $from } 0 .. $#{ $self->{order} };
	return "$self->{net}." . ($n + 10);
}

sub _make_proxy
{
	my ($self) = @_;
	my @links;
	foreach my $from ($self->names)
	{
		push @links, map { {
			from => $from, to => $_, listen => [ $self->address_for($from), $self->{port}{$_} ],
			target => $self->node($_)->host . "/.s.PGSQL.$self->{port}{$_}" } } $self->others($from);
	}
	return Proxy->new(@links);
}

# --- clocks ---------------------------------------------------------------

# Sets a member's clock: so many seconds ahead, from its next start on.
sub set_clock { my ($self, $name, $seconds) = @_; $self->{clock}{$name} = $seconds; return; }

sub _clock_environment
{
	my ($self, $name) = @_;
	my $seconds = $self->{clock}{$name} or return ();
	return (LD_PRELOAD => _wrong_clock(), CLOCK_AHEAD => $seconds);
}

# The library that makes clocks wrong, compiled when it is first wanted.
my $wrong_clock;

sub _wrong_clock
{
	return $wrong_clock if $wrong_clock;
	$wrong_clock = PostgreSQL::Test::Utils::tempdir_short() . '/clock_ahead.so';
	my $source = dirname(__FILE__) . '/../clock_ahead.c';
	system('cc', '-O2', '-fPIC', '-shared', '-o', $wrong_clock, $source) == 0 or die "$source can't be compiled\n";
	return $wrong_clock;
}

# --- running them -----------------------------------------------------------

sub start
{
	my ($self, $name) = @_;
	my $log = $self->node($name)->logfile;
	push @{ $self->{logs}{$name} }, $log unless grep { $_ eq $log } @{ $self->{logs}{$name} };
	local %ENV = (%ENV, $self->_clock_environment($name));
	# what is left of one that was killed may still be about to end
	for my $try (1 .. 50)
	{
		return 1 if $self->node($name)->start(fail_ok => $try < 50);
		usleep(200_000);
	}
	return;
}

sub crash { my ($self, $name) = @_; $self->node($name)->stop('immediate'); return; }

sub shut_down { my ($self, $name) = @_; $self->node($name)->stop('fast'); return; }

# They aren't wanted any more.
sub end { my ($self) = @_; $self->node($_)->stop('immediate', fail_ok => 1) for $self->names; return; }

sub connect
{
	my ($self, $name, %arg) = @_;
	my $node = $self->node($name);
	return WireClient->new(host => $node->host, port => $self->{port}{$name}, user => 'app', %arg);
}

# Waits until a query says true; dies of impatience.
sub poll
{
	my ($self, $name, $query, $what, $seconds) = @_;
	my $end = time + ($seconds // 60);
	my $answer = '';
	while (time < $end)
	{
		$answer = eval { $self->sql($name, $query) } // '';
		return 1 if $answer eq 't';
		usleep(50_000);
	}
	die "$name: in vain awaited: $what; it is \"$answer\"\n";
}

# --- the group --------------------------------------------------------------

# Everybody subscribes to everybody.
sub join
{
	my ($self) = @_;
	return $self->SUPER::join unless $self->bare;
	foreach my $name ($self->names)
	{
		$self->sql($name, 'CREATE PUBLICATION consistency_g FOR TABLE ' . CORE::join(', ', Converge::Tables::names()));
	}
	foreach my $name ($self->names)
	{
		foreach my $peer ($self->others($name))
		{
			my $conninfo = sprintf 'host=%s port=%d dbname=postgres user=%s', $self->address_for($name), $self->{port}{$peer}, superuser();
			$self->sql($name, "CREATE SUBSCRIPTION consistency_g_$peer CONNECTION '$conninfo' PUBLICATION consistency_g WITH (slot_name = 'consistency_g_$name')");
		}
	}
	return;
}

# A member whose place was taken by something older: everything is copied once more,
# both ways, and merges.
sub join_again
{
	my ($self, $name) = @_;
	my $shown = $self->SUPER::join(at => $name, options => 'resync => true');
	print "# $_\n" for split /\n/, $shown;
	return;
}

# What everybody is at and waits for: lines, for people.
sub activity
{
	my ($self) = @_;
	my @lines;
	foreach my $name ($self->names)
	{
		my $text = eval { $self->sql($name, q{
			SELECT concat_ws(' ', pid, backend_type, application_name, state, wait_event, 'xid ' || backend_xid, 'for ' || now() - xact_start,
				'blocked by ' || nullif(pg_blocking_pids(pid)::text, '{}'), left(query, 100)) FROM pg_stat_activity
			 WHERE backend_type ~ 'client|logical|walsender' AND pid <> pg_backend_pid()
			UNION ALL SELECT concat_ws(' ', 'slot', slot_name, active_pid, confirmed_flush_lsn, 'of', pg_current_wal_lsn()) FROM pg_replication_slots
			UNION ALL SELECT concat_ws(' ', 'subscription', subname, srrelid::regclass, srsubstate) FROM pg_subscription JOIN pg_subscription_rel ON oid = srsubid AND srsubstate <> 'r'}) } // $@;
		push @lines, map { "$name: $_" } split /\n/, $text;
	}
	return @lines;
}

# Merges what members have otherwise.  Returns how many rows that were.
sub repair
{
	my ($self) = @_;
	return $self->_differences('repair');
}

# How many rows members have otherwise, by their own word.
sub compare
{
	my ($self) = @_;
	return $self->_differences('compare');
}

sub _differences
{
	my ($self, $function) = @_;
	my $found = 0;
	foreach my $table (Converge::Tables::names())
	{
		$found += $self->sql($_, "SELECT count(*) FROM consistency.$function('$table')") for $self->names;
	}
	return $found;
}

# --- another one in its place -------------------------------------------------

sub back_up
{
	my ($self, $name) = @_;
	my $label = 'backup' . ++$self->{backups};
	$self->node($name)->backup($label);
	return { name => $label, of => $self->node($name) };
}

sub _take_place
{
	my ($self, $name) = @_;
	$self->{incarnation}{$name}++;
	return $self->_new_server($name, port => $self->{port}{$name});
}

# The member, which isn't running any more, comes back from a base backup, on a new
# timeline.
sub restore
{
	my ($self, $name, $backup) = @_;
	my $node = $self->_take_place($name);
	$node->init_from_backup($backup->{of}, $backup->{name}, standby => 0);
	$node->append_conf('postgresql.conf',
		"restore_command = 'false'\nrecovery_target = 'immediate'\nrecovery_target_action = 'promote'\n");
	PostgreSQL::Test::Utils::append_to_file($node->data_dir . '/recovery.signal', '');
	$self->{node}{$name} = $node;
	$self->start($name);
	$self->poll($name, 'SELECT NOT pg_is_in_recovery()', 'the restored server is writable');
	# not for its standbys
	$node->append_conf('postgresql.conf', "restore_command = ''\nrecovery_target = ''\nrecovery_target_action = 'pause'\n");
	return;
}

sub dump
{
	my ($self, $name) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir_short() . '/dump' . ++$self->{backups};
	PostgreSQL::Test::Utils::system_or_bail('pg_dump', '-Fc', '--no-subscriptions', '-f', $file, '-d', $self->node($name)->connstr('postgres'));
	return $file;
}

# The same from a dump, in a new cluster.
sub restore_dump
{
	my ($self, $name, $file) = @_;
	my $node = $self->_take_place($name);
	$self->_init($node);
	$self->{node}{$name} = $node;
	$self->start($name);
	$self->_make_roles($name);
	PostgreSQL::Test::Utils::system_or_bail('pg_restore', '--exit-on-error', '-d', $node->connstr('postgres'), $file);
	return;
}

# A standby of a member, that streams.
sub add_standby
{
	my ($self, $name) = @_;
	my $backup = $self->back_up($name);
	my $standby = PostgreSQL::Test::Cluster->new(($self->{arg}{label} // '') . "${name}_standby" . ++$self->{standbys});
	$standby->init_from_backup($backup->{of}, $backup->{name}, has_streaming => 1);
	local %ENV = (%ENV, $self->_clock_environment($name));
	$standby->start;
	return $standby;
}

# The member, which isn't running any more, is replaced by its standby.
sub promote
{
	my ($self, $name, $standby) = @_;
	$standby->promote;
	$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die "the standby of $name isn't promoted\n";
	$standby->stop('fast');
	$standby->append_conf('postgresql.conf', "port = $self->{port}{$name}\n");
	$standby->{_port} = $self->{port}{$name};
	$self->{incarnation}{$name}++;
	$self->{node}{$name} = $standby;
	$self->start($name);
	return;
}

1;
