/* Aligned columns of plain text. Widths are counted in characters; what a terminal would take for a command
 * is replaced. */
#include <inttypes.h>

#include "caps.h"
#include "report/render.h"

#include "report/report.h"
#include "report/view.h"
#include "util/arena.h"

struct column {
    const char *heading; /* NULL in the first: the table has no headings */
    bool right;
};

enum { COLUMNS_MAX = 8 };

struct table {
    struct arena *arena;
    const struct column *columns;
    size_t column_count, cell_count;
    struct text *cells; /* row after row */
};

static struct table table_new(struct arena *arena, const struct column *columns, size_t column_count,
                              size_t rows)
{
    return (struct table){arena, columns, column_count, 0,
                          ARENA_ARRAY(arena, rows * column_count, struct text)};
}

static bool is_control(struct text character)
{
    unsigned char c = (unsigned char)character.data[0];

    if (c < ' ' || c == 0x7f)
        return true;
    /* U+0080 to U+009F */
    return character.length == 2 && c == 0xc2 && (unsigned char)character.data[1] < 0xa0;
}

/* With a question mark for every control character, and for every byte that begins no character. */
static struct text printable(struct arena *arena, struct text text)
{
    char *out = arena_alloc(arena, text.length + 1, 1);
    size_t length = 0;

    while (text.length > 0) {
        size_t count = text_utf8_length(text), step = count > 0 ? count : 1;

        if (count == 0 || is_control((struct text){text.data, count}))
            out[length++] = '?';
        else
            for (size_t i = 0; i < count; i++)
                out[length++] = text.data[i];
        text = text_skip(text, step);
    }
    return (struct text){out, length};
}

static void table_add(struct table *table, struct text cell)
{
    table->cells[table->cell_count++] = printable(table->arena, cell);
}

static void table_add_string(struct table *table, const char *cell)
{
    table_add(table, text_of(cell));
}

static void table_add_count(struct table *table, uint64_t count)
{
    table_add_string(table, arena_format(table->arena, "%" PRIu64, count));
}

static void table_add_hours(struct table *table, double hours)
{
    table_add_string(table, arena_format(table->arena, "%.2f", hours));
}

/* In characters. */
static size_t width_of(struct text text)
{
    size_t width = 0;

    for (; text.length > 0; width++)
        text = text_skip(text, text_utf8_length(text));
    return width;
}

static void add_spaces(struct buf *out, size_t count)
{
    while (count-- > 0)
        buf_add_char(out, ' ');
}

static void print_row(const struct table *table, const struct text *cells, const size_t *widths,
                      struct buf *out)
{
    size_t last = table->column_count;

    while (last > 0 && cells[last - 1].length == 0)
        last--;
    for (size_t i = 0; i < last; i++) {
        size_t padding = widths[i] - width_of(cells[i]);

        if (i > 0)
            buf_add_string(out, "  ");
        if (table->columns[i].right)
            add_spaces(out, padding);
        buf_add(out, cells[i]);
        if (!table->columns[i].right && i + 1 < last)
            add_spaces(out, padding);
    }
    buf_add_char(out, '\n');
}

static void table_print(const struct table *table, struct buf *out)
{
    size_t widths[COLUMNS_MAX] = {0}, count = table->column_count;
    bool headed = table->columns[0].heading != NULL;
    struct text headings[COLUMNS_MAX];

    for (size_t i = 0; i < count; i++) {
        headings[i] = text_of(table->columns[i].heading);
        widths[i] = headings[i].length;
    }
    for (size_t i = 0; count > 0 && i < table->cell_count; i++) {
        size_t width = width_of(table->cells[i]);

        if (width > widths[i % count])
            widths[i % count] = width;
    }
    if (headed)
        print_row(table, headings, widths, out);
    for (size_t i = 0; i < table->cell_count; i += count)
        print_row(table, table->cells + i, widths, out);
}

static bool is_short(const struct source_status *source)
{
    return source && source->level != STATUS_OK;
}

