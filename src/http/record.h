/* Looks at bytes that wait on a connection: has the whole head of a FastCGI request arrived? So that no
 * worker is given a peer that says nothing more. (FastCGI specification 1.0, sections 3.3 and 5; pure, any
 * bytes.) */
#ifndef OM_HTTP_RECORD_H
#define OM_HTTP_RECORD_H

#include <stdbool.h>

#include "util/text.h"

enum record_verdict {
    RECORD_MORE,  /* not yet: wait for more */
    RECORD_READY, /* all parameters are there, up to the empty record that ends them */
    RECORD_WRONG, /* no FastCGI, or what no web server sends: two requests at once, lengths that lie; close */
};

/* What is known of a request that is ready. */
struct record_seen {
    bool nul;   /* a parameter holds a NUL, at which libfcgi would end it */
    bool whole; /* its body has ended too: the peer has nothing more to send */
};

/* More bytes never take a verdict back, and what is ready can be read to the end of its parameters without
 * waiting. Whatever libfcgi would answer by itself (management records) does not make a request ready. */
enum record_verdict record_look(struct text bytes, struct record_seen *seen);

#endif
