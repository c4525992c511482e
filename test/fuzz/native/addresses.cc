// Fuzzes how a client's address is read, from a kernel's struct sockaddr and from its text.
#include <cstdint>
#include <cstdlib>

#include "nfsd/client_address.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Its own memory, so that a byte too many is seen.
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::string text = AddressFromText(bytes);
  // An address is its own text.
  const std::string again = AddressFromText(text.find(':') == text.npos ? text : "[" + text + "]");
  if (again != text) abort();
  AddressFromSockaddr(bytes);
  return 0;
}
