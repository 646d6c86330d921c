# consistency: every query gets the consistency that it declares.
#
# make, make install, make installcheck   as with every PostgreSQL extension
# make test                               installs what is missing, then tests everything
# make peer-suite                         PostgreSQL's own regression tests, with the extension
# make soak                               attacks for five minutes, with other seeds each time
# make fuzz                               tries the CRDT types at random for five minutes
# make proof                              attacks the levels under faults for ten minutes, and judges
# make converge                           attacks servers that all take writes for five minutes, and judges
# make demo, make demo-stop               a primary and two replicas to look at
# make bench                              ratios against peers, written up in docs (after make install)
# make indent                             lays out the C sources as pgindent does

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

MODULE_big = consistency
EXTENSION = consistency
PGFILEDESC = "consistency - a declared consistency for every query"

# The table of contents: one folder a stage, in the order a query passes them.
OBJS = \
	src/init.o \
	src/core/errors.o \
	src/core/attempt.o \
	src/core/extension.o \
	src/core/guc.o \
	src/core/kept.o \
	src/core/nap.o \
	src/core/owner.o \
	src/core/position.o \
	src/core/shmem.o \
	src/core/violations.o \
	src/core/wait_event.o \
	src/core/weaken.o \
	src/session/level.o \
	src/session/quorum.o \
	src/session/read_quorum.o \
	src/session/policy.o \
	src/session/policy_cache.o \
	src/session/prepared.o \
	src/session/lexer.o \
	src/session/hint.o \
	src/session/declaration.o \
	src/session/token.o \
	src/session/commits.o \
	src/session/commit_position.o \
	src/session/session.o \
	src/requirement/requirement.o \
	src/requirement/timeline.o \
	src/requirement/barrier.o \
	src/requirement/fence.o \
	src/requirement/ticket.o \
	src/node/node_catalog.o \
	src/node/node_counters.o \
	src/node/node_table.o \
	src/node/node_reader.o \
	src/node/node_state.o \
	src/node/node_status.o \
	src/node/stat_nodes.o \
	src/node/node_link.o \
	src/node/node_lag.o \
	src/node/node_freshness.o \
	src/node/node_members.o \
	src/node/node_votes.o \
	src/node/node_watch.o \
	src/node/node_monitor.o \
	src/node/node_choice.o \
	src/node/receiver.o \
	src/node/applied.o \
	src/node/membership.o \
	src/exec/nesting.o \
	src/exec/statement_id.o \
	src/exec/utility_hook.o \
	src/exec/planner_hook.o \
	src/exec/about_server.o \
	src/exec/eligible.o \
	src/exec/remote_sql.o \
	src/exec/routed_plan.o \
	src/exec/enforce.o \
	src/exec/ahead.o \
	src/exec/meet.o \
	src/exec/quorum_read.o \
	src/exec/meet_leader.o \
	src/exec/meet_failure.o \
	src/exec/replay_wait.o \
	src/exec/replay_pace.o \
	src/exec/writes.o \
	src/exec/forward.o \
	src/exec/forward_plan.o \
	src/exec/forward_text.o \
	src/exec/client_transaction.o \
	src/exec/forward_scan.o \
	src/exec/forward_statement.o \
	src/exec/forward_transaction.o \
	src/exec/forward_release.o \
	src/exec/forward_hint.o \
	src/exec/forward_own_lock.o \
	src/exec/forward_hold.o \
	src/exec/level_text.o \
	src/exec/forward_utility.o \
	src/exec/forward_copy.o \
	src/exec/forward_execute.o \
	src/exec/fallback.o \
	src/exec/routed_scan.o \
	src/exec/route.o \
	src/exec/routed_remote.o \
	src/exec/node_connection.o \
	src/exec/write_quorum.o \
	src/exec/acknowledge.o \
	src/exec/replicas.o \
	src/exec/node_ask.o \
	src/exec/check.o \
	src/exec/check_collect.o \
	src/exec/check_node.o \
	src/exec/check_cluster.o \
	src/remote/connect.o \
	src/remote/connection.o \
	src/remote/connection_limit.o \
	src/remote/cancel.o \
	src/remote/remote_query.o \
	src/remote/remote_prepared.o \
	src/remote/remote_record.o \
	src/remote/remote_copy.o \
	src/remote/remote_settings.o \
	src/remote/settings_report.o \
	src/remote/settings_return.o \
	src/remote/remote_row.o \
	src/remote/remote_error.o \
	src/stats/last_read.o \
	src/stats/wait_histogram.o \
	src/stats/policy_stats.o \
	src/stats/read_stats.o \
	src/stats/stat_reads.o \
	src/stats/stat_violations.o \
	src/stats/stat_reset.o \
	src/advise/statement.o \
	src/advise/recommend.o \
	src/advise/recommend_function.o \
	src/advise/preset.o \
	src/advise/advise.o \
	src/advise/advise_collect.o \
	src/advise/advise_statements.o \
	src/advise/advise_cost.o \
	src/advise/advise_table.o \
	src/advise/advise_declared.o \
	src/crdt/wire.o \
	src/crdt/crdt.o \
	src/crdt/json.o \
	src/crdt/functions.o \
	src/crdt/counts.o \
	src/crdt/merge_aggregate.o \
	src/crdt/replica_id.o \
	src/crdt/clock.o \
	src/crdt/vector.o \
	src/crdt/dots.o \
	src/crdt/vclock.o \
	src/crdt/counter.o \
	src/crdt/gcounter.o \
	src/crdt/pncounter.o \
	src/crdt/rights.o \
	src/crdt/bcounter.o \
	src/crdt/lww_register.o \
	src/crdt/dotted_values.o \
	src/crdt/mv_register.o \
	src/crdt/ew_flag.o \
	src/crdt/dw_flag.o \
	src/crdt/set.o \
	src/crdt/set_expanded.o \
	src/crdt/set_functions.o \
	src/crdt/set_index.o \
	src/crdt/gset.o \
	src/crdt/twopset.o \
	src/crdt/orset.o \
	src/crdt/map.o \
	src/crdt/map_json.o \
	src/crdt/map_functions.o \
	src/crdt/ormap.o \
	src/crdt/row_version.o \
	src/crdt/row_version_bytes.o \
	src/crdt/row_version_json.o \
	src/crdt/row_version_functions.o \
	src/converge/table_rules.o \
	src/converge/row_text.o \
	src/converge/conflict.o \
	src/converge/conflict_counters.o \
	src/converge/conflict_log.o \
	src/converge/conflict_queue.o \
	src/converge/skipped_updates.o \
	src/converge/merge_function.o \
	src/converge/row_merge.o \
	src/converge/key_lock.o \
	src/converge/key_operator.o \
	src/converge/row_store.o \
	src/converge/tombstone.o \
	src/converge/local_change.o \
	src/converge/replicated_change.o \
	src/converge/merge_change.o \
	src/converge/merge_row.o \
	src/converge/attach_check.o \
	src/converge/attach.o \
	src/converge/member.o \
	src/converge/guard_option.o \
	src/converge/ownership.o \
	src/converge/owner_forward.o \
	src/converge/owner_transaction.o \
	src/converge/optimistic_lock.o \
	src/verify/row_digest.o \
	src/verify/descent.o \
	src/verify/heap_range.o \
	src/verify/table_access.o \
	src/verify/node_snapshot.o \
	src/verify/peer.o \
	src/verify/comparison.o \
	src/verify/verification.o \
	src/verify/verify_nodes.o \
	src/group/group.o \
	src/group/peers.o \
	src/group/own_session.o \
	src/group/member_command.o \
	src/group/check_attached.o \
	src/group/check_group.o \
	src/group/declare_member.o \
	src/group/drop_guard.o \
	src/group/subscribe_member.o \
	src/group/leave_member.o \
	src/group/group_report.o \
	src/group/join_group.o \
	src/group/leave_group.o \
	src/group/key_scan.o \
	src/group/key_state.o \
	src/group/compare_peer.o \
	src/group/settle.o \
	src/group/compare_arguments.o \
	src/group/compare.o \
	src/group/comparisons.o \
	src/group/repair.o \
	src/group/tombstone_purge.o

