/* Words of others in notes. */
#include "sources/note.h"

#include "util/arena.h"
#include "util/buf.h"

/* ASCII's and Latin 1's (U+0080 to U+009F). */
static bool is_control(struct text c)
{
    unsigned char first = (unsigned char)c.data[0];

    return first < 0x20 || first == 0x7f ||
           (c.length == 2 && first == 0xc2 && (unsigned char)c.data[1] < 0xa0);
}

const char *note_words(struct arena *arena, struct text text, size_t max_bytes)
{
    struct buf words;
    const char *out;

    buf_init(&words, max_bytes + sizeof("..."));
    while (text.length > 0) {
        size_t length = text_utf8_length(text);
        struct text piece = {text.data, length};

        if (length == 0)
            piece = TEXT_LITERAL("\xef\xbf\xbd");
        else if (is_control(piece))
            piece = TEXT_LITERAL(" ");
        if (words.length + piece.length > max_bytes) {
            buf_add_string(&words, "...");
            break;
        }
        buf_add(&words, piece);
        text = text_skip(text, length ? length : 1);
    }
    out = arena_string(arena, buf_text(&words));
    buf_free(&words);
    return out;
}
