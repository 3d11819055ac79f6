/* Answers: every one of them goes out here, with the headers that all have. */
#ifndef OM_HTTP_RESPOND_H
#define OM_HTTP_RESPOND_H

#include "http/request.h"
#include "util/text.h"

/* A name and a value; the list ends with a NULL name. */
struct header {
    const char *name, *value;
};

/* Any answer. To HEAD goes everything but the body. `headers` may be NULL. Always gives ANSWERED, so that a
 * stage can end with it. The request tells what was taken; where that was not even the head, nothing was
 * answered. */
enum stage respond(struct request *request, int status, const char *content_type,
                   const struct header *headers, struct text body);

/* One line of text: 200, 401, 403, 404, 405, 500, 503. */
enum stage respond_text(struct request *request, int status, const char *text);

/* 400 with {"error": message}. */
enum stage respond_bad_request(struct request *request, const char *message);

#endif
