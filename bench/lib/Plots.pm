# The plots of the documentation: SVG, drawn by gnuplot, each once for light and once for dark pages.
package Plots;
use strict;
use warnings;
use utf8;

use List::Util qw(max min uniq);
use Results qw(of_kind short times_better);
use Tables ();

# Colours of a page: what is drawn must be told apart on it, and by the colour-blind.
my %theme = (
	'' => {
		text => '#1f2328', faint => '#59636e', grid => '#d1d9e0', shade => '#eaeef2',
		lines => [ '#0969da', '#bc4c00', '#1a7f37', '#8250df' ],
		good => '#0969da', bad => '#bc4c00', other => '#818b98' },
	'-dark' => {
		text => '#f0f6fc', faint => '#9198a1', grid => '#3d444d', shade => '#21262d',
		lines => [ '#4493f8', '#f0883e', '#3fb950', '#ab7df8' ],
		good => '#4493f8', bad => '#f0883e', other => '#7d8590' });

# The ratios are drawn in three plots, or none could be read.
my @ratio_plots = (
	[ 'overhead', 'What the extension costs', qw(overhead_idle overhead_replica statistics barrier) ],
	[ 'peers', 'Against other ways to the same', qw(stale_reads fence commit_late_replica routed_cpu routed_stream routed_point forwarded_write forwarded_reads) ],
	[ 'crdt', 'Types that merge', qw(crdt_sets crdt_counters attached_tables) ]);

my %growth_plots = (
	growth_clients => [ 'clients', 'reads of ours : plain' ],
	growth_rows => [ 'rows of the result', 'queries : the other way' ],
	growth_nodes => [ 'replicas declared', 'reads of ours : plain' ],
	growth_policies => [ 'tables with a policy', 'reads : no policies' ],
	growth_writers => [ 'transactions that have written, idle', 'reads behind the barrier : not' ]);

