// The load of bench-recorder: reads every file of a tree once, as fast as it can.
// Usage: bench-reader DIR DIRECTORIES FILES [direct]; the files are DIR/<d>/<f>. With `direct` each
// read goes to the file system (O_DIRECT), so that an NFS client asks its server every time.
// Waits for the end of its standard input, so that several start together; prints the number of
// files that it read.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 4 || argc > 5 || chdir(argv[1]) != 0) return 64;
  const int directories = atoi(argv[2]), files = atoi(argv[3]);
  const int flags = argc == 5 ? O_RDONLY | O_DIRECT : O_RDONLY;
  static char buffer[65536] __attribute__((aligned(4096)));
  long done = 0;
  while (read(0, buffer, sizeof buffer) > 0) continue;
  for (int d = 0; d < directories; d++)
    for (int f = 0; f < files; f++) {
      char path[64];
      snprintf(path, sizeof path, "%d/%d", d, f);
      const int fd = open(path, flags);
      if (fd < 0) return 74;
      while (read(fd, buffer, sizeof buffer) > 0) continue;
      close(fd);
      done++;
    }
  printf("%ld\n", done);
  return 0;
}
