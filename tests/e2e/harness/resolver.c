/* Preloaded: names that end in ".backends.invalid" are this machine while the file that RESOLVER_KNOWS names
 * is there, and nobody else; no name server is asked for them. What curl was told it asks for each time, so
 * that a host is gone for all at once. */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    static const char ours[] = ".backends.invalid";
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    const char *knows = getenv("RESOLVER_KNOWS");
    size_t length = name ? strlen(name) : 0;

    *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    if (length < sizeof(ours) || strcmp(name + length - (sizeof(ours) - 1), ours) != 0)
        return next(name, service, hints, out);
    return knows && access(knows, F_OK) == 0 ? next("127.0.0.1", service, hints, out) : EAI_NONAME;
}

CURL *curl_easy_init(void)
{
    CURL *(*next)(void);
    CURL *easy;

    *(void **)&next = dlsym(RTLD_NEXT, "curl_easy_init");
    easy = next();
    if (easy)
        curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    return easy;
}