static void print_sources(struct arena *arena, const struct report *report, bool all, struct buf *out)
{
    static const struct column columns[] = {{"SOURCE", false}, {"STATUS", false}, {"NOTES", false}};
    struct table table = table_new(arena, columns, 3, SOURCE_COUNT);

    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        const struct source_status *source = report->sources[i];

        if (source == NULL || (!all && !is_short(source)))
            continue;
        table_add_string(&table, source->name);
        table_add_string(&table, status_level_name(source->level));
        table_add_string(&table, status_notes(source));
    }
    if (table.cell_count == 0)
        return;
    buf_add_char(out, '\n');
    table_print(&table, out);
}

static void print_title(struct arena *arena, const struct question *question, struct buf *out)
{
    char start[TIMESTAMP_SIZE], end[TIMESTAMP_SIZE];

    timestamp_format(question->start, start); /* they can be written: query.c */
    timestamp_format(question->end, end);
    buf_add_string(out, "Usage");
    if (question->kind == REPORT_BREAKDOWN)
        buf_format(out, " by %s", group_by_name(question->group_by));
    if (question->kind == REPORT_SERVICE)
        buf_format(out, " of %.*s", (int)question->service.length, question->service.data);
    buf_format(out, " from %s to %s", start, end);
    if (question->owner.length > 0) {
        buf_add_string(out, ", owner ");
        buf_add(out, printable(arena, question->owner));
    }
    buf_add_string(out, "\n\n");
}

static void print_summary(struct arena *arena, const struct report *report, struct buf *out)
{
    static const struct column columns[] = {{NULL, false}, {NULL, true}};
    size_t services;
    const struct view_item all = view_totals(arena, report->usage, &report->scope, &services);
    struct table table = table_new(arena, columns, 2, 16);

    table_add_string(&table, "Services deployed now");
    table_add_count(&table, report_active_services(report));
    table_add_string(&table, "Services with requests");
    table_add_count(&table, services);
    table_add_string(&table, "CPU hours");
    table_add_hours(&table, report->hours.value[HOURS_CPU]);
    table_add_string(&table, "GPU hours");
    table_add_hours(&table, report->hours.value[HOURS_GPU]);
    table_add_string(&table, "Requests");
    table_add_count(&table, view_executions(&all));
    table_add_string(&table, "  synchronous");
    table_add_count(&table, all.requests[USAGE_SYNC]);
    table_add_string(&table, "  asynchronous");
    table_add_count(&table, all.requests[USAGE_ASYNC]);
    table_add_string(&table, "Requests to exposed services");
    table_add_count(&table, all.requests[USAGE_EXPOSED]);
    table_add_string(&table, "Users");
    table_add_count(&table, all.user_count);
    table_add_string(&table, "Countries");
    table_add_count(&table, all.country_count);
    table_print(&table, out);
}

static void add_countries(struct table *table, const struct view_item *item)
{
    struct buf cell;

    buf_init(&cell, RENDER_ANSWER_MAX_BYTES);
    for (size_t i = 0; i < item->country_count; i++) {
        if (i > 0)
            buf_add_char(&cell, ' ');
        buf_add(&cell, item->countries[i].country);
        buf_format(&cell, ":%" PRIu64, item->countries[i].requests);
    }
    table_add(table, buf_text(&cell));
    buf_free(&cell);
}

static void add_users(struct table *table, const struct view_item *item)
{
    struct buf cell;

    buf_init(&cell, RENDER_ANSWER_MAX_BYTES);
    for (size_t i = 0; i < item->user_count; i++) {
        if (i > 0)
            buf_add_string(&cell, ", ");
        buf_add(&cell, item->users[i]);
    }
    table_add(table, buf_text(&cell));
    buf_free(&cell);
}

static void add_row(struct table *table, const struct view_item *item, const struct question *question)
{
    table_add(table, item->key.length > 0 ? item->key : TEXT_LITERAL("(none)"));
    if (question->group_by == GROUP_BY_USER)
        table_add_string(table, membership_of(item->key));
    table_add_count(table, view_executions(item));
    if (question->group_by == GROUP_BY_SERVICE)
        for (size_t i = 0; i < USAGE_TYPES; i++)
            table_add_count(table, item->requests[i]);
    if (question->group_by != GROUP_BY_USER)
        table_add_count(table, item->user_count);
    if (question->group_by != GROUP_BY_COUNTRY)
        add_countries(table, item);
    if (question->group_by == GROUP_BY_SERVICE && question->include_users)
        add_users(table, item);
}

