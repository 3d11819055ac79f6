/* What the look at a connection calls ready, libfcgi reads without waiting for another byte, and gives back
 * whole: here nothing more comes, so it would fail. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/exchange.h"
#include "http/fcgi.h"
#include "http/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER_SIZE = 8, ROLE_AT = HEADER_SIZE + 1, ROLE_MOST = 3, TYPE_BEGIN = 1 };

/* Of the first record that begins a request; libfcgi closes the connection of a role that it does not know.
 */
static bool has_known_role(const uint8_t *data)
{
    while (data[1] != TYPE_BEGIN)
        data += HEADER_SIZE + ((size_t)data[4] << 8 | data[5]) + data[6];
    return data[ROLE_AT - 1] == 0 && data[ROLE_AT] >= 1 && data[ROLE_AT] <= ROLE_MOST;
}

static void read_parameters(struct exchange *exchange, size_t sent)
{
    static const char *const names[] = {"REQUEST_METHOD", "SCRIPT_NAME", "QUERY_STRING",
                                        "HTTP_AUTHORIZATION"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = exchange->ops->parameter(exchange, names[i]);

        if (value && strlen(value) > sent)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct record_seen seen;
    struct exchange *exchange;
    int ends[2];

    if (!ready && !fcgi_init())
        abort();
    ready = true;
    if (record_look((struct text){(const char *)data, size}, &seen) != RECORD_READY)
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0)
        abort();
    if (send(ends[0], data, size, 0) == (ssize_t)size) {
        exchange = fcgi_begin(ends[1], seen.nul, NULL);
        if (exchange == NULL && has_known_role(data))
            abort();
        if (exchange) {
            read_parameters(exchange, size);
            if (fcgi_end(exchange))
                close(ends[1]);
        }
    } else {
        close(ends[1]);
    }
    close(ends[0]);
    return 0;
}
