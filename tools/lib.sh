# What the scripts under tools/, test/, demo/ and examples/ share.  To be sourced by bash.
#
# Servers can't run as root, and shouldn't run with an administrator's rights
# anyway.  Who starts a script as root therefore gets everything that builds or
# runs done by the user "postgres", in a directory of that user's: a work
# directory that is removed at the end.  Who isn't root works as oneself, and
# only installing goes through sudo.
# shellcheck shell=bash

# The major version that everything here is made for.
pg_major=15
pg_bindir=/usr/lib/postgresql/$pg_major/bin
# Who names another PostgreSQL gets its programs, too.
if [[ -n ${PG_CONFIG:-} ]]; then
    pg_bindir=$("$PG_CONFIG" --bindir 2>/dev/null) || pg_bindir=/usr/lib/postgresql/$pg_major/bin
fi

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=$(basename "$0")

# Neither a caller's make nor a caller's PostgreSQL settings must leak in.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CDPATH PERL5LIB
for name in $(compgen -e); do
    case $name in
        PG_CONFIG | PG_TEST_TIMEOUT_DEFAULT) ;;
        PG*) unset "$name" ;;
    esac
done
unset name
export LC_ALL=C
umask 022

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
warn() { printf '%s: %s\n' "$program" "$*" >&2; }
fail() { warn "$*"; exit 1; }

# Runs a command as root.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        fail "needs root's rights and finds no sudo: $*"
    fi
}

# The user that builds and runs.  For root that is postgres, whom the server's
# packages bring along: to be called when they are installed.
run_user() {
    if ((EUID == 0)); then
        echo postgres
    else
        id -un
    fi
}

# user_command DIRECTORY COMMAND...: leaves in user_argv the command line that
# runs a command as the unprivileged user, whose home is then DIRECTORY.
user_command() {
    local dir=$1 user
    shift
    user_argv=("$@")
    if ((EUID == 0)); then
        user=$(run_user)
        user_argv=(env "HOME=$dir" "USER=$user" "LOGNAME=$user" "$@")
        if command -v setpriv >/dev/null; then
            user_argv=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --init-groups
                "${user_argv[@]}")
        else
            user_argv=(runuser -u "$user" -- "${user_argv[@]}")
        fi
    fi
}

# as_user DIRECTORY COMMAND...: runs a command as the unprivileged user in a
# directory that this user can read.
as_user() {
    local -a user_argv
    user_command "$@"
    (cd "$1" && exec "${user_argv[@]}")
}

work=
child=
half_made_demo=

# Makes the work directory, with the sources in it, and sees to its removal.
# Whatever the path of the checkout, the unprivileged user can read this copy.
make_work_dir() {
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    trap end_work EXIT
    # A server's socket lies below it, and a socket's path must be short.
    work=$(mktemp -d /tmp/consistency.XXXXXX)
    mkdir "$work/source" "$work/tmp"
    tar -C "$top" -cf - --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' \
        --exclude='./consistency--?*[0-9].sql' --exclude=./results --exclude=./tmp_check . |
        tar -C "$work/source" --no-same-owner -xf -
    chmod -R a+rX "$work"
    if ((EUID == 0)); then
        chown -R "$(run_user):" "$work"
    fi
}

# Runs a command as the unprivileged user in a session of its own, so that all
# of it can be ended, and waits for it.
supervise() {
    local status=0
    local -a user_argv
    user_command "$work" "$@"
    (
        cd "$work" &&
            exec env --default-signal=INT,QUIT "TMPDIR=$work/tmp" setsid "${user_argv[@]}"
    ) </dev/null &
    child=$!
    wait "$child" || status=$?
    child=
    return "$status"
}

# Ends every server whose data directory lies below a directory.
stop_servers_below() {
    local dir=$1 pidfile
    [[ -d $dir ]] || return 0
    find "$dir" -name postmaster.pid 2>/dev/null |
        while read -r pidfile; do
            as_user "$dir" "$pg_bindir/pg_ctl" stop -s -w -t 30 -m immediate \
                -D "${pidfile%/postmaster.pid}" </dev/null >/dev/null 2>&1 || true
        done
}

# Ends what supervise() started: politely, then not.
end_child() {
    local try
    kill -TERM -- "-$child" 2>/dev/null || return 0
    for ((try = 0; try < 100; try++)); do
        kill -0 -- "-$child" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL -- "-$child" 2>/dev/null || true
}

end_work() {
    local status=$?
    trap '' INT TERM HUP
    trap - EXIT
    if [[ -n $child ]]; then
        end_child
    fi
    if [[ -n $half_made_demo ]]; then
        stop_demo "$half_made_demo" || true
    fi
    if [[ -n $work ]]; then
        stop_servers_below "$work"
        rm -rf "$work"
    fi
    exit "$status"
}

# build_and_install [MAKE ARGUMENT...]: from the copy in the work directory.
build_and_install() {
    local config=${PG_CONFIG:-$pg_bindir/pg_config}
    supervise make -s -C "$work/source" -j"$(nproc)" "PG_CONFIG=$config" "$@" &&
        as_root make -s -C "$work/source" install "PG_CONFIG=$config" "$@"
}

# free_ports COUNT [FIRST]: ports of the loopback interface that nobody listens
# on; from FIRST upwards, or any.
free_ports() {
    perl -MIO::Socket::INET -e '
        my ($count, $first) = @ARGV;
        my @held;
        for (my $port = $first || 0; @held < $count && $port < 65536; $port++)
        {
            my $socket = IO::Socket::INET->new(LocalAddr => "127.0.0.1",
                LocalPort => $first ? $port : 0, Listen => 1, Proto => "tcp",
                ReuseAddr => 1);
            push @held, $socket if $socket;
        }
        die "no free port\n" if @held < $count;
        print join(" ", map { $_->sockport } @held), "\n";' "$@"
}

# Where the demonstration's servers live.  They outlast the script that starts
# them, so this isn't in the work directory.
demo_dir() {
    echo "/var/tmp/consistency-demo.$(run_user)"
}

# Whose is it?  Others could have made a directory of this name.
check_demo_dir() {
    local dir=$1
    if [[ -e $dir || -L $dir ]] &&
        [[ -L $dir || ! -d $dir || $(stat -c %U "$dir") != "$(run_user)" ]]; then
        fail "$dir isn't a directory of user $(run_user): remove it first"
    fi
}

# Stops the demonstration and removes what it made.
stop_demo() {
    local dir=$1 pidfile
    check_demo_dir "$dir"
    [[ -d $dir ]] || return 1
    for pidfile in "$dir"/*/data/postmaster.pid; do
        [[ -e $pidfile ]] || continue
        as_user / "$pg_bindir/pg_ctl" stop -s -w -m fast -D "${pidfile%/postmaster.pid}" \
            </dev/null || true
    done
    stop_servers_below "$dir"
    rm -rf "$dir"
}
