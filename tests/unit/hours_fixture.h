/* A report that wants hours, without the report: settings, a context, the job, and what it left behind. */
#ifndef OM_TESTS_HOURS_FIXTURE_H
#define OM_TESTS_HOURS_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "sources/job.h"
#include "sources/prometheus.h"

struct fixture {
    struct arena *arena;
    struct settings *settings;
    struct source_context context; /* 2025-12-31T23:00:00Z to 2026-01-01T00:00:00.999999999Z, 30 s to go */
    struct hours_query query;
    struct hours hours;
    struct job *job;
};

/* Settings that are not the default. */
struct variables {
    const char *url, *cpu, *token;
};

void set_up(struct fixture *f, const struct variables *variables);
void tear_down(struct fixture *f);

/* Starts the job over one service, "yolo"; over these parts, which must live as long. */
void start(struct fixture *f, bool cpu, bool gpu);
void start_parts(struct fixture *f, bool cpu, bool gpu, const struct hours_part *parts, size_t count);

/* As a report does it: until the job is done or its deadline passes. */
void run_to_the_end(struct fixture *f);

/* "level CPU GPU notes", with "read" before the notes when something was. */
const char *outcome(struct fixture *f);

#endif