static void print_breakdown(struct arena *arena, const struct report *report, struct buf *out)
{
    static const struct {
        struct column columns[COLUMNS_MAX];
        size_t count;
    } forms[] = {
        [GROUP_BY_SERVICE] = {{{"SERVICE", false},
                               {"REQUESTS", true},
                               {"SYNC", true},
                               {"ASYNC", true},
                               {"EXPOSED", true},
                               {"USERS", true},
                               {"COUNTRIES", false},
                               {"USER IDS", false}},
                              7},
        [GROUP_BY_USER] = {{{"USER", false}, {"MEMBERSHIP", false}, {"REQUESTS", true}, {"COUNTRIES", false}},
                           4},
        [GROUP_BY_COUNTRY] = {{{"COUNTRY", false}, {"REQUESTS", true}, {"USERS", true}}, 3},
    };
    const struct question *question = &report->question;
    struct view view = view_breakdown(arena, report->usage, &report->scope, question->group_by);
    bool with_users = question->group_by == GROUP_BY_SERVICE && question->include_users;
    struct table table = table_new(arena, forms[question->group_by].columns,
                                   forms[question->group_by].count + with_users, view.count);

    for (size_t i = 0; i < view.count; i++)
        add_row(&table, &view.items[i], question);
    table_print(&table, out);
}

static void add_metric(struct table *table, const struct report *report, const struct view_item *item,
                       enum metric metric)
{
    table_add_string(table, metric_name(metric));
    switch (metric) {
    case METRIC_CPU_HOURS:
        table_add_hours(table, report->hours.value[HOURS_CPU]);
        break;
    case METRIC_GPU_HOURS:
        table_add_hours(table, report->hours.value[HOURS_GPU]);
        break;
    case METRIC_REQUESTS_SYNC:
        table_add_count(table, item->requests[USAGE_SYNC]);
        break;
    case METRIC_REQUESTS_ASYNC:
        table_add_count(table, item->requests[USAGE_ASYNC]);
        break;
    case METRIC_REQUESTS_EXPOSED:
        table_add_count(table, item->requests[USAGE_EXPOSED]);
        break;
    case METRIC_USERS:
    case METRIC_ALL:
        table_add_count(table, item->user_count);
        break;
    }
}

static void print_service(struct arena *arena, const struct report *report, struct buf *out)
{
    static const struct column columns[] = {{"METRIC", false}, {"VALUE", true}};
    const struct question *question = &report->question;
    const struct view_item item = view_service(arena, report->usage, &report->scope, question->service);
    struct table table = table_new(arena, columns, 2, METRIC_COUNT);

    for (size_t i = 0; i < METRIC_COUNT; i++)
        if (question->metric == METRIC_ALL || question->metric == (enum metric)i)
            add_metric(&table, report, &item, (enum metric)i);
    table_print(&table, out);
}

bool render_table(struct arena *arena, const struct report *report, struct buf *out)
{
    enum report_kind kind = report->question.kind;

    print_title(arena, &report->question, out);
    if (kind == REPORT_SUMMARY)
        print_summary(arena, report, out);
    else if (kind == REPORT_BREAKDOWN)
        print_breakdown(arena, report, out);
    else
        print_service(arena, report, out);
    print_sources(arena, report, kind == REPORT_SUMMARY, out);
    return !out->full;
}

bool render_shortfalls(struct arena *arena, const struct report *report, struct buf *out)
{
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        const struct source_status *source = report->sources[i];

        if (!is_short(source))
            continue;
        buf_format(out, "oscar-metrics: %s: %s: ", source->name, status_level_name(source->level));
        buf_add(out, printable(arena, text_of(status_notes(source))));
        buf_add_char(out, '\n');
    }
    return !out->full;
}