# What the modules declare to SQL, in the same order; joined to one script.
stages = core session requirement node exec remote stats advise crdt converge verify group
SQL_PARTS = $(foreach stage,$(filter-out crdt converge verify group,$(stages)),$(sort $(wildcard src/$(stage)/*.sql))) \
	$(crdt_sql) $(foreach stage,converge verify group,$(sort $(wildcard src/$(stage)/*.sql)))

# Column types declare what they all have by one template, sets by another one, then
# what is their own.
crdt_types = gcounter pncounter bcounter lww_register mv_register gset twopset orset \
	ew_flag dw_flag ormap vclock row_version
crdt_sets = gset twopset orset
crdt_sql = src/crdt/merge_aggregate.sql $(crdt_types:%=src/crdt/%.type.sql) \
	$(crdt_sets:%=src/crdt/%.set.sql) \
	$(sort $(filter-out src/crdt/merge_aggregate.sql %.type.sql %.set.sql,$(wildcard src/crdt/*.sql)))

# Written in the control file and nowhere else.
version := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" consistency.control)
headers := $(wildcard src/*/*.h)

DATA = $(wildcard consistency--*--*.sql)
DATA_built = consistency--$(version).sql

PG_CPPFLAGS = -I$(srcdir)/src -I$(libpq_srcdir) -DCONSISTENCY_VERSION='"$(version)"'

# For negative controls: mechanisms can be switched off (src/core/weaken.h).
# Never for a server that somebody relies on.
ifdef CONSISTENCY_WEAKEN
PG_CPPFLAGS += -DCONSISTENCY_WEAKEN
endif
SHLIB_LINK_INTERNAL = $(libpq)

# A server loads libraries into one name space.  Our own calls are bound to our
# own functions, whatever another library calls its.
comma := ,
SHLIB_LINK = $(if $(filter linux,$(PORTNAME)),-Wl$(comma)-Bsymbolic)

REGRESS = $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test

EXTRA_CLEAN = consistency--$(version).sql.tmp $(wildcard src/crdt/*.type.sql src/crdt/*.set.sql) log/ output_iso/ tmp_check/ tmp_check_iso/

ifneq ($(wildcard $(PGXS)),)

# Bitcode for the just-in-time compiler is made where its tools are; without
# them everything else still builds and installs.
llvm_tool = $(shell sed -n 's/^$(1) *= *//p' $(dir $(PGXS))../Makefile.global)
clang := $(or $(CLANG),$(call llvm_tool,CLANG))
llvm_lto := $(call llvm_tool,LLVM_BINPATH)/llvm-lto
ifeq ($(and $(clang),$(shell command -v $(clang)),$(shell command -v $(llvm_lto))),)
override with_llvm := no
endif

include $(PGXS)

$(OBJS) $(OBJS:.o=.bc): $(headers) consistency.control Makefile

src/crdt/%.type.sql: src/crdt/type.sql.in
	sed 's/@type@/$*/g' $< >$@.tmp
	mv $@.tmp $@

src/crdt/%.set.sql: src/crdt/set.sql.in
	sed 's/@type@/$*/g' $< >$@.tmp
	mv $@.tmp $@

consistency--$(version).sql: $(SQL_PARTS) consistency.control Makefile
	{ printf '%s\n' '\echo Use "CREATE EXTENSION consistency" to load this file. \quit' && \
	  for part in $(SQL_PARTS); do printf '\n' && cat "$$part" || exit 1; done; } >$@.tmp
	mv $@.tmp $@

# What Prometheus and Grafana read is installed, too.
monitoring = $(sort $(wildcard $(srcdir)/monitoring/*))
monitoringdir = $(datadir)/consistency

.PHONY: install-monitoring uninstall-monitoring
install: install-monitoring
install-monitoring:
	$(MKDIR_P) '$(DESTDIR)$(monitoringdir)'
	$(INSTALL_DATA) $(monitoring) '$(DESTDIR)$(monitoringdir)/'

uninstall: uninstall-monitoring
uninstall-monitoring:
	rm -f $(addprefix '$(DESTDIR)$(monitoringdir)'/, $(notdir $(monitoring)))
	-rmdir '$(DESTDIR)$(monitoringdir)' 2>/dev/null

else

# No rule of PGXS's can be had.  What installs packages by itself is below.
define no_pgxs
PostgreSQL's server development files (PGXS) are not installed: install postgresql-server-dev-15, or name another pg_config with make PG_CONFIG=...
endef

.PHONY: all install installdirs installcheck check uninstall clean distclean
all install installdirs installcheck check uninstall clean distclean:
	@echo "$(no_pgxs)" >&2; exit 1

endif

# These need nothing but bash and a package manager (see CONTRIBUTING.md).
# ONLY narrows the tests, e.g. make test ONLY="regress test/t/001_preload.t".
.PHONY: test peer-suite soak fuzz proof converge demo demo-stop example examples bench indent

test:
	@bash test/run $(ONLY)

# WAYS: some of preloaded extension routed forwarded; see test/pg_regress_suite.
peer-suite:
	@bash test/pg_regress_suite $(WAYS)

# SOAK: seconds; see test/soak.
SOAK ?= 300
soak:
	@bash test/soak $(SOAK)

# FUZZ: seconds.
FUZZ ?= 300
fuzz:
	@FUZZ=$(FUZZ) bash test/fuzz/run

# PROOF: options of test/model/run.pl, e.g. make proof PROOF="--minutes 60 --soak --seed 1000".
proof:
	@bash test/proof $(PROOF)

# CONVERGE: options of test/model/converge.pl, e.g. make converge CONVERGE="--seconds 3600 --seed 1000".
converge:
	@bash test/converge $(CONVERGE)

demo:
	@bash demo/run

demo-stop:
	@bash demo/stop

# EXAMPLE: one of them, e.g. make example EXAMPLE=cart; without it they are listed.
example:
	@bash examples/run $(or $(EXAMPLE),list)

examples:
	@bash examples/run all

# BENCH names benchmarks, e.g. make bench BENCH=routed_stream; see bench/run.
bench:
	@bash bench/run $(BENCH)

indent:
	@bash tools/indent
