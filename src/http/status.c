/* The table, in the order of the numbers. */
#include "http/status.h"

static const struct {
    int status;
    const char *number, *reason;
} rows[HTTP_STATUSES] = {
    {200, "200", "OK"},
    {400, "400", "Bad Request"},
    {401, "401", "Unauthorized"},
    {403, "403", "Forbidden"},
    {404, "404", "Not Found"},
    {405, "405", "Method Not Allowed"},
    {STATUS_CLIENT_GONE, "499", "Client Closed Request"},
    {500, "500", "Internal Server Error"},
    {503, "503", "Service Unavailable"},
};

enum { ROW_500 = 7 };

size_t http_status_row(int status)
{
    for (size_t i = 0; i < HTTP_STATUSES; i++)
        if (rows[i].status == status)
            return i;
    return ROW_500;
}

const char *http_status_number(size_t row)
{
    return rows[row].number;
}

const char *http_status_reason(int status)
{
    return rows[http_status_row(status)].reason;
}
