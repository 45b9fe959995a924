/* launch(3) for the launchd beside it: launch_activate_socket and nothing else.
 *
 * The descriptors come over a connection (SCM_RIGHTS), not by inheritance, and without
 * FD_CLOEXEC: the manual promises nothing about that.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What one packet can carry (SCM_MAX_FD of unix(7)). */
#define MOST 253

/* Connected to launchd, or -1. */
static int connect_launchd(void) {
    const char *path = getenv("DOZE_TEST_LAUNCHD_CHECKIN");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    int launchd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (launchd >= 0 && connect(launchd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(launchd);
        return -1;
    }
    return launchd;
}

/* Receives the answer; the error number, or 0 and the descriptors in an array of the heap. */
static int receive(int launchd, int **fds, size_t *count) {
    int number = ESRCH;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(MOST * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &number, .iov_len = sizeof number};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    if (recvmsg(launchd, &message, 0) != sizeof number)
        return ESRCH;
    if (number != 0)
        return number;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    size_t length = header == NULL ? 0 : header->cmsg_len - CMSG_LEN(0);
    *count = length / sizeof(int);
    /* Never NULL: it is to be freed, however many there are. */
    *fds = malloc(length + 1);
    if (*fds == NULL)
        return ENOMEM;
    if (length > 0)
        memcpy(*fds, CMSG_DATA(header), length);
    return 0;
}

/* 0, ENOENT (the job has no socket of that name), ESRCH (launchd did not start the caller) or
 * EALREADY (it has these already), as return value. The caller frees the array. */
int launch_activate_socket(const char *name, int **fds, size_t *count) {
    int launchd = connect_launchd();
    if (launchd < 0)
        return ESRCH;
    int number = ESRCH;
    if (send(launchd, name, strlen(name), MSG_NOSIGNAL) >= 0)
        number = receive(launchd, fds, count);
    close(launchd);
    return number;
}