sub draw_all
{
	my ($results, $dir) = @_;

	mkdir $dir;
	for my $page (sort keys %theme)
	{
		my $draw = sub {
			my ($name, $benchmarks, @picture) = @_;
			return unless @picture;
			draw("$dir/$name$page.svg", $theme{$page}, @picture);
			mark_as_short("$dir/$name$page.svg", $theme{$page})
			  if grep { short($_) } of_kind($results, ['run'], @$benchmarks);
		};

		$draw->($_->[0], [ @$_[ 2 .. $#$_ ] ], ratio_plot($theme{$page}, $results, @$_[ 1 .. $#$_ ])) for @ratio_plots;
		$draw->($_, [$_], growth_plot($theme{$page}, $results, $_, @{ $growth_plots{$_} })) for sort keys %growth_plots;
		$draw->('break_even', ['break_even'], break_even_plot($theme{$page}, $results));
		$draw->('stale_reads', ['stale_reads'], stale_plot($theme{$page}, $results));
		$draw->('remote_apply', ['remote_apply'], hopping_plot($theme{$page}, $results));
	}
}

# Nobody shall judge by a picture of a short run.
sub mark_as_short
{
	my ($file, $theme) = @_;

	open my $in, '<:encoding(UTF-8)', $file or die "$file: $!\n";
	my $svg = do { local $/; <$in> };
	close $in;
	my $text = qq(<text x="8" y="99%" font-family="Helvetica,Arial,sans-serif" font-size="12" fill="$theme->{bad}">)
	  . "short run</text>\n";
	$svg =~ s{(?=</svg>)}{$text} or die "$file: no SVG\n";
	open my $out, '>:encoding(UTF-8)', $file or die "$file: $!\n";
	print $out $svg;
	close $out or die "$file: $!\n";
}

# Has gnuplot draw FILE by commands for a picture of a size.
sub draw
{
	my ($file, $theme, $width, $height, $commands) = @_;

	open my $gnuplot, '|-:encoding(UTF-8)', 'gnuplot' or die "gnuplot: $!\n";
	print $gnuplot <<EOF, $commands;
set encoding utf8
set terminal svg size $width,$height font "Helvetica,Arial,sans-serif,13" noenhanced
set output '$file'
set border 0
set tics textcolor rgb '$theme->{text}' scale 0
set xlabel textcolor rgb '$theme->{faint}'
set ylabel textcolor rgb '$theme->{faint}'
set title textcolor rgb '$theme->{text}'
set key textcolor rgb '$theme->{text}'
set grid linecolor rgb '$theme->{grid}' linetype 1 linewidth 1
EOF
	close $gnuplot or die "gnuplot can't draw $file\n";
}

# Lines of data that gnuplot reads under a name.
sub block
{
	my ($name, @rows) = @_;

	return "\$$name << EOD\n" . join('', map { join("\t", @$_) . "\n" } @rows) . "EOD\n";
}

# A label of gnuplot's as a string of its own kind.
sub quoted
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	return "'$text'";
}

# --- ratios ------------------------------------------------------------------

# Bars from 1 to the right for what is better than its peer, to the left for what is worse.
sub ratio_plot
{
	my ($theme, $results, $title, @names) = @_;
	my @rows = grep { defined times_better($_, $_->{median}) } of_kind($results, ['ratio'], @names);
	return unless @rows;

	my ($y, @bars, @targets, @tics) = (0);
	my ($least, $most) = (1, 1);
	for my $row (@rows)
	{
		my @spread = sort { $a <=> $b } map { times_better($row, $_) // 1e-3 } @$row{qw(least greatest)};
		my $median = times_better($row, $row->{median});
		$y--;
		push @bars, [ $median, $y, @spread, $median >= 0.98 ? 1 : 0 ];
		push @tics, quoted("$row->{what} (" . Tables::unit_of($row) . ')  ') . " $y";
		if ($row->{target} =~ /([\d.]+)/)
		{
			my $target = times_better($row, $1);
			push @targets, [ $target, $y ];
			($least, $most) = (min($least, $target), max($most, $target));
		}
		($least, $most) = (min($least, $spread[0]), max($most, $spread[1]));
	}
	my ($from, $to) = ($least / 1.15, $most * 1.15);
	($from, $to) = (min($from, 0.9), max($to, 1.1));
	my $ticks = join ', ', map { quoted("×$_") . " $_" }
	  grep { $_ >= $from && $_ <= $to } ($to / $from < 3 ? (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.5)
		: $to / $from > 400 ? (0.001, 0.01, 0.1, 1, 10, 100, 1000)
		: (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000));
	my $bottom = $y - 0.6;

	return (900, 100 + 22 * @rows, <<EOF);
set label ${\quoted($title)} at screen 0.985, screen 1 offset 0,-1.2 right textcolor rgb '$theme->{faint}' font ',14'
@{[ block('bars', @bars) ]}
@{[ block('targets', @targets) ]}
set logscale x
set xrange [$from:$to]
set yrange [$bottom:-0.4]
set ytics (@{[ join ', ', @tics ]})
set xtics ($ticks)
set grid xtics noytics
set lmargin 62
set rmargin 4
set tmargin 3
set bmargin 3.5
set label "← worse" at 1, graph 0 offset -1.5,-2.4 right textcolor rgb '$theme->{faint}'
set label "better →" at 1, graph 0 offset 1.5,-2.4 left textcolor rgb '$theme->{faint}'
set arrow from 1,graph 0 to 1,graph 1 nohead linecolor rgb '$theme->{faint}' linewidth 1.5
set key at screen 0.01, screen 0.985 left top horizontal Left reverse samplen 1 width 2
plot \$bars using 1:2:(\$5 == 1 ? (\$1 < 1 ? \$1 : 1) : 1e-9):(\$5 == 1 ? (\$1 < 1 ? 1 : \$1) : 1e-9):(\$2-0.3):(\$2+0.3) with boxxyerror fillstyle solid noborder linecolor rgb '$theme->{good}' notitle, \\
  \$bars using 1:2:(\$5 == 0 ? \$1 : 1e-9):(\$5 == 0 ? 1 : 1e-9):(\$2-0.3):(\$2+0.3) with boxxyerror fillstyle solid noborder linecolor rgb '$theme->{bad}' notitle, \\
  \$bars using 1:2:3:4 with xerrorbars pointtype 0 linewidth 1.5 linecolor rgb '$theme->{text}' title 'least to greatest', \\
  @{[ @targets ? "\$targets using 1:(\$2-0.42):(0):(0.84) with vectors nohead linewidth 3 linecolor rgb '$theme->{lines}[2]' title 'target'" : 'NaN notitle' ]}
EOF
}

# --- growth ------------------------------------------------------------------

# Lines over a logarithmic axis, on which nothing at all comes left of 1.
sub growth_plot
{
	my ($theme, $results, $name, $axis, $unit) = @_;
	my @rows = of_kind($results, ['growth'], $name);
	return unless @rows;

	my @series = uniq map { $_->{series} } @rows;
	my @x = uniq map { $_->{x} } @rows;
	my $first = min grep { $_ > 0 } @x;
	my %at = map { $_ => $_ > 0 ? $_ : $first / 4 } @x;
	my @lines;
	my $data = '';
	for my $i (0 .. $#series)
	{
		my $colour = $theme->{lines}[$i];
		$data .= block("line$i", map { [ $at{ $_->{x} } * 1.03**($i - $#series / 2), @$_{qw(median least greatest)} ] }
			  grep { $_->{series} eq $series[$i] } @rows);
		push @lines,
		  "\$line$i using 1:3:(0):(\$4-\$3) with vectors nohead linewidth 1.2 linecolor rgb '$colour' notitle",
		  "\$line$i using 1:2 with linespoints pointtype 7 pointsize 0.5 linewidth 2.5 linecolor rgb '$colour' title " . quoted($series[$i]);
	}
	my $tics = join ', ', map { quoted(Tables::thousands($_)) . " $at{$_}" } @x;
	my ($from, $to) = (min(values %at) / 1.2, max(values %at) * 1.2);
	my @all = map { $_->{median} } @rows;
	my $wide = max(@all) > 5 * min(@all);       # a logarithmic axis then
	my $bottom = $wide ? min(map { $_->{least} } @rows) / 1.1 : 0;
	my $top = max(1.1, map { $_->{greatest} } @rows) * ($wide ? 1.1 : 1.04);
	my $y_axis = $wide ? "set logscale y\nset ytics ('×0.05' 0.05, '×0.1' 0.1, '×0.2' 0.2, '×0.5' 0.5, '×1' 1, '×2' 2, '×5' 5, '×10' 10)" : "set format y '×%g'";

	my $key_rows = @series > 1 ? 2 : 1;

	return (720, 300 + 20 * $key_rows, <<EOF . 'plot ' . join(", \\\n  ", @lines) . "\n");
$data
set logscale x
set xrange [$from:$to]
set yrange [$bottom:$top]
$y_axis
set xtics ($tics)
set grid ytics noxtics
set xlabel ${\quoted($axis)}
set ylabel ${\quoted($unit)} offset 1
set arrow from graph 0, first 1 to graph 1, first 1 nohead linecolor rgb '$theme->{faint}' linewidth 1.5
set tmargin @{[ 1.2 + 1.4 * $key_rows ]}
set bmargin 3.5
set lmargin 9
set rmargin 5
set key at screen 0.08, screen 0.985 left top vertical maxrows $key_rows Left reverse samplen 2 width 3
EOF
}

# Local : routed over the planner's cost.
sub break_even_plot
{
	my ($theme, $results) = @_;
	my @rows = of_kind($results, ['break_even'], 'break_even');
	return unless @rows;

	my ($data, $i, @lines) = ('', 0);
	for my $load (qw(busy idle))
	{
		for my $shape (qw(aggregate rows))
		{
			my $colour = $theme->{lines}[ $load eq 'busy' ? 0 : 1 ];
			my $dash = $shape eq 'rows' ? 'dashtype 2' : '';
			$data .= block("line$i", map { [ @$_{qw(cost ratio)} ] } grep { $_->{load} eq $load && $_->{shape} eq $shape } @rows);
			push @lines, "\$line$i using 1:2 with linespoints pointtype 7 pointsize 0.5 linewidth 2.5 $dash linecolor rgb '$colour' title "
			  . quoted("$load primary, " . ($shape eq 'rows' ? 'all rows returned' : 'aggregate'));
			$i++;
		}
	}
	return (720, 400, <<EOF . 'plot ' . join(", \\\n  ", @lines) . "\n");
$data
set logscale xy
set xrange [6:50000]
set ytics ('×1/8' 0.125, '×1/4' 0.25, '×1/2' 0.5, '×1' 1, '×2' 2, '×4' 4)
set yrange [0.1:5]
set xtics ('10' 10, '100' 100, '1,000' 1000, '10,000' 10000)
set xlabel "the planner's cost of the query"
set ylabel 'how many times as fast routed'
set arrow from graph 0, first 1 to graph 1, first 1 nohead linecolor rgb '$theme->{faint}' linewidth 1.5
set arrow from 1000, graph 0 to 1000, graph 1 nohead linecolor rgb '$theme->{lines}[2]' linewidth 1.5 dashtype 3
set label 'route_min_cost' at 1060, 0.115 textcolor rgb '$theme->{lines}[2]'
set tmargin 4
set bmargin 3.5
set lmargin 9
set rmargin 3
set key at screen 0.08, screen 0.985 left top vertical maxrows 2 Left reverse samplen 3 width 3
EOF
}

# --- stale reads -------------------------------------------------------------

my %title = (own => 'Reads after an own write', other => "Reads after another session's write");

# Colour of a label: the extension's, or that of others.
sub colour_of
{
	my ($theme, $label) = @_;

	return $theme->{bad} if $label =~ /^pgpool/;
	return $theme->{other} if $label =~ /^(primary only|replicas, directly|asynchronous|remote_apply|reads at the primary)/;
	return $theme->{good};
}

# How much is stale against how much gets done. What is never stale has its name below the line.
sub stale_plot
{
	my ($theme, $results) = @_;
	my @rows = of_kind($results, ['measure'], 'stale_reads');
	return unless @rows;

	my ($panels, $data) = ('', '');
	for my $group (qw(own other))
	{
		my (%of, @plots);
		$of{ $_->{label} }{ $_->{what} } = $_ for grep { $_->{group} eq $group } @rows;
		my @points = map { { label => $_, x => $of{$_}{throughput}, y => $of{$_}{stale}, colour => colour_of($theme, $_) } } sort keys %of;
		for my $i (0 .. $#points)
		{
			my ($x, $y, $colour) = @{ $points[$i] }{qw(x y colour)};
			$data .= block("$group$i", [ $x->{median}, $y->{median}, @$x{qw(least greatest)}, @$y{qw(least greatest)} ]);
			push @plots, "\$$group$i using 1:2:3:4:5:6 with xyerrorbars pointtype 0 linewidth 1 linecolor rgb '$theme->{other}' notitle",
			  "\$$group$i using 1:2 with points pointtype 7 pointsize 0.8 linecolor rgb '$colour' notitle";
		}
		$panels .= join("\n", 'unset label', 'unset arrow', "set title " . quoted($title{$group}),
			"set arrow from graph 0, first 0 to graph 1, first 0 nohead linecolor rgb '$theme->{faint}' linewidth 1.5",
			labels_above($theme, grep { $_->{y}{median} >= 3 } @points),
			labels_below($theme, grep { $_->{y}{median} < 3 } @points)) . "\nplot " . join(", \\\n  ", @plots) . "\n";
	}
	my @kinds = ([ 'plain PostgreSQL', 'other', 0.06 ], [ 'pgpool-II', 'bad', 0.23 ], [ 'this extension', 'good', 0.34 ]);
	my $legend = join "\n", 'unset label', 'unset arrow',
	  map { "set label '● $_->[0]' at screen $_->[2], screen 0.965 textcolor rgb '$theme->{$_->[1]}'" } @kinds;
	$panels =~ s/^unset label\nunset arrow$/$legend/m;

	return (1000, 600, $data . <<EOF . $panels . "unset multiplot\n");
set multiplot layout 1,2 margins 0.06,0.99,0.1,0.87 spacing 0.08
set xrange [0:1.35]
set yrange [-70:100]
set ytics 0,20,100
set xtics 0,0.25,1.25
set grid xtics ytics
set xlabel 'throughput : that of the primary alone'
set ylabel 'stale reads, %' offset 1
EOF
}

# Names right of their points, pushed apart.
sub labels_above
{
	my ($theme, @points) = @_;
	my ($last, @labels);

	for my $point (sort { $b->{y}{median} <=> $a->{y}{median} } @points)
	{
		my ($x, $y) = ($point->{x}{median}, $point->{y}{median} + 3);
		$y = $last - 6 if defined $last && $y > $last - 6;
		$last = $y;
		(my $name = $point->{label}) =~ s/^pgpool-II, //;
		push @labels, "set label " . quoted($name) . " at $x, $y offset 0.8,0 textcolor rgb '$point->{colour}' font ',12'";
	}
	return @labels;
}

# Names hanging from the line of no stale reads, side by side.
sub labels_below
{
	my ($theme, @points) = @_;
	my ($last, @labels);

	for my $point (sort { $a->{x}{median} <=> $b->{x}{median} } @points)
	{
		my $x = $point->{x}{median};
		my $at = defined $last && $x < $last + 0.07 ? $last + 0.07 : $x;
		$last = $at;
		(my $name = $point->{label}) =~ s/^pgpool-II, //;
		push @labels, "set arrow from $x, -1 to $at, -5 nohead linecolor rgb '$point->{colour}' linewidth 1",
		  "set label " . quoted($name) . " at $at, -8 rotate by -60 textcolor rgb '$point->{colour}' font ',12'";
	}
	return @labels;
}

# Two bars for each kind of reader; what is written beside stands at the right.
sub hopping_plot
{
	my ($theme, $results) = @_;
	my @rows = of_kind($results, ['measure'], 'remote_apply');
	return unless @rows;

	my (%of, @stale, @backwards, @tics, @labels);
	$of{ $_->{label} }{ $_->{what} } = $_ for @rows;
	my $y = 0;
	for my $label (uniq map { $_->{label} } @rows)
	{
		$y--;
		push @stale, [ @{ $of{$label}{stale} }{qw(median least greatest)}, $y + 0.18 ];
		push @backwards, [ @{ $of{$label}{backwards} }{qw(median least greatest)}, $y - 0.18 ];
		push @tics, quoted("$label  ") . " $y";
		push @labels, "set label " . quoted(sprintf '%.2g', $of{$label}{writes}{median}) . " at graph 1.1, first $y center textcolor rgb '$theme->{text}'",
		  "set label " . quoted(sprintf '%.2g', $of{$label}{reads}{median}) . " at graph 1.26, first $y center textcolor rgb '$theme->{text}'";
	}
	my $most = 1.08 * max(10, map { $_->[2] } @stale, @backwards);

	return (900, 130 + 36 * @tics, <<EOF);
@{[ block('stale', @stale) ]}
@{[ block('backwards', @backwards) ]}
@{[ join "\n", @labels ]}
set label "writes" at graph 1.1, graph 1 offset 0,0.7 center textcolor rgb '$theme->{faint}'
set label "reads" at graph 1.26, graph 1 offset 0,0.7 center textcolor rgb '$theme->{faint}'
set label "beside asynchronous" at graph 1.18, graph 1 offset 0,2 center textcolor rgb '$theme->{faint}'
set xrange [0:$most]
set yrange [@{[ $y - 0.6 ]}:-0.4]
set ytics (@{[ join ', ', @tics ]})
set grid xtics noytics
set lmargin 42
set rmargin 20
set tmargin 4
set bmargin 3.5
set xlabel 'of all reads, %'
set key at screen 0.01, screen 0.985 left top horizontal Left reverse samplen 1
plot \$stale using 1:4:(0):1:(\$4-0.16):(\$4+0.16) with boxxyerror fillstyle solid noborder linecolor rgb '$theme->{bad}' title 'stale', \\
  \$backwards using 1:4:(0):1:(\$4-0.16):(\$4+0.16) with boxxyerror fillstyle solid noborder linecolor rgb '$theme->{lines}[3]' title 'going backwards', \\
  \$stale using 1:4:2:3 with xerrorbars pointtype 0 linewidth 1.2 linecolor rgb '$theme->{text}' notitle, \\
  \$backwards using 1:4:2:3 with xerrorbars pointtype 0 linewidth 1.2 linecolor rgb '$theme->{text}' notitle
EOF
}

1;
