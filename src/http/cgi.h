/* Plain CGI (RFC 3875): a web server, or fcgiwrap, starts the program for each request. */
#ifndef OM_HTTP_CGI_H
#define OM_HTTP_CGI_H

#include <stdbool.h>

/* A web server started this process to answer one request, and did not hand it a listening socket. */
bool cgi_is_asked(void);

/* Answers that request: parameters and settings from the environment, the answer to standard output. Gives
 * the status to exit with; also for faults of the settings the client is answered. */
int cgi_answer(void);

#endif
