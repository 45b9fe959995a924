/* A job for tests: checks in for the names it is given, tells what it got, and answers clients.
 *
 * probe NAME... prints a line for each call of launch_activate_socket: "NAME 0 PORT|PATH..." or
 * "NAME ERRNO". The first word may be one of these instead:
 *   --serve     then accepts one client of any socket, sends it a line with the process id, leaves
 *   --stay      as that, again and again until SIGTERM
 *   --deaf      as --stay, and ignores SIGTERM
 *   --child     first leaves a child in its process group that ignores SIGTERM
 *   --escape    first leaves a child in a session of its own
 */

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int launch_activate_socket(const char *name, int **fds, size_t *count);

#define MOST 64
static struct pollfd listening[MOST];
static size_t listeners;

static void print_address(int fd) {
    struct sockaddr_storage any;
    socklen_t length = sizeof any;
    getsockname(fd, (struct sockaddr *)&any, &length);
    if (any.ss_family == AF_UNIX)
        printf(" %s", ((struct sockaddr_un *)&any)->sun_path);
    else if (any.ss_family == AF_INET6)
        printf(" v6:%d", ntohs(((struct sockaddr_in6 *)&any)->sin6_port));
    else
        printf(" v4:%d", ntohs(((struct sockaddr_in *)&any)->sin_port));
}

static void check_in(const char *name) {
    int *fds = NULL;
    size_t count = 0;
    int number = launch_activate_socket(name, &fds, &count);
    if (number != 0) {
        printf("%s %s\n", name, strerrorname_np(number));
        return;
    }
    printf("%s 0", name);
    for (size_t i = 0; i < count && listeners < MOST; i++) {
        print_address(fds[i]);
        listening[listeners++] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    printf("\n");
    free(fds);
}

static void answer_one(void) {
    poll(listening, listeners, -1);
    for (size_t i = 0; i < listeners; i++) {
        if (listening[i].revents == 0)
            continue;
        int client = accept(listening[i].fd, NULL, NULL);
        dprintf(client, "%d\n", getpid());
        close(client);
        return;
    }
}

static void leave_child(bool escape) {
    if (fork() != 0)
        return;
    if (escape)
        setsid();
    signal(SIGTERM, SIG_IGN);
    for (;;)
        pause();
}

int main(int count, char **words) {
    bool serve = false, stay = false;
    for (int i = 1; i < count; i++) {
        const char *word = words[i];
        if (strcmp(word, "--child") == 0 || strcmp(word, "--escape") == 0)
            leave_child(strcmp(word, "--escape") == 0);
        else if (strcmp(word, "--serve") == 0)
            serve = true;
        else if (strcmp(word, "--stay") == 0 || strcmp(word, "--deaf") == 0)
            stay = true;
        else
            check_in(word);
        if (strcmp(word, "--deaf") == 0)
            signal(SIGTERM, SIG_IGN);
    }
    fflush(stdout);
    if (serve)
        answer_one();
    while (stay)
        answer_one();
    return 0;
}
