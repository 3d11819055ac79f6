/* The HTTP statuses that the program answers with, and one that only the log and the metrics know. */
#ifndef OM_HTTP_STATUS_H
#define OM_HTTP_STATUS_H

#include <stddef.h>

enum { STATUS_CLIENT_GONE = 499 }; /* nginx's number: the client went away before its answer */

enum { HTTP_STATUSES = 9 };

/* The row of a status; one that is in no row has that of 500, which no test lets pass. */
size_t http_status_row(int status);

const char *http_status_number(size_t row); /* "404" */
const char *http_status_reason(int status); /* "Not Found" */

#endif
