/* Reports on the command line: the stages of a report over HTTP, without a web server and without a login. */
#ifndef OM_HTTP_CLI_H
#define OM_HTTP_CLI_H

#include <stdio.h>

/* "oscar-metrics report ...": argv[1] is the word "report". Gives the status to exit with: 0 the report is
 * complete, 1 it could not be made, 2 it was not asked for rightly, 3 something is missing in it. */
int cli_report(int argc, char **argv);

void cli_print_help(FILE *out);

#endif
