/* CSV: RFC 4180 quoting, LF line ends, and no cell that a spreadsheet would run. */
#include <inttypes.h>
#include <string.h>

#include "report/render.h"

#include "report/report.h"
#include "report/view.h"
#include "util/arena.h"

static const char *const headers[] = {
    [GROUP_BY_SERVICE] = ("key,membership,requests_count_total,requests_count_sync,requests_count_async,"
                          "requests_count_exposed,unique_users_count,countries\n"),
    [GROUP_BY_USER] = "key,membership,executions_count,countries\n",
    [GROUP_BY_COUNTRY] = "key,membership,executions_count,unique_users_count,countries\n",
};

static bool needs_quotes(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (memchr("\",\r\n", text.data[i], 4)) // NOLINT(bugprone-not-null-terminated-result): a set
            return true;
    return false;
}

static void add_cell(struct buf *out, struct text text)
{
    bool quoted = needs_quotes(text);

    if (quoted)
        buf_add_char(out, '"');
    if (text.length > 0 && memchr("=+-@\t\r", text.data[0], 6)) // NOLINT(bugprone-not-null-terminated-result)
        buf_add_char(out, '\'');
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '"')
            buf_add_char(out, '"');
        buf_add_char(out, text.data[i]);
    }
    if (quoted)
        buf_add_char(out, '"');
}

static void add_country(struct buf *cell, struct text country, uint64_t requests)
{
    if (cell->length > 0)
        buf_add_char(cell, '|');
    buf_add(cell, country);
    buf_format(cell, ":%" PRIu64, requests);
}

static void add_countries(struct buf *out, const struct view_item *item, enum group_by group_by)
{
    struct buf cell;

    buf_init(&cell, out->limit);
    if (group_by == GROUP_BY_COUNTRY)
        add_country(&cell, item->key, view_executions(item));
    else
        for (size_t i = 0; i < item->country_count; i++)
            add_country(&cell, item->countries[i].country, item->countries[i].requests);
    out->full |= cell.full;
    add_cell(out, buf_text(&cell));
    buf_free(&cell);
}

static void add_row(struct buf *out, const struct view_item *item, enum group_by group_by)
{
    add_cell(out, item->key);
    switch (group_by) {
    case GROUP_BY_SERVICE:
        buf_format(out, ",,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%zu,", view_executions(item),
                   item->requests[USAGE_SYNC], item->requests[USAGE_ASYNC], item->requests[USAGE_EXPOSED],
                   item->user_count);
        break;
    case GROUP_BY_USER:
        buf_format(out, ",%s,%" PRIu64 ",", membership_of(item->key), view_executions(item));
        break;
    case GROUP_BY_COUNTRY:
        buf_format(out, ",,%" PRIu64 ",%zu,", view_executions(item), item->user_count);
        break;
    }
    add_countries(out, item, group_by);
    buf_add_char(out, '\n');
}

bool render_csv(struct arena *arena, const struct report *report, struct buf *out)
{
    enum group_by group_by = report->question.group_by;
    struct view view = view_breakdown(arena, report->usage, &report->scope, group_by);

    buf_add_string(out, headers[group_by]);
    for (size_t i = 0; i < view.count; i++)
        add_row(out, &view.items[i], group_by);
    return !out->full;
}

const char *render_csv_name(struct arena *arena, const struct report *report)
{
    char start[TIMESTAMP_SIZE], end[TIMESTAMP_SIZE];

    instant_format_compact(report->question.start.instant, start);
    instant_format_compact(report->question.end.instant, end);
    return arena_format(arena, "oscar-metrics-%s-%s-%s.csv", group_by_name(report->question.group_by), start,
                        end);
}
