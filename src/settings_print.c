/* What people read of the settings: --check-config, --help, the page in docs/. */
#include <string.h>

#include "settings_table.h"
#include "util/text.h"

/* A URL may carry a password before its host. A '/', '?' or '#' in it should have been escaped: what is cut
 * by one is hidden all the same. */
static void print_url(const char *url, FILE *out)
{
    const char *host = strstr(url, "://"), *end, *at = NULL;

    host = host ? host + 3 : url;
    end = host + strcspn(host, "/?#");
    for (const char *p = host; p < end; p++)
        if (*p == '@')
            at = p;
    if (at == NULL)
        at = strrchr(host, '@');
    if (at)
        fprintf(out, "%.*s********%s", (int)(host - url), url, at);
    else
        fputs(url, out);
}

void settings_print(const struct settings *settings, FILE *out)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting_row *row = &setting_rows[i];
        const char *value = settings_text(settings, (enum setting)i);

        fprintf(out, "%s=", row->name);
        if (row->flags & SETTING_SECRET)
            fputs(value[0] ? "********" : "", out);
        else if (row->type == TYPE_URL)
            print_url(value, out);
        else
            fputs(value, out);
        fprintf(out, "  # %s\n", settings_origin(settings, (enum setting)i));
    }
}

static void print_extras(const struct setting_row *row, FILE *out)
{
    if (row->choices) {
        struct text rest = text_of(row->choices), word = text_cut(&rest, ' ');

        fprintf(out, " (%.*s", (int)word.length, word.data);
        while (rest.data) {
            word = text_cut(&rest, ' ');
            fprintf(out, ", %.*s", (int)word.length, word.data);
        }
        fputc(')', out);
    }
    if (row->flags & SETTING_FROM_FILE)
        fprintf(out, "; or %s_FILE", row->name);
}

void settings_print_help(FILE *out)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting_row *row = &setting_rows[i];

        if (row->group)
            fprintf(out, "\n%s:\n", row->group);
        fprintf(out, "  %s", row->name);
        if (row->flags & SETTING_REQUIRED)
            fputs(" (required)", out);
        else if (row->initial[0])
            fprintf(out, " [%s]", row->initial);
        fprintf(out, "\n        %s", row->help);
        print_extras(row, out);
        fputc('\n', out);
    }
}

/* A cell of a Markdown table: the bars of queries would end it. */
static void print_cell(const char *value, FILE *out)
{
    for (; *value; value++)
        fprintf(out, *value == '|' ? "\\%c" : "%c", *value);
}

void settings_print_markdown(FILE *out)
{
    fputs("# Settings\n\nWritten by `oscar-metrics --print-settings-page` from the table in\n"
          "`src/settings_table.c`; do not edit.\n\n"
          "Settings are environment variables. An empty one counts as not set. One that does not parse stops "
          "the\n"
          "start with a line that names it; `oscar-metrics --check-config` shows what is in force. A "
          "variable that\n"
          "may come from a file is read again when the file changes.\n",
          out);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting_row *row = &setting_rows[i];

        if (row->group)
            fprintf(out, "\n## %s\n\n| variable | default | what |\n|---|---|---|\n", row->group);
        fprintf(out, "| `%s` | ", row->name);
        if (row->flags & SETTING_REQUIRED) {
            fputs("required", out);
        } else if (row->initial[0]) {
            fputc('`', out);
            print_cell(row->initial, out);
            fputc('`', out);
        }
        fputs(" | ", out);
        print_cell(row->help, out);
        print_extras(row, out);
        fputs(" |\n", out);
    }
}
