/* Base64 as RFC 4648 writes it, read strictly: no junk, no stray bits. */
#ifndef OM_UTIL_BASE64_H
#define OM_UTIL_BASE64_H

#include "util/buf.h"

/* Appends what `text` stands for (section 4: full padding). False when it is not base64 or does not fit; *out
 * may then hold a beginning. */
bool base64_decode(struct text text, struct buf *out);

/* The same for section 5's alphabet without padding, as tokens and keys have it (RFC 7515, section 2): every
 * sequence of bytes has exactly one spelling. */
bool base64url_decode(struct text text, struct buf *out);

#endif
