// The load of bench-recorder: reads every file of a tree once, as fast as it can.
// Usage: bench-reader DIR DIRECTORIES FILES; the files are DIR/<d>/<f>.
// Waits for the end of its standard input, so that several start together; prints the number of
// files that it read.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 4 || chdir(argv[1]) != 0) return 64;
  const int directories = atoi(argv[2]), files = atoi(argv[3]);
  char buffer[65536];
  long done = 0;
  while (read(0, buffer, sizeof buffer) > 0) continue;
  for (int d = 0; d < directories; d++)
    for (int f = 0; f < files; f++) {
      char path[64];
      snprintf(path, sizeof path, "%d/%d", d, f);
      const int fd = open(path, O_RDONLY);
      if (fd < 0) return 74;
      while (read(fd, buffer, sizeof buffer) > 0) continue;
      close(fd);
      done++;
    }
  printf("%ld\n", done);
  return 0;
}
