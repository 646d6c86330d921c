/*-------------------------------------------------------------------------
 *
 * stale_reads.c
 *	  A client that counts how many of its reads are stale, and how many go
 *	  backwards, while it writes and reads as fast as it can.
 *
 *		stale_reads [OPTION...] after-write | hopping
 *
 *		-w CONNINFO		where writes go
 *		-r CONNINFO		where reads go; may be given up to MAX_NODES times.
 *						Without it reads go over the connection of the writes
 *		-c N			clients, a thread each (8)
 *		-s N			seconds (5)
 *		-k N			reads after each write (4)
 *		-t				hand the session's token on, to the connection that reads
 *
 * There is a table registers(id int, v bigint) with an id for each client, from 1
 * on.  A register has one writer, who writes growing numbers.  A read is stale if it
 * shows less than a number whose write had been acknowledged before the read was
 * sent.  It goes backwards if it shows less than the client's read before it.  Both
 * are decided by the values alone: no clock and no server is asked.
 *
 * after-write: each client writes its register, waits for the acknowledgement, and
 * reads it K times.  If there are several -r, clients are dealt out to them.
 *
 * hopping: each register has a writer, who does nothing else, and a reader, who
 * goes to a connection drawn at random for each read.
 *
 * Statements go by the simple protocol, the one at which proxies are best.  The
 * result is a line "reads N stale N backwards N writes N seconds S".
 *
 *-------------------------------------------------------------------------
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#define MAX_NODES 8
#define MAX_TOKEN 256

/* What was asked for.  Written before the threads start. */
static struct
{
	bool		is_hopping;
	const char *write_to;
	const char *read_from[MAX_NODES];
	int			nodes;			/* members of read_from */
	int			clients;
	int			seconds;
	int			reads_per_write;
	bool		hands_token_on;
}			asked = {.clients = 8,.seconds = 5,.reads_per_write = 4};

/* A register, and what is counted of it.  Only "acknowledged" is shared. */
typedef struct
{
	int			id;
	_Atomic long long acknowledged; /* highest number whose write has returned */
	long long	last_read;		/* what the read before has shown; -1: none */
	char		token[MAX_TOKEN];	/* the session's newest, if handed on */
	unsigned int seed;
	long		reads;
	long		stale;
	long		backwards;
	long		writes;
} Register;

/* A connection, and the token that it was handed last. */
typedef struct
{
	PGconn	   *pg;
	char		token[MAX_TOKEN];
} Link;

static pthread_barrier_t all_connected;
static _Atomic double deadline; /* seconds of the monotonic clock */

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "stale_reads: %s: %s\n", what, why);
	exit(1);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* --- statements ---------------------------------------------------------- */

/* Warnings, that a level promises less than it could here, would flood a terminal. */
static void
ignore_notice(void *arg, const PGresult *notice)
{
	(void) arg;
	(void) notice;
}

static Link
connect_to(const char *conninfo)
{
	Link		link = {PQconnectdb(conninfo), ""};

	if (PQstatus(link.pg) != CONNECTION_OK)
		fail("can't connect", PQerrorMessage(link.pg));
	PQsetNoticeReceiver(link.pg, ignore_notice, NULL);
	return link;
}

/* Runs a statement; returns the number that its only row holds, if it has one. */
static long long
run(Link *link, const char *statement)
{
	PGresult   *result = PQexec(link->pg, statement);
	long long	value = -1;

	switch (PQresultStatus(result))
	{
		case PGRES_COMMAND_OK:
			break;
		case PGRES_TUPLES_OK:
			if (PQntuples(result) != 1)
				fail(statement, "not one row");
			value = atoll(PQgetvalue(result, 0, 0));
			break;
		default:
			fail(statement, PQerrorMessage(link->pg));
	}
	PQclear(result);
	return value;
}

/* Remembers the token that the server has reported last on this link. */
static void
take_token(Link *link, char *token)
{
	const char *reported = PQparameterStatus(link->pg, "consistency.token");

	if (!asked.hands_token_on)
		return;
	if (reported == NULL || strlen(reported) >= MAX_TOKEN)
		fail("consistency.token", "the server reports none");
	strcpy(link->token, reported);
	strcpy(token, reported);
}

/* Hands the token to the session at the other end, unless that had it last. */
static void
hand_token(Link *link, const char *token)
{
	char		statement[MAX_TOKEN + 64];

	if (!asked.hands_token_on || token[0] == '\0' || strcmp(link->token, token) == 0)
		return;
	snprintf(statement, sizeof(statement), "SET consistency.token = '%s'", token);
	run(link, statement);
	strcpy(link->token, token);
}

/* Writes the next number; it counts as written once the server has said so. */
static void
write_next(Link *link, Register *r)
{
	long long	next = r->acknowledged + 1;
	char		statement[128];

	snprintf(statement, sizeof(statement), "UPDATE registers SET v = %lld WHERE id = %d", next, r->id);
	run(link, statement);
	r->acknowledged = next;
	r->writes++;
}

/* Reads the register, and judges what it shows. */
static void
read_and_judge(Link *link, Register *r)
{
	long long	at_least = r->acknowledged;
	long long	value;
	char		statement[128];

	snprintf(statement, sizeof(statement), "SELECT v FROM registers WHERE id = %d", r->id);
	value = run(link, statement);
	r->reads++;
	r->stale += value < at_least;
	r->backwards += value < r->last_read;
	r->last_read = value;
}

