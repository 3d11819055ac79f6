/* Any bytes as a token, and any two lines as its header and claims: what is read has one spelling and a user,
 * and no signature of it is accepted, whoever verifies it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "auth/jwks.h"
#include "auth/signature.h"
#include "auth/token.h"
#include "util/arena.h"
#include "util/base64.h"
#include "util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The base point of P-256. */
static const char key_set[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
                              "\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\","
                              "\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"}]}";

static void encode(struct buf *out, struct text bytes)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned bits = 0, held = 0;

    for (size_t i = 0; i < bytes.length; i++) {
        bits = (bits << 8 | (unsigned char)bytes.data[i]) & 0xffff;
        for (held += 8; held >= 6; held -= 6)
            buf_add_char(out, alphabet[bits >> (held - 6) & 63]);
    }
    if (held > 0)
        buf_add_char(out, alphabet[bits << (6 - held) & 63]);
}

static void read_token(struct arena *arena, const struct jwks *jwks, struct text bytes)
{
    struct token token;
    struct buf again;

    if (token_read(arena, bytes, &token))
        return;
    buf_init(&again, TOKEN_MAX_BYTES);
    encode(&again, token.signature);
    if (!text_equal(buf_text(&again), text_skip(bytes, token.signed_bytes.length + 1)) ||
        token.issuer.length == 0 || !token_is_subject(token.subject))
        abort();
    buf_free(&again);
    if (token_check_times(&token, (struct instant){1700000000, 0}) == NULL && !(token.expires > 1700000000))
        abort();
    if (signature_is_valid(&token, &jwks->keys[0]))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text all = {(const char *)data, size}, claims = all, header = text_cut(&claims, '\n');
    struct arena *arena = arena_new();
    static struct jwks *jwks;
    struct buf token;

    if (jwks == NULL)
        jwks = jwks_read(TEXT_LITERAL(key_set));

    read_token(arena, jwks, all);
    buf_init(&token, 2 * TOKEN_MAX_BYTES);
    encode(&token, header);
    buf_add_char(&token, '.');
    encode(&token, claims);
    /* 64 bytes, as ES256 has them. */
    buf_add_string(&token,
                   ".AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQ");
    read_token(arena, jwks, buf_text(&token));
    buf_free(&token);
    arena_free(arena);
    return 0;
}
