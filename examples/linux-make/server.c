#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
  const char *port = getenv("PORT"), *name = getenv("CC_APP_NAME");
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(port ? port : "8080"))};
  int yes = 1, server = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(server, (struct sockaddr *)&at, sizeof at) || listen(server, 64)) {
    perror("listen");
    return 1;
  }
  for (;;) {
    char request[4096], body[256], head[128];
    int client = accept(server, NULL, NULL);
    if (client < 0) continue;
    ssize_t got = read(client, request, sizeof request);
    int length = snprintf(body, sizeof body, "Hello from %s in C\n", name ? name : "Linux");
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", length);
    if (got > 0) dprintf(client, "%s%s", head, body);
    close(client);
  }
}
