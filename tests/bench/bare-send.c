/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bare-send SOCKET LINE: connects, writes a line and reads up to the second line of the answer. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), lines = 0;
	char buffer[65536];

	if (argc != 3 || strlen(argv[1]) >= sizeof(a.sun_path))
		return 2;
	strcpy(a.sun_path, argv[1]);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		write(fd, argv[2], strlen(argv[2])) < 0 || write(fd, "\n", 1) < 0)
		return 1;
	while (lines < 2) {
		ssize_t n = read(fd, buffer, sizeof(buffer));

		if (n <= 0)
			return 1;
		for (ssize_t i = 0; i < n; i++)
			lines += buffer[i] == '\n';
	}
	return write(STDOUT_FILENO, buffer, 1) != 1;
}
