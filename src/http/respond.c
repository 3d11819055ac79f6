/* CGI responses (RFC 3875, section 6). */
#include "http/respond.h"

#include "http/status.h"
#include "report/render.h"
#include "util/buf.h"

enum { HEAD_SIZE = 4096 };

/* The parts of an answer go out, as far as somebody takes them. */
static void send_answer(struct request *request, int status, struct text head, struct text body)
{
    struct exchange *exchange = request->exchange;

    if (exchange->ops->write(exchange, head) < head.length) {
        request->complete = NULL;
        return;
    }
    request->status = status;
    if (text_is(request->method, "HEAD"))
        return;
    request->bytes = exchange->ops->write(exchange, body);
    request->cut = request->bytes < body.length;
}

enum stage respond(struct request *request, int status, const char *content_type,
                   const struct header *headers, struct text body)
{
    struct buf head;

    buf_init(&head, HEAD_SIZE);
    buf_format(&head, "Status: %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", status,
               http_status_reason(status), content_type, body.length);
    buf_add_string(&head,
                   "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nVary: Authorization\r\n");
    for (; headers && headers->name; headers++)
        buf_format(&head, "%s: %s\r\n", headers->name, headers->value);
    buf_add_string(&head, "\r\n");
    send_answer(request, status, buf_text(&head), body);
    buf_free(&head);
    return ANSWERED;
}

enum stage respond_text(struct request *request, int status, const char *text)
{
    request->refusal = status == 200 ? NULL : text;
    return respond(request, status, "text/plain; charset=utf-8", NULL, text_of(text));
}

enum stage respond_bad_request(struct request *request, const char *message)
{
    struct buf body;

    request->refusal = message;
    buf_init(&body, HEAD_SIZE);
    render_error(message, &body);
    respond(request, 400, "application/json; charset=utf-8", NULL, buf_text(&body));
    buf_free(&body);
    return ANSWERED;
}
