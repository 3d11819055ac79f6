/* A folder with log files, and one reading of it: what the tests of log files share. */
#ifndef OM_TESTS_LOGFOLDER_H
#define OM_TESTS_LOGFOLDER_H

#include "unit.h"

#include <stdbool.h>

#include "sources/logfiles.h"

/* Lines of a request of /run/<service>, whole but for the time, and as a CRI runtime writes them. */
#define FIELDS(service)              " | 200 | 1ms | 10.0.0.1 | POST /run/" service " | a1@egi.eu"
#define AT(time, service)            "[GIN-EXECUTIONS-LOGGER] 2026-05-01T" time "Z" FIELDS(service) "\n"
#define CRI(time, stream, tag, rest) "2026-05-01T" time "Z " stream " " tag " " rest "\n"
/* At the very start of the range: with it nothing is missing before the first line. */
#define FIRST        AT("00:00:00", "first")
#define ACCESS(path) "::1 - - [01/May/2026:00:00:00 +0000] \"GET " path " HTTP/1.1\" 200\n"

enum {
    START = 1777593600, /* 2026-05-01T00:00:00Z */
    END = START + 86400 - 1,
    NOW = START + 100000,
    LINE_MAX_BYTES = 65536,
};

/* One folder with log files and one reading of them. */
struct fixture {
    char folder[64], globs[512];
    struct arena *arena;
    struct source_context context;
    struct logline_rules rules;
    struct usage *usage;
    struct source_status status;
    struct logfiles_tally tally;
    struct job *job;
};

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
/* The same with a memory: reading_run() then reads twice, and both readings must give the same. */
#define TEST_REMEMBERING(name)                                                                               \
    {                                                                                                        \
#name " (remembering)", name, set_up_remembering, tear_down, NULL                                    \
    }

int set_up(void **state);
int set_up_remembering(void **state);
int tear_down(void **state);

/* Files by their names in the folder. Whatever writes leaves a file that was last written to an hour before
 * NOW. */
const char *folder_path(struct fixture *f, const char *name);
void folder_age(struct fixture *f, const char *name, int seconds); /* written to so long before NOW */
void folder_write(struct fixture *f, const char *name, int flags,
                  struct text text); /* with flags of open() */
void folder_put(struct fixture *f, const char *name, const char *text);
void folder_append(struct fixture *f, const char *name, const char *text);
void folder_put_gzip(struct fixture *f, const char *name, struct text text); /* a member, appended */
int64_t folder_size(struct fixture *f, const char *name);
void folder_read(struct fixture *f, const char *name, char *to, size_t size);
void folder_cut(struct fixture *f, const char *name, int64_t size);
void folder_move(struct fixture *f, const char *from, const char *to);

struct text folder_noise(struct fixture *f, size_t bytes); /* lines that do not count and do not pack well */
struct text folder_letters(struct fixture *f, size_t count); /* a long word */

/* Reads the files that globs, relative to the folder and separated by commas, name. */
void reading_begin(struct fixture *f, const char *names);
enum job_state reading_step(struct fixture *f);
void reading_finish(struct fixture *f);
void reading_run(struct fixture *f, const char *names);
/* From nothing again, but for what is remembered. */
void reading_forget(struct fixture *f);
/* Requests of a service; of all: NULL. What several readings brought adds up. */
uint64_t reading_count(const struct fixture *f, const char *service);

void assert_notes(const struct fixture *f, enum status_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void assert_ok(const struct fixture *f);

size_t open_descriptors(void);

#endif
