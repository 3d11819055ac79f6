/* What libfcgi can do: the same answer to every request, from 16 threads, as its own example has it. */
#include <fcgiapp.h>
#include <pthread.h>

static pthread_mutex_t accepting = PTHREAD_MUTEX_INITIALIZER;

static void *work(void *unused)
{
    FCGX_Request request;
    int accepted;

    FCGX_InitRequest(&request, 0, 0);
    for (;;) {
        pthread_mutex_lock(&accepting);
        accepted = FCGX_Accept_r(&request);
        pthread_mutex_unlock(&accepting);
        if (accepted < 0)
            return unused;
        FCGX_FPrintF(request.out, "Content-Type: text/plain\r\nContent-Length: 9\r\n\r\nconstant\n");
        FCGX_Finish_r(&request);
    }
}

int main(void)
{
    pthread_t threads[16];

    FCGX_Init();
    for (int i = 0; i < 16; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    pthread_join(threads[0], NULL);
    return 0;
}
