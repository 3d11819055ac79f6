/* The body of a form, as application/x-www-form-urlencoded; also what stands behind the `?` of a URL. */
#ifndef OM_NET_FORM_H
#define OM_NET_FORM_H

#include "util/text.h"

struct buf;

/* Appends name=value, with `&` before it unless the form is empty. All but letters, digits and -._~ is
 * escaped in the value; the name is taken as it is. */
void form_add(struct buf *form, const char *name, struct text value);

#endif