/* --- clients ------------------------------------------------------------- */

static void *
write_and_read(void *arg)
{
	Register   *r = arg;
	bool		is_same = asked.nodes == 0;
	Link		writer = connect_to(asked.write_to);
	Link		other = {NULL, ""};
	Link	   *reader = &writer;

	if (!is_same)
	{
		other = connect_to(asked.read_from[r->id % asked.nodes]);
		reader = &other;
	}
	pthread_barrier_wait(&all_connected);
	while (now() < deadline)
	{
		write_next(&writer, r);
		take_token(&writer, r->token);
		hand_token(reader, r->token);
		for (int i = 0; i < asked.reads_per_write; i++)
			read_and_judge(reader, r);
	}
	return NULL;
}

static void *
only_write(void *arg)
{
	Link		writer = connect_to(asked.write_to);

	pthread_barrier_wait(&all_connected);
	while (now() < deadline)
		write_next(&writer, arg);
	return NULL;
}

static void *
read_hopping(void *arg)
{
	Register   *r = arg;
	Link		links[MAX_NODES];

	for (int i = 0; i < asked.nodes; i++)
		links[i] = connect_to(asked.read_from[i]);
	pthread_barrier_wait(&all_connected);
	while (now() < deadline)
	{
		Link	   *link = &links[rand_r(&r->seed) % asked.nodes];

		hand_token(link, r->token);
		read_and_judge(link, r);
		take_token(link, r->token);
	}
	return NULL;
}

/* Numbers go on from what the register holds, as the run before left it. */
static void
begin_register(Link *link, Register *r, int id)
{
	char		statement[128];

	memset(r, 0, sizeof(*r));
	r->id = id;
	r->seed = id;
	r->last_read = -1;
	snprintf(statement, sizeof(statement), "UPDATE registers SET v = v WHERE id = %d RETURNING v", id);
	r->acknowledged = run(link, statement);
}

static void
start(pthread_t *thread, void *(*client) (void *), Register *r)
{
	if (pthread_create(thread, NULL, client, r) != 0)
		fail("pthread_create", "no thread");
}

static void
run_clients(Register *registers)
{
	int			threads = 0;
	pthread_t  *thread = calloc(asked.clients * 2, sizeof(pthread_t));
	double		begun;
	Register	sum = {0};

	pthread_barrier_init(&all_connected, NULL, asked.clients * (asked.is_hopping ? 2 : 1) + 1);
	for (int i = 0; i < asked.clients; i++)
	{
		if (!asked.is_hopping)
			start(&thread[threads++], write_and_read, &registers[i]);
		else
		{
			start(&thread[threads++], only_write, &registers[i]);
			start(&thread[threads++], read_hopping, &registers[i]);
		}
	}
	deadline = 1e18;			/* until all are connected */
	pthread_barrier_wait(&all_connected);
	begun = now();
	deadline = begun + asked.seconds;
	while (threads > 0)
		pthread_join(thread[--threads], NULL);
	for (int i = 0; i < asked.clients; i++)
	{
		sum.reads += registers[i].reads;
		sum.stale += registers[i].stale;
		sum.backwards += registers[i].backwards;
		sum.writes += registers[i].writes;
	}
	printf("reads %ld stale %ld backwards %ld writes %ld seconds %.3f\n",
		   sum.reads, sum.stale, sum.backwards, sum.writes, now() - begun);
	free(thread);
}

/* --- the command line ---------------------------------------------------- */

static void
read_options(int argc, char **argv)
{
	int			option;

	while ((option = getopt(argc, argv, "w:r:c:s:k:t")) != -1)
	{
		switch (option)
		{
			case 'w':
				asked.write_to = optarg;
				break;
			case 'r':
				if (asked.nodes == MAX_NODES)
					fail("-r", "too many");
				asked.read_from[asked.nodes++] = optarg;
				break;
			case 'c':
				asked.clients = atoi(optarg);
				break;
			case 's':
				asked.seconds = atoi(optarg);
				break;
			case 'k':
				asked.reads_per_write = atoi(optarg);
				break;
			case 't':
				asked.hands_token_on = true;
				break;
			default:
				exit(2);
		}
	}
	if (optind != argc - 1 || asked.write_to == NULL || asked.clients < 1 || asked.seconds < 1)
		fail("usage", "stale_reads [OPTION...] after-write | hopping");
	asked.is_hopping = strcmp(argv[optind], "hopping") == 0;
	if (!asked.is_hopping && strcmp(argv[optind], "after-write") != 0)
		fail(argv[optind], "no such workload");
	if (asked.is_hopping && asked.nodes == 0)
		fail("hopping", "say where to read, by -r");
}

int
main(int argc, char **argv)
{
	Register   *registers;
	Link		link;

	read_options(argc, argv);
	registers = calloc(asked.clients, sizeof(Register));
	link = connect_to(asked.write_to);
	for (int i = 0; i < asked.clients; i++)
		begin_register(&link, &registers[i], i + 1);
	PQfinish(link.pg);
	run_clients(registers);
	free(registers);
	return 0;
}
