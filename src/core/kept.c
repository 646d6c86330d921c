/*-------------------------------------------------------------------------
 *
 * kept.c
 *	  Shared memory that outlives crashes and restarts, for statistics.
 *
 * The file is written and read as pg_stat_statements does it with its own.  It
 * is of use to the same version only, and isn't read by any other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/mman.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "storage/ipc.h"

#include "core/kept.h"
#include "core/shmem.h"

#define KEPT_MAX_AREAS 8
#define KEPT_FILE PGSTAT_STAT_PERMANENT_DIRECTORY "/consistency.stat"

/* raise the number when an area's layout changes and its size may not */
#define KEPT_BUILD "consistency " CONSISTENCY_VERSION ", layout 3"

typedef struct KeptArea
{
	const char *name;
	Size		size;
	void	   *address;
} KeptArea;

static KeptArea areas[KEPT_MAX_AREAS];
static int	nareas = 0;

/* a segment for the sake of being told of each start and restart */
static void *started_segment;

static void started(void *segment);
static void load(void);
static bool read_file(FILE *file);
static void save(int code, Datum arg);
static bool write_file(FILE *file);
static pg_crc32c checksum(void);

/* Only while the library is being preloaded. */
void
kept_init(void)
{
	shmem_register("consistency kept", sizeof(int), 0, &started_segment, started);
}

/*
 * kept_register
 *		An area of this size, zeroed.  Only while the library is being preloaded.
 */
void *
kept_register(const char *name, Size size)
{
	void	   *address = mmap(NULL, size, PROT_READ | PROT_WRITE,
							   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (address == MAP_FAILED)
		ereport(FATAL,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not map %zu bytes for statistics: %m", size)));
	if (nareas >= KEPT_MAX_AREAS)
		elog(ERROR, "too many areas of kept memory");
	areas[nareas++] = (KeptArea)
	{
		name, size, address
	};
	return address;
}

/* The postmaster sets up shared memory: for the first time, or after a crash. */
static void
started(void *segment)
{
	static bool loaded = false;

	if (!loaded)
		load();
	loaded = true;
	on_shmem_exit(save, (Datum) 0);
}

/* What doesn't fit is no loss, and neither is a file that can't be read. */
static void
load(void)
{
	FILE	   *file = AllocateFile(KEPT_FILE, PG_BINARY_R);

	if (file == NULL)
	{
		if (errno != ENOENT)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not read file \"%s\": %m", KEPT_FILE)));
		return;
	}
	if (!read_file(file))
	{
		for (int i = 0; i < nareas; i++)
			memset(areas[i].address, 0, areas[i].size);
		ereport(LOG,
				(errmsg("statistics in file \"%s\" are of another version, incomplete or damaged, and begin anew",
						KEPT_FILE)));
	}
	FreeFile(file);
	unlink(KEPT_FILE);
}

static bool
read_file(FILE *file)
{
	char		build[sizeof(KEPT_BUILD)];
	pg_crc32c	expected;

	if (fread(build, sizeof(build), 1, file) != 1 || memcmp(build, KEPT_BUILD, sizeof(build)) != 0)
		return false;
	for (int i = 0; i < nareas; i++)
	{
		Size		size;

		if (fread(&size, sizeof(size), 1, file) != 1 || size != areas[i].size ||
			fread(areas[i].address, size, 1, file) != 1)
			return false;
	}
	/* Readers trust what is there: that texts end, for one. */
	return fread(&expected, sizeof(expected), 1, file) == 1 && EQ_CRC32C(expected, checksum());
}

/* The server is shut down, unless code tells otherwise. */
static void
save(int code, Datum arg)
{
	FILE	   *file;

	if (code != 0)
		return;
	file = AllocateFile(KEPT_FILE ".tmp", PG_BINARY_W);
	if (file != NULL)
	{
		bool		written = write_file(file);

		if (FreeFile(file) == 0 && written)
		{
			(void) durable_rename(KEPT_FILE ".tmp", KEPT_FILE, LOG);
			return;
		}
	}
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("could not write file \"%s\": %m", KEPT_FILE ".tmp")));
	unlink(KEPT_FILE ".tmp");
}

static bool
write_file(FILE *file)
{
	pg_crc32c	sum = checksum();

	if (fwrite(KEPT_BUILD, sizeof(KEPT_BUILD), 1, file) != 1)
		return false;
	for (int i = 0; i < nareas; i++)
	{
		if (fwrite(&areas[i].size, sizeof(areas[i].size), 1, file) != 1 ||
			fwrite(areas[i].address, areas[i].size, 1, file) != 1)
			return false;
	}
	return fwrite(&sum, sizeof(sum), 1, file) == 1;
}

/* Of all areas.  Nobody else is there any more, or yet. */
static pg_crc32c
checksum(void)
{
	pg_crc32c	sum;

	INIT_CRC32C(sum);
	for (int i = 0; i < nareas; i++)
		COMP_CRC32C(sum, areas[i].address, areas[i].size);
	FIN_CRC32C(sum);
	return sum;
}
