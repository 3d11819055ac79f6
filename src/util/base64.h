/* Base64 as RFC 4648 section 4 writes it, read strictly: full padding, no junk, no stray bits. */
#ifndef OM_UTIL_BASE64_H
#define OM_UTIL_BASE64_H

#include "util/buf.h"

/* Appends what `text` stands for. False when it is not base64 or does not fit; *out may then hold a
 * beginning. */
bool base64_decode(struct text text, struct buf *out);

#endif
