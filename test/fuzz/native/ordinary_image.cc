// Fuzzes what knows the names in an ordinary image. Input: a file.
// What it takes for ordinary has as many names as lines, all of them text, and begins with a
// record.
#include "quick/ordinary_image.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "quick/plain_text.h"

namespace {

void Check(bool good) {
  if (!good) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int image = memfd_create("image", MFD_CLOEXEC);
  Check(image >= 0 && ftruncate(image, 0) == 0);
  Check(pwrite(image, data, size, 0) == static_cast<ssize_t>(size));
  std::string lines;
  if (!quick::NamesOf(image, &lines)) return 0;
  const size_t names = static_cast<size_t>(std::count(lines.begin(), lines.end(), '\n'));
  Check(names > 0 && names * 110 < size && lines.back() == '\n' && lines.front() != '\n');
  Check(lines.size() < size);
  std::replace(lines.begin(), lines.end(), '\n', ' ');
  Check(quick::IsPlainText(lines));
  return 0;
}
